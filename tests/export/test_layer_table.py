"""The page docs/export_layers.md says what is found."""

import pytest

from tests.export import layer_table
from tests.layers.samples import SAMPLES

LAYERS = sorted({sample.name for sample in SAMPLES})


def test_the_page_has_every_layer_and_format():
    page = layer_table.read()
    assert sorted(page) == LAYERS
    assert all(list(row) == list(layer_table.FORMATS) for row in page.values())
    assert not {
        cell
        for row in page.values()
        for cell in row.values()
        if not cell.startswith(("exact", "1e-4", "batch", "refused", "wrong"))
    }


@pytest.mark.slow
@pytest.mark.parametrize("format", list(layer_table.FORMATS))
@pytest.mark.parametrize("name", LAYERS)
def test_the_page_says_what_is_found(name, format):
    pytest.importorskip(layer_table.FORMATS[format], reason=f"runs files of format {format!r}")
    if format == "litert":
        pytest.importorskip("litert_converter", reason="writes files of LiteRT")
    found = layer_table.worst([layer_table.found(sample, format) for sample in SAMPLES if sample.name == name])
    said = layer_table.read()[name][format]
    assert found == said or {found, said} == {"exact", "1e-4"}  # of which another processor may say the other
