"""Every row of the table of layers as an ONNX file: what ONNX Runtime answers is compared where the file is written."""

import re
import warnings

import pytest

import mlkit
from tests.layers.check_layer import arrays, call, make
from tests.layers.samples import SAMPLES

pytest.importorskip("onnx", reason='ONNX files are written with onnx: pip install "mlkit-engine[onnx]"')
pytest.importorskip("onnxruntime", reason='ONNX files are run by ONNX Runtime: pip install "mlkit-engine[onnx]"')

REFUSED = {  # layer -> what in it has no form in ONNX, as the message names it
    "MelSpectrogram": "complex in sample",
    "ContrastLimitedAdaptiveHistogramEqualization": "scatter_add in sample",
}
QUICK = {
    "Dense",
    "LSTM",
    "GRU",
    "Conv2D",
    "Conv2DTranspose",
    "BatchNormalization",
    "MultiHeadAttention",
    "Embedding",
    "Resizing",
}


def rows():
    """The rows as parameters, marked slow but for the first of each quick layer."""
    left, found = set(QUICK), []
    for sample in SAMPLES:
        found.append(pytest.param(sample, id=str(sample), marks=[] if sample.name in left else [pytest.mark.slow]))
        left.discard(sample.name)
    return found


@pytest.mark.parametrize("sample", rows())
def test_layer(sample, tmp_path):
    inputs = [mlkit.Input(x.shape[1:], dtype=x.dtype.name) for x in arrays(sample)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = mlkit.Model(inputs, call(sample, make(sample, mlkit.layers), inputs))
        if sample.name in REFUSED:
            with pytest.raises(NotImplementedError, match=re.escape(REFUSED[sample.name])):
                model.export(tmp_path / "m.onnx", verbose=False)
            assert not list(tmp_path.iterdir())
            return
        model.export(tmp_path / "m.onnx", verbose=False)
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
