"""The notebooks run from beginning to end, and come with the outputs of such a run."""

import os
import pathlib

import nbclient
import nbformat
import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(f.stem for f in FOLDER.glob("*.ipynb"))
ALL = {
    "custom_layer_and_training_step", "fine_tuning_aerial_photos", "finding_a_nan", "first_steps", "jax_cross_check",
    "killing_a_process", "reading_a_graph", "searching_hyper_parameters",
}  # fmt: skip


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


LONG = {"fine_tuning_aerial_photos", "killing_a_process"}  # half a minute, minutes


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in NOTEBOOKS])
def test_it_runs(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(FOLDER.parent), os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("MLKIT_HOME", str(tmp_path / "home"))
    notebook = read(name)
    client = nbclient.NotebookClient(
        notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()  # raises CellExecutionError, with the cell, where a cell fails


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_its_outputs_are_kept(name):
    notebook = read(name)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run it from beginning to end, and save it"
    assert sum(bool(cell.outputs) for cell in code) >= 4
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)


def test_the_notebooks_are_there():
    assert set(NOTEBOOKS) == ALL
