"""Arguments of all layers just outside their ranges are refused in words that name them, when the layer is made or first called."""

import dataclasses
import inspect
import re

import numpy as np
import pytest

from mlkit import layers
from tests.layers.check_layer import arrays, call, make
from tests.layers.samples import SAMPLES

COUNTS = (
    "units filters kernel_size depth_multiplier input_dim output_dim num_heads key_dim value_dim head_dim num_query_heads "
    "num_key_value_heads n height width num_tokens max_number bins num_ops num_chains chain_depth lora_rank frame_length "
    "frame_step fft_length sequence_stride num_mel_bins power_iterations strides pool_size dilation_rate size output_size"
).split()
FRACTIONS = "rate dropout recurrent_dropout momentum renorm_momentum".split()
FACTORS = "factor height_factor width_factor x_factor y_factor addition_factor threshold_factor".split()
AXES = "axis axes attention_axes shared_axes".split()
BAD = {
    **dict.fromkeys(COUNTS, (-1, 1.5)),
    **dict.fromkeys(FRACTIONS, (-0.1, 1.5)),
    **dict.fromkeys(FACTORS, (-1.5, 1.5)),
    **dict.fromkeys(AXES, (1.5, 99, -99)),
    **dict.fromkeys(("epsilon", "stddev", "l1", "l2", "min_freq", "alpha", "logit_soft_cap", "negative_slope"), (-1.0,)),
    "padding": (-1,),
    "cropping": (-1,),
    "groups": (0, -3, 1.5),
}
NEGATIVE_MEANS_SOMETHING = {("ELU", "alpha"), ("Discretization", "epsilon")}


def parameters(cls):
    """Names of the arguments a layer class takes, in its own `__init__`, its bases', or its cell's."""
    classes = [c for c in cls.__mro__ if c.__module__.startswith("mlkit.layers") and "__init__" in vars(c)]
    found = [p for c in classes for p in inspect.signature(c.__init__).parameters.values()]
    if not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(cls.__init__).parameters.values()):
        found = list(inspect.signature(cls.__init__).parameters.values())
    if getattr(cls, "cell_class", None):
        found = [*found, *inspect.signature(cls.cell_class.__init__).parameters.values()]
    return {p.name: p.default for p in found}


def rows():
    seen = set()
    for sample in SAMPLES:
        known = parameters(getattr(layers, sample.name))
        for name in BAD:
            key = sample.name, name
            given = sample.options.get(name, known.get(name))
            numbers = isinstance(given, (int, float, tuple, list)) and not isinstance(given, bool)
            if name in known and numbers and key not in seen and key not in NEGATIVE_MEANS_SOMETHING:
                seen.add(key)
                yield sample, name


ROWS = list(rows())


@pytest.mark.parametrize("sample, name", ROWS, ids=lambda v: v if isinstance(v, str) else v.name)
def test_just_outside(sample, name):
    for bad in BAD[name]:
        wrong = dataclasses.replace(sample, options={**sample.options, name: bad})
        with pytest.raises((ValueError, TypeError)) as caught:
            layer = make(wrong, layers)
            training = {"training": True} if "training" in inspect.signature(layer.call).parameters else {}
            call(wrong, layer, arrays(wrong), **{**training, **wrong.call})
        words = str(caught.value).split("\n")[0]
        assert re.search(rf"\b({name}|axes|axis)\b" if name in AXES else rf"\b{name}\b", words), (bad, words)


@pytest.mark.parametrize("sample", list({s.name: s for s in SAMPLES}.values()), ids=lambda s: s.name)
def test_unknown_arguments(sample):
    for name, value in {"batch_sise": 3, "batch_size": 4, "batch_input_shape": (None, 3)}.items():
        with pytest.raises((ValueError, TypeError), match=name):
            make(dataclasses.replace(sample, options={**sample.options, name: value}), layers)


@pytest.mark.parametrize("rate", [layers.GaussianDropout, layers.AlphaDropout])
def test_a_rate_of_one_that_would_divide_by_zero(rate):
    with pytest.raises(ValueError, match="below 1"):
        rate(1.0)
    assert np.isfinite(rate(0.99)(np.ones((2, 3), "float32"), training=True)).all()


@pytest.mark.parametrize(
    "options",
    [
        {"max_freq": 10.0}, {"max_freq": -1.0}, {"min_freq": 8000.0}, {"min_freq": -1.0}, {"min_freq": float("nan")}, {"min_power": 0.0},
        {"sampling_rate": float("inf")}, {"sampling_rate": 0}, {"fft_length": 0}, {"fft_length": 2.5}, {"sequence_stride": -1},
        {"num_mel_bins": 0}, {"top_db": -1.0}, {"mag_exp": "2"}, {"fft_length": 64, "sequence_length": 128},
    ],
)  # fmt: skip
def test_mel_spectrograms(options):
    with pytest.raises(ValueError, match=f"MelSpectrogram: .*{next(iter(options))}"):
        layers.MelSpectrogram(**options)


@pytest.mark.parametrize("variance", [-1.0, [1.0, -0.5], float("nan")])
def test_variances(variance):
    with pytest.raises(ValueError, match="`variance` must not be negative"):
        layers.Normalization(mean=0.0, variance=variance)
