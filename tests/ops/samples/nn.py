"""Public functions of mlkit.ops.nn but for convolution and pooling."""

import numpy as np

from tests.ops.sample import Bad, S, b, const, f, i, pos, unit

_ACTIVATIONS = [
    "celu", "elu", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu",
    "log_sigmoid",
    "log_softmax", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "squareplus", "swish", "tanh_shrink",
]  # fmt: skip
_LARGE = const([-200.0, -30.0, 30.0, 200.0])
_PROBABILITIES = const([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3]])
_OFF = const([[0.05, 0.25, 0.7], [0.3, 0.3, 0.3]])  # near enough to probabilities, as after rounding


def _simplex(x):
    """Projection to the probability simplex by trying every size of the support."""
    ordered = np.sort(x, axis=-1)[..., ::-1]
    sizes = np.arange(1, x.shape[-1] + 1)
    taus = (np.cumsum(ordered, axis=-1) - 1) / sizes
    k = np.sum(ordered > taus, axis=-1, keepdims=True)
    return np.maximum(x - np.take_along_axis(taus, k - 1, axis=-1), 0)


_Q, _K, _V = f(2, 3, 4, 5), f(2, 6, 4, 5), f(2, 6, 4, 5)

SAMPLES = [
    *[S(name, f(3, 4)) for name in _ACTIVATIONS],
    *[
        S(name, _LARGE, _second=False)
        for name in ("softplus", "log_sigmoid", "sigmoid", "gelu", "silu", "softmax", "log_softmax", "elu")
    ],
    *[S(name, i(-3, 4, 5), _grad=False) for name in ("relu", "elu", "leaky_relu", "softmax", "softplus", "gelu", "hard_tanh")],
    S("relu", const([0.0, -0.0, 1.0, np.nan]), _grad=False),
    S("gelu", f(3, 4), approximate=False),
    S("elu", f(3, 4), alpha=0.7),
    S("celu", f(3, 4), alpha=0.7),
    S("leaky_relu", f(3, 4), negative_slope=0.3),
    S("glu", f(4, 3), axis=0, _known=True),
    S("threshold", f(3, 4), 0.3, -1.0),
    S("hard_shrink", f(3, 4), threshold=1.0),
    S("softmax", f(2, 3, 4), axis=1),
    S("softmax", f(2, 3, 4), axis=(0, 2)),
    S("log_softmax", f(2, 3, 4), axis=(1, 2)),
    S(
        "sparsemax", f(3, 5), _np=_simplex, _keras=False
    ),  # Keras 3.15 subtracts the wrong threshold: its results do not sum to 1
    S("sparsemax", f(5, 3), axis=0, _np=lambda x, axis: _simplex(x.T).T, _keras=False),
    # encoding
    S("one_hot", i(-1, 5, 2, 3), 4, _grad=False),
    S("one_hot", i(0, 4, 2, 3), 4, axis=1, dtype="int32", _grad=False),
    S("multi_hot", i(0, 5, 2, 3), 5, _grad=False),
    S("multi_hot", i(0, 5, 3), 5, _grad=False),
    S("polar", pos(2, 3), f(2, 3), _grad=False),
    # cross-entropies
    S("binary_crossentropy", unit(2, 3), unit(2, 3)),
    S("binary_crossentropy", unit(2, 3), f(2, 3), from_logits=True),
    S("binary_crossentropy", const([0.0, 1.0, 1.0]), const([0.0, 1.0, 0.0]), _grad=False),
    S("categorical_crossentropy", _PROBABILITIES, _OFF),
    S("categorical_crossentropy", _PROBABILITIES, f(2, 3), from_logits=True),
    S("categorical_crossentropy", unit(2, 3, 4), unit(2, 3, 4), axis=1),
    S("categorical_crossentropy", unit(2, 3, 4), f(2, 3, 4), from_logits=True, axis=1),
    S("sparse_categorical_crossentropy", i(0, 3, 2), _OFF),
    S("sparse_categorical_crossentropy", i(0, 3, 2, 1), f(2, 3), from_logits=True),
    S("sparse_categorical_crossentropy", i(-1, 5, 2, 4), f(2, 4, 3), from_logits=True),
    S("psnr", unit(2, 3), unit(2, 3), 1.0),
    # normalization
    S("moments", f(2, 3, 4), axes=(0, 2)),
    S("moments", f(2, 3, 4), axes=[1], keepdims=True),
    S("batch_normalization", f(2, 3, 4), f(4), pos(4), axis=-1),
    S("batch_normalization", f(2, 3, 4), f(3), pos(3), axis=1, offset=f(3), scale=f(3), epsilon=0.1),
    S("layer_normalization", f(3, 5), f(5), f(5), epsilon=0.01),
    S("layer_normalization", f(3, 5), epsilon=0.01),
    S("layer_normalization", f(2, 3, 4), f(3, 4), None, axis=(1, 2), epsilon=0.01),
    S("layer_normalization", f(2, 3, 4), f(3), f(3), axis=1, epsilon=0.01),
    S("rms_normalization", f(3, 5), f(5), epsilon=0.01),
    S("rms_normalization", f(3, 5), axis=0, epsilon=0.01),
    S("normalize", f(3, 4)),
    S("normalize", f(3, 4), axis=0, order=3),
    S("normalize", const([0.0, 0.0]), _grad=False),
    # attention
    S("dot_product_attention", _Q, _K, _V),
    S("dot_product_attention", _Q, _K, _V, mask=b(2, 1, 3, 6), scale=0.5),
    S("dot_product_attention", _Q, _K, _V, is_causal=True),
    S("dot_product_attention", _Q, _K, _V, bias=f(1, 4, 3, 6), mask=b(2, 4, 3, 6), is_causal=True),
    S("dot_product_attention", _Q, f(2, 6, 2, 5), f(2, 6, 2, 5), mask=b(2, 1, 3, 6)),
    # blocks
    S("depth_to_space", f(2, 2, 3, 8), 2),
    S("depth_to_space", f(2, 8, 2, 3), 2, data_format="channels_first"),
    S("space_to_depth", f(2, 4, 6, 2), 2),
    S("space_to_depth", f(2, 2, 4, 6), 2, data_format="channels_first"),
    S("unfold", f(2, 2, 5, 6), 2),
    S("unfold", f(1, 2, 5, 6), (3, 2), dilation=(1, 2), padding=(2, 1), stride=(2, 1)),
    S("fold", f(2, 8, 20), (5, 6), 2),
    S("fold", f(1, 12, 12), (5, 6), (3, 2), dilation=(1, 2), padding=(2, 1), stride=(2, 2)),
    # connectionist temporal classification
    S(
        "ctc_loss",
        const([[1, 2, 2], [3, 1, 0]], "int32"),
        f(2, 7, 4),
        const([3, 2], "int32"),
        const([7, 5], "int32"),
        _second=False,
    ),
    S(
        "ctc_loss",
        const([[1, 0, 1]], "int32"),
        f(1, 6, 4),
        const([3], "int32"),
        const([6], "int32"),
        mask_index=3,
        _second=False,
    ),
    S(
        "ctc_loss",
        const([[1, 2, -1], [3, 9, 9]], "int32"),
        f(2, 7, 4),
        const([2, 1], "int32"),
        const([7, 4], "int32"),
        _second=False,
    ),  # labels behind the length do not count
    S("ctc_decode", f(2, 7, 4), const([7, 5], "int32"), _grad=False),
    S("ctc_decode", f(2, 7, 4), const([7, 5], "int32"), merge_repeated=False, mask_index=None, _grad=False),
    S("ctc_decode", f(2, 6, 4), const([6, 4], "int32"), strategy="beam_search", beam_width=12, top_paths=3, _grad=False),
]

BAD = [
    Bad("glu", f(2, 3), match="even size"),
    Bad("softmax", f(2, 3), axis=2, match="axis 2 is out of range"),
    Bad("one_hot", i(0, 3, 2), 3, sparse=True, error=NotImplementedError, match="sparse"),
    Bad("multi_hot", i(0, 3, 2), match="num_classes"),
    Bad("binary_crossentropy", f(2, 3), f(2, 4), match="same shape"),
    Bad("categorical_crossentropy", f(2, 3), f(2, 4), match="same shape"),
    Bad("sparse_categorical_crossentropy", i(0, 3, 4), f(2, 3), match="needs a `target`"),
    Bad("moments", f(2, 3), axes=0, synchronized=True, error=NotImplementedError, match="synchronized"),
    Bad("batch_normalization", f(2, 3), f(2, 3), f(2, 3), axis=1, match="must be vectors"),
    Bad("normalize", f(2, 3), order=0, match="order"),
    Bad("dot_product_attention", f(2, 3, 4), f(2, 3, 4), f(2, 3, 4), match="expected tensors of shape"),
    Bad("dot_product_attention", _Q, _K, _V, attn_logits_soft_cap=1.0, match="attn_logits_soft_cap"),
    Bad("dot_product_attention", _Q, _K, _V, bias=f(1, 4, 3, 6), flash_attention=True, match="flash_attention"),
    Bad("depth_to_space", f(2, 2, 3, 7), 2, match="divisible by 4"),
    Bad("space_to_depth", f(2, 2, 3, 7), 1, match="block_size"),
    Bad("unfold", f(2, 3), 2, match="shape"),
    Bad("ctc_decode", f(2, 7, 4), i(1, 3, 2), strategy="best", match="strategy"),
    Bad("ctc_loss", i(1, 3, 2), f(2, 7, 4), i(1, 3, 2), i(1, 3, 2), match="ctc_loss: expected"),
    Bad("ctc_loss", i(1, 3, 2, 3), f(1, 7, 4), i(1, 3, 2), i(1, 3, 2), match="`target` must have shape"),
    Bad("ctc_loss", i(1, 3, 2, 3), f(2, 7, 4), i(1, 3, 3), i(1, 3, 2), match="`target_length` must have shape"),
    Bad("ctc_loss", i(1, 3, 2, 3), f(2, 7, 4), i(1, 3, 2), i(1, 3, 2), mask_index=4, match="`mask_index` 4 is none of the 4"),
    Bad(
        "ctc_loss",
        i(4, 5, 2, 3),
        f(2, 7, 4),
        i(1, 3, 2),
        i(1, 3, 2),
        eager_only=True,
        match="labels in `target` must be in 0 to 3",
    ),
    Bad("ctc_loss", i(-1, 0, 2, 3), f(2, 7, 4), i(1, 3, 2), i(1, 3, 2), eager_only=True, match="one is -1"),
    Bad(
        "ctc_loss",
        i(1, 3, 2, 3),
        f(2, 7, 4),
        i(4, 5, 2),
        i(1, 3, 2),
        eager_only=True,
        match="`target_length` must be in 0 to 3",
    ),
    Bad(
        "ctc_loss",
        i(1, 3, 2, 3),
        f(2, 7, 4),
        i(1, 3, 2),
        i(8, 9, 2),
        eager_only=True,
        match="`output_length` must be in 0 to 7",
    ),
    Bad("ctc_decode", f(1, 7, 4), i(1, 3, 2), match="`sequence_lengths` must have shape"),
    Bad("ctc_decode", f(2, 7, 4), i(8, 9, 2), eager_only=True, match="`sequence_lengths` must be in 0 to 7"),
    Bad("batch_normalization", f(2, 3, 1), f(4), f(4), -1, match="vectors of the size of axis 2"),
    Bad("layer_normalization", f(3, 5), f(1), f(5), match="needs gamma and beta of shape"),
    Bad("layer_normalization", f(3, 1), f(5), f(5), match="needs gamma and beta of shape"),
    Bad("dot_product_attention", f(2, 3, 4, 0), f(2, 6, 4, 0), f(2, 6, 4, 5), match="nothing to compare"),
    Bad("dot_product_attention", f(2, 3, 4, 5), f(2, 6, 0, 5), f(2, 6, 0, 5), match="nothing to compare"),
    Bad("dot_product_attention", *[f(2, 3, 4, 5)] * 3, f(1, 1, 4, 3, 3), match="the bias must broadcast"),
]
