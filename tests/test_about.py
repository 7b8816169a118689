"""show_config names what a bug report needs."""

import mlkit
from mlkit.core.backend import using


def test_it_prints_versions_libraries_and_settings(capsys, monkeypatch):
    monkeypatch.setenv("MLKIT_PASSES_OFF", "cse")
    mlkit.config.set_floatx("float64")
    mlkit.show_config()
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["mlkit"].startswith(mlkit.__version__)
    assert "native" in lines["backend"]
    assert "cpu:0" in lines["backend"]
    assert "float64" in lines["floats"]
    assert "MLKIT_PASSES_OFF=cse" in lines["variables"]
    assert "usable" in lines["cores"]
    assert any(name.lower() == "onednn" for name in lines)  # found or not, it is said


def test_a_backend_without_libraries_prints_too(capsys):
    with using("jax"):
        mlkit.show_config()
    assert "jax" in capsys.readouterr().out
