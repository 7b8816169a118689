"""Activations as oneDNN knows them, applied while a result is still in registers."""

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.memory import strided

# name in the fused ops -> (algorithm, alpha, beta)
ELTWISE = {
    "relu": (c.RELU, 0.0, 0.0),
    "relu6": (c.CLIP_V2, 0.0, 6.0),
    "sigmoid": (c.LOGISTIC, 0.0, 0.0),
    "tanh": (c.TANH, 0.0, 0.0),
    "silu": (c.SWISH, 1.0, 0.0),
    "gelu": (c.GELU_TANH, 0.0, 0.0),
    "gelu_exact": (c.GELU_ERF, 0.0, 0.0),
}


def post_ops(act, residual=None):
    """The post-ops for something added (shape, strides, dtype; first, so that its name is `RESIDUAL`) and an activation."""
    added = () if residual is None else (("binary", c.BINARY_ADD, strided(*residual)),)
    return added if act is None else (*added, ("eltwise", *ELTWISE[act]))


RESIDUAL = c.post_op(0) | c.SRC_1
