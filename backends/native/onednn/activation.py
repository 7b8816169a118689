"""Activations as oneDNN knows them, applied while a result is still in registers."""

from typing import NamedTuple

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.memory import strided


class Function(NamedTuple):
    """A function of oneDNN.

    in_chains  whether it takes part in chains of elementwise ops; where they are as fast without it, it does not
    alone      whether it is worth a call of its own, with its gradient
    """

    algorithm: int
    alpha: float = 0.0
    beta: float = 0.0
    in_chains: bool = False
    alone: bool = False

    @property
    def step(self):
        """What post-ops and primitives take."""
        return self[:3]


# name as in the trait `epilogues` -> Function
ELTWISE = {
    "relu": Function(c.RELU, in_chains=True),
    "relu6": Function(c.CLIP_V2, 0.0, 6.0, in_chains=True),
    "sigmoid": Function(c.LOGISTIC, in_chains=True),
    "tanh": Function(c.TANH),
    "silu": Function(c.SWISH, 1.0, alone=True),
    "gelu": Function(c.GELU_TANH, alone=True),
    "gelu_exact": Function(c.GELU_ERF, alone=True),
}


def is_known(act):
    """Whether a product may end with an activation, or None, here."""
    return act is None or act in ELTWISE


def post_ops(act, residual=None):
    """The post-ops for something added (shape, strides, dtype; first, so that its name is `RESIDUAL`) and an activation."""
    added = () if residual is None else (("binary", c.BINARY_ADD, strided(*residual)),)
    return added if act is None else (*added, ("eltwise", *ELTWISE[act].step))


RESIDUAL = c.post_op(0) | c.SRC_1
