"""Convolution and pooling: the primitives over their parameters, the public functions over Keras's options."""

from mlkit.core.spec import window_output
from mlkit.ops import convert_to_tensor
from mlkit.primitives import window
from tests.ops.sample import Bad, F, P, S, f, i


def _conv(spatial, size, channels=3, filters=4, strides=1, padding="valid", dilation=1, groups=1):
    """Rows of the three convolutions of one geometry; spatial and window sizes are given per axis."""
    rank = len(spatial)
    s, d = (strides,) * rank, (dilation,) * rank
    p = dict(strides=s, padding=padding, dilation=d, groups=groups)
    out = [window_output(padding, a, n, k, strides, dilation) for a, (n, k) in enumerate(zip(spatial, size))]
    x, w, y = (2, *spatial, channels), (*size, channels // groups, filters), (2, *out, filters)
    return [
        P("conv", f(*x), f(*w), **p),
        P("conv_input", f(*y), f(*w), shape=x, **p, _known=True),
        P("conv_kernel", f(*x), f(*y), shape=w, **p),
    ]


def _pool(spatial, size, strides, padding="valid"):
    rank = len(spatial)
    p = dict(window=(size,) * rank, strides=(strides,) * rank, padding=padding)
    out = [window_output(padding, a, n, size, strides) for a, n in enumerate(spatial)]
    x = (2, *spatial, 3)
    return [
        P("max_pool", f(*x), **p),
        P("avg_pool", f(*x), **p),
        P("avg_pool_grad", f(2, *out, 3), shape=x, **p, _known=True),
    ]


def _maxima(name, draw):
    """The gradient ops of max pooling for an input and its own maxima."""
    p = dict(window=(2, 2), strides=(2, 2), padding="same")

    def run(x, t):
        x, t = map(convert_to_tensor, (x, t))  # they may be Variables; primitives take tensors
        return getattr(window, name)(x, window.max_pool(x, **p), t, **p)

    return F(name, run, f(2, 5, 4, 3), draw)


SAMPLES = [
    *_conv((7,), (3,), strides=2, padding="same"),
    *_conv((5, 6), (3, 2)),
    *_conv((6, 5), (3, 3), padding="same", strides=2),
    *_conv((6, 6), (2, 3), dilation=2),
    *_conv((5, 5), (3, 3), padding=((1, 2), (0, 1))),
    *_conv((5, 5), (3, 3), channels=4, filters=6, groups=2),
    *_conv((5, 5), (3, 3), channels=4, filters=8, groups=4, padding="same"),
    *_conv((5, 4), (1, 1), strides=2),
    *_conv((3, 4, 3), (2, 2, 2), padding="same"),
    *_pool((7,), 3, 2, "same"),
    *_pool((6, 5), 2, 2),
    *_pool((5, 5), 3, 1, "same"),
    *_pool((4, 4, 4), 2, 2),
    _maxima("max_pool_grad", f(2, 3, 2, 3)),
    _maxima("max_pool_pick", f(2, 5, 4, 3)),
    # drawn for themselves these are no maxima of x, and each library does with them what it likes
    P("max_pool_grad", f(2, 4, 3), f(2, 2, 3), f(2, 2, 3), window=(2,), strides=(2,), padding="valid", _grad=False, _jax=False),
    P("max_pool_pick", f(2, 4, 3), f(2, 2, 3), f(2, 4, 3), window=(2,), strides=(2,), padding="valid", _grad=False, _jax=False),
    P("max_pool", i(-5, 9, 2, 5, 3), window=(2,), strides=(1,), padding="same", _grad=False),
    # public functions
    *[S("conv", f(2, 6, 5, 4), f(3, 2, 4, 3), strides=s, padding=p) for s in (1, (2, 1)) for p in ("valid", "same")],
    S("conv", f(2, 8, 4), f(3, 4, 2), dilation_rate=2),
    S("conv", f(2, 4, 4, 4, 2), f(2, 2, 2, 2, 3)),
    S("conv", f(2, 4, 6, 5), f(3, 3, 2, 6), data_format="channels_first", _known=True),
    S("depthwise_conv", f(2, 6, 5, 3), f(3, 3, 3, 2), padding="same"),
    S("depthwise_conv", f(2, 6, 3), f(3, 3, 1), strides=2),
    S("separable_conv", f(2, 6, 5, 3), f(3, 3, 3, 2), f(1, 1, 6, 4), strides=2, padding="same"),
    *[S("conv_transpose", f(2, 4, 3, 3), f(3, 2, 5, 3), strides=2, padding=p) for p in ("valid", "same")],
    S("conv_transpose", f(2, 4, 3), f(3, 2, 3), strides=2, output_padding=1, padding="same"),
    S("conv_transpose", f(4, 3, 4, 4), f(2, 2, 5, 3), strides=3, data_format="channels_first"),
    *[S(n, f(2, 6, 5, 3), 2, strides=2, padding=p) for n in ("max_pool", "average_pool") for p in ("valid", "same")],
    *[S(n, f(2, 6, 5, 3), (3, 2), _keras=False) for n in ("max_pool", "average_pool")],  # Keras on JAX needs strides
    *[S(n, f(2, 7, 3), 3, strides=2, padding="same") for n in ("max_pool", "average_pool")],
    *[S(n, f(2, 3, 6, 4), (3, 2), strides=1, data_format="channels_first") for n in ("max_pool", "average_pool")],
    *[S(n, f(2, 6, 7, 3), (3, 2)) for n in ("adaptive_max_pool", "adaptive_average_pool")],
    *[S(n, f(2, 6, 4, 3), 2) for n in ("adaptive_max_pool", "adaptive_average_pool")],
]

_P = dict(strides=(1, 1), padding="valid", dilation=(1, 1), groups=1)

BAD = [
    Bad("conv", f(2, 5, 5), f(3, 3, 3, 4), **_P, op=True, match="must have 4 axes"),
    Bad("conv", f(2, 5, 5, 3), f(3, 3, 4, 4), **_P, op=True, match="has 3 channels .* expects 4"),
    Bad("conv", f(2, 2, 2, 3), f(3, 3, 3, 4), **_P, op=True, match="larger than the input"),
    Bad("conv", f(2, 5, 5, 3), i(0, 2, 3, 3, 3, 4), **_P, op=True, error=TypeError, match="float32 and the kernel int32"),
    Bad("conv", f(2, 5, 5, 3), f(3, 3, 3, 4), **{**_P, "strides": (0, 1)}, op=True, match="positive integers"),
    Bad("conv_input", f(2, 3, 3, 4), f(3, 3, 3, 4), shape=(2, 6, 5, 3), **_P, op=True, match="the gradient must have shape"),
    Bad("max_pool", f(2, 5, 3), window=(2, 2), strides=(2, 2), padding="valid", op=True, match="4 axes"),
    Bad("conv", f(2, 5, 5, 3), f(3, 3, 2, 4), match="do not divide"),
    Bad("conv", f(2, 5), f(3, 3, 2, 4), match="3 to 5 axes"),
    Bad("conv", f(2, 5, 5, 3), f(3, 3, 0, 4), match="do not divide"),
    Bad("conv", f(2, 5, 5, 3), f(3, 3, 4), match="kernel must have 4 axes"),
    Bad("conv", f(2, 5, 5, 3), f(3, 3, 3, 4), padding="full", match='"valid" or "same"'),
    Bad("conv", f(2, 5, 5, 3), f(3, 3, 3, 4), strides=(1, 2, 3), match="2 of them"),
    Bad("conv", f(2, 5, 5, 3), f(3, 3, 3, 4), data_format="nhwc", match="channels_last"),
    Bad("depthwise_conv", f(2, 5, 5, 3), f(3, 3, 4, 1), match="have 3 channels .* is for 4"),
    Bad("conv_transpose", f(2, 5, 5, 3), f(3, 3, 4, 2), match="have 3 channels .* is for 2"),
    Bad("max_pool", f(2, 5, 5, 3), (2, 0), match="pool_size"),
    Bad("max_pool", f(2, 3, 3, 3), 4, match="larger than the input"),
]
