"""OpenVINO's files of models: run by OpenVINO on this machine's processor."""

import numpy as np
import pytest

from mlkit.export.model_export import verify
from tests.export.nets import photos, small

openvino = pytest.importorskip("openvino", reason='OpenVINO\'s files are written by it: pip install "mlkit-engine[openvino]"')
pytest.importorskip("onnx", reason='they are made from ONNX files: pip install "mlkit-engine[openvino]"')


def test_it_answers_as_the_model_for_any_batch(tmp_path, capsys):
    model, path = small(), tmp_path / "m.xml"
    model.export(path)
    assert "OpenVINO differs by" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.bin", "m.xml"]
    exact = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"}
    program = openvino.Core().compile_model(str(path), "CPU", exact)
    for n in (1, 4):
        found = program({"photo": photos(n)})["answer"]
        np.testing.assert_allclose(found, model.predict(photos(n), verbose=0), rtol=1e-5, atol=1e-6)
    assert verify(str(path)) <= 1


def test_halves(tmp_path):
    model = small()
    model.export(tmp_path / "m.xml", verbose=False)
    whole = (tmp_path / "m.bin").stat().st_size
    model.export(tmp_path / "m.xml", dtype="float16", verbose=False)
    assert (tmp_path / "m.bin").stat().st_size < 0.6 * whole


def test_a_difference_leaves_what_was_there(tmp_path, monkeypatch):
    from mlkit.export import openvino_format

    model = small()
    model.export(tmp_path / "m.xml", verbose=False)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    run = openvino_format.run
    monkeypatch.setattr(openvino_format, "run", lambda *given: [2 * a for a in run(*given)])
    with pytest.raises(RuntimeError, match="OpenVINO answers something else"):
        model.export(tmp_path / "m.xml", verbose=False)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_the_name_ends_in_xml(tmp_path):
    with pytest.raises(ValueError, match="end in .xml"):
        small().export(tmp_path / "m", format="openvino")
