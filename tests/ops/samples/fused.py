"""Fused ops: each is compared with its fallback."""

from mlkit.compiler.chain import Chain
from mlkit.primitives.catalogue import OPS
from mlkit.primitives.fused.epilogue import activations
from tests.ops.sample import Bad, P, b, f, i, pos, unit

_SEQUENCE = dict(_atol=1e-5)
_LSTM = (f(2, 3, 4), f(2, 5), f(2, 5), f(4, 20), f(5, 20))
_GRU = (f(2, 3, 4), f(2, 5), f(4, 15), f(5, 15))
_RNN = (f(2, 3, 4), f(2, 5), f(4, 5), f(5, 5))
_BEFORE = dict(reset_after=False)
_ACTS = (None, *activations())
_ADAM, _RMS = dict(beta_1=0.9, beta_2=0.8, epsilon=0.1), dict(rho=0.9, epsilon=5.0)
_BITS = i(0, 256, 3, dtype="uint8")
_CONV = dict(strides=(1, 2), padding="same", dilation=(1, 1), groups=1)
_POOL = dict(window=(2, 2), strides=(2, 2), padding="same")
_STATISTICS = dict(axes=(0, 1, 2), epsilon=0.1)
_PRODUCT = Chain(2, [(OPS["mul"], (0, 1), {}), (OPS["sub"], ((1.0,), 2), {})], [2, 3])
_TWO, _NINE = (f(2, 2, 3, 3, 2), f(2, 2, 3, 3, 2)), i(0, 256, 9, dtype="uint8")


def _laid(blocked, results, block=2):
    return dict(block=block, blocked=blocked, results=results, _grad=False)


SAMPLES = [
    P("relu", f(3, 4)),
    P("relu_grad", f(3, 4), f(3, 4), _second=False),
    P("relu6", f(3, 4)),
    P("relu6_grad", f(3, 4), f(3, 4), _second=False),
    P("silu", f(3, 4)),
    P("silu_grad", f(3, 4), f(3, 4)),
    *[P("gelu", f(3, 4), approximate=a) for a in (True, False)],
    *[P("gelu_grad", f(3, 4), f(3, 4), approximate=a) for a in (True, False)],
    P("softplus", f(3, 4)),
    P("softplus", f()),
    P("masked_scale", f(3, 4), b(3, 4), scale=2.0),
    P("masked_scale", f(2, 3, 4), b(2, 1, 4), scale=1.25),
    *[P("softmax", f(2, 3, 4), axis=a) for a in (1, 2)],
    P("softmax_grad", f(2, 3, 4), unit(2, 3, 4), axis=1),
    P("log_softmax", f(2, 3, 4), axis=2),
    P("log_softmax_grad", f(2, 3, 4), f(2, 3, 4), axis=2),
    P("softmax_cross_entropy", f(2, 3, 4), i(-1, 5, 2, 3)),
    P("softmax_cross_entropy", f(2, 3, 4), unit(2, 3, 4)),
    P("softmax_cross_entropy_grad", f(3), f(3, 4), i(0, 4, 3), pos(3)),
    P("softmax_cross_entropy_grad", f(3), f(3, 4), unit(3, 4), pos(3)),
    P("fused_elementwise", f(2, 3), f(3), chain=_PRODUCT),
    P("multi_tensor_apply", f(2, 3), f(2, 3), f(4), f(), chains=(_PRODUCT, _PRODUCT)),
    P("pack", f(2, 3), f(4), f(), sizes=(6, 4, 3), _known=True),
    P("unpack", f(10), shapes=((2, 3), (4,)), _known=True),
    P("sgd_update", f(3, 4), f(3, 4), pos(), momentum=0.0, nesterov=False),
    *[P("sgd_update", f(3, 4), f(3, 4), f(3, 4), pos(), momentum=0.9, nesterov=n) for n in (False, True)],
    P("adam_update", f(3, 4), f(3, 4), pos(3, 4), f(3, 4), pos(), **_ADAM),
    P("adam_update", f(), f(), pos(), pos(), f(), f(), **_ADAM),
    P("rmsprop_update", f(3, 4), pos(3, 4), f(3, 4), pos(), momentum=0.0, centered=False, **_RMS),
    P("rmsprop_update", f(3, 4), pos(3, 4), f(3, 4), unit(3, 4), f(3, 4), pos(), momentum=0.5, centered=True, **_RMS),
    *[P("resample", f(2, 5, 6, 3), size=n, method=m) for m in ("nearest", "linear") for n in ((10, 9), (5, 2))],
    *[P("resample_grad", f(2, 5, 6, 3), size=n, method=m) for m in ("nearest", "linear") for n in ((1, 3), (4, 9))],
    P("resample", f(2, 3, 4), size=(9,), method="nearest"),
    *[P("top_k_indices", x, k=3, _grad=False) for x in (f(2, 5), i(0, 3, 2, 3, 9))],
    P("resample", f(1, 2, 3, 2, 2), size=(3, 1, 4), method="linear"),
    P("resample", i(0, 9, 2, 3, 4, 1), size=(6, 3), method="nearest", _grad=False),
    P("matmul_wide", f(2, 3), f(3, 4)),
    P("sum_wide", f(2, 3, 4), axes=(0, 1), keepdims=False),
    P("conv_kernel_wide", f(2, 5, 6, 3), f(2, 5, 3, 4), shape=(3, 3, 3, 4), **_CONV),
    P("batch_norm", f(2, 3, 4), f(4), f(4), axes=(0, 1), epsilon=0.1),
    P("batch_norm", f(2, 3, 4), None, None, axes=(0, 2), epsilon=0.1),
    P("batch_norm_grad", f(2, 3, 4), f(2, 3, 4), f(4), f(4), pos(4), axes=(0, 1), epsilon=0.1),
    P("batch_norm_grad", f(2, 3, 4), f(2, 3, 4), None, f(3), pos(3), axes=(0, 2), epsilon=0.1),
    P("batch_norm_relu", f(2, 3, 4), f(4), f(4), axes=(0, 1), epsilon=0.1, _grad=False, _known=True),
    P("batch_norm_relu", f(3, 3), None, None, axes=(0,), epsilon=0.1, _grad=False, _known=True),
    P("batch_norm_relu_grad", f(2, 3, 4), f(2, 3, 4), f(4), f(4), pos(4), _BITS, axes=(0, 1), epsilon=0.1, _grad=False),
    P("batch_norm_add_relu", f(2, 3, 4), f(4), f(4), f(2, 3, 4), axes=(0, 1), epsilon=0.1, _grad=False, _known=True),
    P("batch_norm_add_relu", f(3, 3), None, None, f(3, 3), axes=(0,), epsilon=0.1, _grad=False, _known=True),
    P("batch_norm_add_relu_grad", f(2, 3, 4), f(2, 3, 4), f(4), f(4), pos(4), _BITS, axes=(0, 1), epsilon=0.1, _grad=False),
    # images in blocks of channels
    P("conv_in_blocks", f(2, 2, 5, 6, 2), f(3, 3, 4, 6), **_laid((0,), (), block=2), **_CONV),
    P(
        "conv_bias_act_in_blocks",
        f(2, 5, 6, 3),
        f(3, 3, 3, 4),
        f(4),
        f(2, 2, 5, 3, 2),
        act="relu",
        **_laid((3,), (0,)),
        **_CONV,
    ),
    P("conv_input_in_blocks", f(2, 2, 5, 3, 2), f(3, 3, 4, 4), shape=(2, 5, 6, 4), **_laid((0,), (0,)), **_CONV),
    P("conv_kernel_in_blocks", f(2, 5, 6, 3), f(2, 2, 5, 3, 2), shape=(3, 3, 3, 4), **_laid((1,), ()), **_CONV),
    P("conv_kernel_wide_in_blocks", f(2, 5, 6, 3), f(2, 2, 5, 3, 2), shape=(3, 3, 3, 4), **_laid((1,), ()), **_CONV),
    P("batch_norm_in_blocks", f(2, 2, 3, 3, 2), f(4), None, **_laid((0,), (0,)), **_STATISTICS),
    P("batch_norm_grad_in_blocks", *_TWO, f(4), f(4), pos(4), **_laid((0, 1), (0,)), **_STATISTICS),
    P("batch_norm_relu_in_blocks", f(2, 2, 3, 3, 2), f(4), f(4), **_laid((0,), (0,)), **_STATISTICS, _known=True),
    P("batch_norm_relu_grad_in_blocks", *_TWO, f(4), f(4), pos(4), _NINE, **_laid((0, 1), (0,)), **_STATISTICS, _known=True),
    P("max_pool_in_blocks", f(2, 2, 5, 5, 2), **_laid((0,), (0,)), **_POOL),
    P("avg_pool_in_blocks", f(2, 2, 5, 5, 2), **_laid((0,), (0,)), **_POOL),
    # drawn for themselves these are no maxima, and each library does with them what it likes
    P("max_pool_grad_in_blocks", f(2, 2, 5, 5, 2), *[f(2, 2, 3, 3, 2)] * 2, **_laid((0, 1, 2), (0,)), _jax=False, **_POOL),
    P("avg_pool_grad_in_blocks", f(2, 2, 3, 3, 2), shape=(2, 5, 5, 4), **_laid((0,), (0,)), **_POOL),
    P("layer_norm", f(2, 3, 4), f(4), f(4), rank=1, epsilon=0.1),
    P("layer_norm", f(2, 3, 4), None, f(3, 4), rank=2, epsilon=0.1),
    P("layer_norm_grad", f(2, 3, 4), f(2, 3, 4), f(4), f(2, 3, 1), pos(2, 3, 1), rank=1, epsilon=0.1),
    P("layer_norm_grad", f(2, 3, 4), f(2, 3, 4), None, f(2, 1, 1), pos(2, 1, 1), rank=2, epsilon=0.1),
    P("group_norm", f(2, 3, 4), f(4), f(4), groups=2, epsilon=0.1),
    P("group_norm", f(2, 2, 3, 6), None, f(6), groups=2, epsilon=0.1),
    P("group_norm_grad", f(2, 3, 4), f(2, 3, 4), f(4), f(2, 2), pos(2, 2), groups=2, epsilon=0.1),
    P("group_norm_grad", f(2, 2, 3, 6), f(2, 2, 3, 6), None, f(2, 3), pos(2, 3), groups=3, epsilon=0.1),
    P("rms_norm", f(2, 3, 4), f(4), rank=1, epsilon=0.1),
    P("rms_norm", f(2, 3, 4), None, rank=2, epsilon=0.1),
    P("rms_norm_grad", f(2, 3, 4), f(2, 3, 4), f(4), pos(2, 3, 1), rank=1, epsilon=0.1),
    P("rms_norm_grad", f(2, 3, 4), f(2, 3, 4), None, pos(2, 1, 1), rank=2, epsilon=0.1),
    P("attention", f(2, 3, 2, 4), f(2, 5, 2, 4), f(2, 5, 2, 3), None, scale=0.5, causal=False),
    P("attention", f(2, 3, 2, 4), f(2, 5, 2, 4), f(2, 5, 2, 3), b(2, 1, 3, 5), scale=0.5, causal=True),
    P(
        "attention_grad",
        f(2, 3, 2, 4),
        f(2, 3, 2, 4),
        f(2, 5, 2, 4),
        f(2, 5, 2, 4),
        b(2, 1, 3, 5),
        scale=0.5,
        causal=False,
        _second=False,
    ),
    P("lstm", *_LSTM, f(20), **_SEQUENCE),
    P("lstm", *_LSTM, None, reverse=True, **_SEQUENCE),
    *[
        P("lstm_grad", *g, *_LSTM, bias, reverse=reverse, _second=False, **_SEQUENCE)
        for g, bias, reverse in (
            ((f(2, 3, 5), f(2, 5), f(2, 5)), f(20), False),
            ((f(2, 3, 5), None, None), None, True),
            ((None, f(2, 5), None), None, False),
        )
    ],
    P("gru", *_GRU, f(2, 15), **_SEQUENCE),
    P("gru", *_GRU, None, reverse=True, **_SEQUENCE),
    P("gru", *_GRU, f(15), **_BEFORE, **_SEQUENCE),
    P("gru", *_GRU, None, reverse=True, **_BEFORE, **_SEQUENCE),
    *[
        P("gru_grad", *g, *_GRU, bias, **options, _second=False, **_SEQUENCE)
        for g, bias, options in (
            ((f(2, 3, 5), f(2, 5)), f(2, 15), {}),
            ((f(2, 3, 5), None), None, dict(reverse=True)),
            ((None, f(2, 5)), None, {}),
            ((f(2, 3, 5), f(2, 5)), f(15), _BEFORE),
            ((f(2, 3, 5), None), None, dict(reverse=True, **_BEFORE)),
        )
    ],
    *[P("rnn", *_RNN, f(5), activation=a, **_SEQUENCE) for a in ("tanh", "sigmoid", "relu")],
    P("rnn", *_RNN, None, activation="tanh", reverse=True, **_SEQUENCE),
    *[
        P("rnn_grad", *g, *_RNN, bias, activation=a, reverse=reverse, _second=False, **_SEQUENCE)
        for a, g, bias, reverse in (
            ("tanh", (f(2, 3, 5), f(2, 5)), f(5), False),
            ("sigmoid", (f(2, 3, 5), None), None, True),
            ("relu", (None, f(2, 5)), f(5), False),
        )
    ],
    # products with bias and activation
    *[P("matmul_bias_act", f(3, 4), f(4, 5), f(5), act=a) for a in _ACTS],
    P("matmul_bias_act", f(2, 3, 4), f(4, 5), None, act="relu"),
    *[P("conv_bias_act", f(2, 5, 6, 2), f(3, 3, 2, 4), f(4), act=a, **_CONV) for a in (None, "relu", "silu")],
    P("conv_bias_act", f(2, 5, 6, 2), f(1, 1, 2, 4), None, act="tanh", **_CONV),
    P("matmul_bias_act", f(3, 4), f(4, 5), f(5), f(3, 5), act="tanh"),
    P("conv_bias_act", f(2, 5, 6, 2), f(1, 1, 2, 4), f(4), f(2, 5, 3, 4), act="silu", **_CONV),
    # products with the gradient of an activation, or with what it takes
    *[
        P("matmul_act_grad", f(3, 5), f(4, 5), f(3, 4), act=a, _grad=False)
        for a in ("relu", "relu6", "silu", "gelu", "gelu_exact")
    ],
    P("matmul_act_grad", f(2, 3, 5), f(4, 5), f(2, 3, 4), act="gelu", _grad=False),
    P("conv_input_act_grad", f(2, 5, 3, 4), f(3, 3, 2, 4), f(2, 5, 6, 2), act="relu", shape=(2, 5, 6, 2), _grad=False, **_CONV),
    *[P("matmul_act_kept", f(3, 4), f(4, 5), f(5), act=a, _grad=False) for a in ("gelu", "gelu_exact")],
    P("matmul_act_kept", f(2, 3, 4), f(4, 5), None, act="silu", _grad=False),
    # transforms
    P("rfft", f(2, 6), _grad=False),
    P("rfft", f(2, 7), _grad=False),
]

BAD = [
    Bad("sgd_update", f(3), f(4), pos(), momentum=0.0, nesterov=False, op=True, match="must have one shape"),
    Bad("masked_scale", f(3), f(3), scale=1.0, op=True, error=TypeError, match="must be bool"),
    Bad("top_k_indices", f(2, 5), k=6, op=True, match="`k` must be between 0 and the size"),
    Bad("resample", f(2, 3, 4), size=(3, 4), method="linear", op=True, match="need an input of 4 axes"),
    Bad("resample", f(2, 3, 4), size=(0,), method="linear", op=True, match="cannot make spatial sizes"),
    Bad("resample", f(2, 3, 4), size=(5,), method="cubic", op=True, match='must be "nearest" or "linear"'),
    Bad("resample", i(0, 3, 2, 3, 4), size=(5,), method="linear", op=True, error=TypeError, match="takes floats"),
    Bad("softmax", i(0, 3, 2), axis=0, op=True, error=TypeError, match="float tensor"),
    Bad("softmax_cross_entropy", f(2, 3), i(0, 3, 3), op=True, match="integer targets"),
    Bad("batch_norm", f(2, 3), f(2), f(3), axes=(0,), epsilon=0.1, op=True, match="scale and offset"),
    Bad("layer_norm", f(2, 3), f(2), None, rank=1, epsilon=0.1, op=True, match="scale and offset"),
    Bad("group_norm", f(2, 3, 4), f(4), f(4), groups=3, epsilon=0.1, op=True, match="do not divide into 3 groups"),
    Bad("group_norm", f(2, 3, 4), f(3), None, groups=2, epsilon=0.1, op=True, match="scale and offset"),
    Bad("rms_norm", f(2, 3), f(2), rank=1, epsilon=0.1, op=True, match="scale and offset"),
    Bad("attention", f(2, 3, 4), f(2, 3, 4), f(2, 3, 4), None, scale=1.0, causal=False, op=True, match="batch, length, heads"),
    Bad("matmul_bias_act", f(3, 4), f(4, 5), f(4), act=None, op=True, match="bias must have shape"),
    Bad("matmul_bias_act", f(3, 4), f(4, 5), f(5), act="elu", op=True, match="unknown activation"),
    Bad("matmul_act_grad", f(3, 5), f(4, 5), f(3, 4), act="tanh", op=True, match="unknown activation.*without a gradient op"),
    Bad("matmul_act_grad", f(3, 5), f(4, 5), f(3, 5), act="relu", op=True, match="kept of the activation must have shape"),
    Bad("matmul_act_grad", f(3, 5), f(5), f(3, 5), act="relu", op=True, match="two axes or more"),
    Bad("matmul_bias_act", f(3, 4), f(4, 5), f(5), f(4), act=None, op=True, match="added must have shape"),
    Bad("lstm", f(2, 3, 4), f(2, 5), f(2, 5), f(3, 20), f(5, 20), None, op=True, match="need a kernel"),
    Bad("rnn", f(2, 3, 4), f(2, 5), f(4, 5), f(5, 5), None, activation="elu", op=True, match="unknown activation"),
    Bad("gru", f(2, 3, 4), f(2, 5), f(4, 15), f(5, 20), None, op=True, match="need a kernel"),
]
