"""docs/errors.md: the code below each heading gives the message that the heading says."""

import pathlib
import re
import warnings

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "errors.md").read_text()
SECTIONS = re.findall(r"^## (.*?)\n\n```raises\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)


def test_there_are_thirty():
    assert len(SECTIONS) >= 30
    assert PAGE.count("\n## ") == len(SECTIONS)


@pytest.mark.parametrize("heading, code", SECTIONS)
def test_the_code_gives_the_message(heading, code, tmp_path, monkeypatch):
    def net(*inner):
        return mlkit.Sequential([mlkit.Input((4,)), *inner])

    monkeypatch.chdir(tmp_path)
    names = {"keras": mlkit, "layers": layers, "ops": ops, "np": np, "x": np.ones((8, 4), "float32"), "net": net}
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            exec(code, names)
            said = end = "\n".join(str(w.message) for w in warned)
        except Exception as error:
            said, end = str(error), error.__notes__[-1]
    pattern = ".*".join(re.escape(part) for part in heading.split("…"))
    assert re.search(pattern, said, re.DOTALL), said
    assert end.endswith(
        "errors.html#" + re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")
    )  # the site's anchor of the heading
