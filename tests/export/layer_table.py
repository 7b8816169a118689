"""Which layers can be written in which format: the table of docs/export_layers.md, found by writing every row of the table of layers.

``python -m tests.export.layer_table`` writes the page anew, for the formats whose libraries are there.
"""

import contextlib
import importlib.util
import io
import os
import re
import sys
import tempfile
import warnings

import mlkit
from tests.layers.check_layer import arrays, call, make
from tests.layers.samples import SAMPLES

FORMATS = {"onnx": "onnxruntime", "litert": "ai_edge_litert", "stablehlo": "jax", "openvino": "openvino"}
SUFFIXES = {"onnx": ".onnx", "litert": ".tflite", "stablehlo": ".stablehlo", "openvino": ".xml"}
PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "export_layers.md")
HEAD = """# Which layer in which format

Every row of the table of layers that tests share is written by `model.export`, run by the format's runtime on x86-64, and compared with
what the model answers. *exact*: to a millionth of the largest number; *1e-4*: to a ten-thousandth; *batch 1*: not with a free batch,
but with `batch_size=1`; *refused*: the op that the format has nothing for; *wrong*: the converter's file would answer something else
from this op on, and is not kept. Where samples of one layer differ the worst is told. This page is written by `python -m
tests.export.layer_table`, and `tests/export/test_layer_table.py` holds it against what is found.

| layer | ONNX | LiteRT | StableHLO | OpenVINO |
| --- | --- | --- | --- | --- |
"""
_ORDER = ("exact", "1e-4", "batch 1")


def available():
    """Formats whose libraries are there."""
    return [format for format, package in FORMATS.items() if importlib.util.find_spec(package)]


def found(sample, format):
    """What the table says of a row in a format: one of `_ORDER`, or the op that is refused."""
    inputs = [mlkit.Input(x.shape[1:], dtype=x.dtype.name) for x in arrays(sample)]
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as work:
        warnings.simplefilter("ignore")
        model = mlkit.Model(inputs, call(sample, make(sample, mlkit.layers), inputs))
        path = os.path.join(work, "m" + SUFFIXES[format])
        options = {"platforms": ("cpu",)} if format == "stablehlo" else {}
        try:
            return _written(model, path, options)
        except (NotImplementedError, RuntimeError) as error:
            assert not os.listdir(work)
            if format == "litert":
                with contextlib.suppress(NotImplementedError, RuntimeError):
                    _written(model, path, {"batch_size": 1})
                    return "batch 1"
            return _reason(str(error))


def _written(model, path, options):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        model.export(path, verbose=True, **options)
    return "exact" if float(re.search(r"differs by (\S+) of", said.getvalue())[1]) <= 0.01 else "1e-4"


def _reason(text):
    if "answers something else" in text:
        return f"wrong: {(re.search(r'difference is in (.*?) of', text) or ['', 'the whole'])[1]}"
    match = re.search(r"^(?:export: )?(\w+) in |nothing for (\w+) of|the size .* cannot be written|begins with strings", text)
    if match is None:
        raise AssertionError(text)
    return f"refused: {match[1] or match[2]}" if match[1] or match[2] else "refused: its sizes"


def worst(answers):
    """The one that promises least."""
    return max(answers, key=lambda a: _ORDER.index(a) if a in _ORDER else len(_ORDER))


def read():
    """Layer -> format -> what the page says."""
    with open(PAGE) as file:
        rows = [line.strip("|\n ").split(" | ") for line in file if line.startswith("| `")]
    return {row[0].strip("`"): dict(zip(FORMATS, (cell.strip() for cell in row[1:]))) for row in rows}


def main():
    """Write the page."""
    known = read() if os.path.exists(PAGE) else {}
    told: dict[str, dict[str, list[str]]] = {}
    for i, sample in enumerate(SAMPLES):
        for format in available():
            told.setdefault(sample.name, {}).setdefault(format, []).append(found(sample, format))
        print(i + 1, len(SAMPLES), sample, {f: a[-1] for f, a in told[sample.name].items()}, file=sys.stderr, flush=True)
    with open(PAGE, "w") as file:
        file.write(HEAD)
        for name in sorted(told):
            cells = [worst(told[name][f]) if f in told[name] else known.get(name, {}).get(f, "not tried") for f in FORMATS]
            file.write(f"| `{name}` | {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
