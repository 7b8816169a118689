"""The primitives of recurrent nets, and into how many parts a call's samples are cut.

Threads that share a step wait for each other two times in it. So where a core's cache holds the weights the samples are cut
into parts, and each is done by one thread from the first step to the last.
"""

from ctypes import c_float, c_int, c_uint
from itertools import pairwise
from typing import NamedTuple

from mlkit.backends.native import threads
from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.kernel_steps import can_fork, made_alone
from mlkit.backends.native.onednn.memory import anyhow, dense
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.work import FEW_MULTIPLICATIONS
from mlkit.core.machine import threshold

FORWARD_IN_TIME, BACKWARD_IN_TIME = 1, 2
OVERWRITE = 1  # gradients of weights; else they are added to what is there
CACHED = threshold("recurrent_in_cache")
MOST_PARTS = 32


class Net(NamedTuple):
    """A kind of net. creator: what oneDNN calls it; gates, states, biases: how many it has; reverse: from the last time on;
    activation: the algorithm, where it may be chosen."""

    creator: str
    gates: int
    states: int
    biases: int
    reverse: bool = False
    activation: int | None = None

    def tensors(self, time, batch, features, units):
        """Descriptors as primitives take them: x, first states, weights, bias, all h, last states."""
        states = [dense((1, 1, batch, units))] * self.states
        weights = [anyhow((1, 1, width, self.gates, units)) for width in (features, units)]
        absent = [None] * 2 if self.creator == "lstm" else []  # peephole and projection
        bias = dense((1, 1, self.biases, units))
        return [dense((time, batch, features)), *states, *weights, *absent, bias, dense((time, batch, units)), *states]


LSTM = Net("lstm", 4, 2, 4)
GRU = Net("gru", 3, 1, 3)
RNN = Net("vanilla_rnn", 1, 1, 1)
LBR_GRU = Net("lbr_gru", 3, 1, 4)  # "linear before reset"; the fourth bias is in what the reset gate multiplies


@or_none
def forward(net, purpose, *sizes):
    """The primitive for sequences of the sizes (time, batch, features, units). purpose: TRAINING has a workspace."""
    return _primitive(net, "forward", purpose, net.tensors(*sizes), 0, sizes)


@or_none
def backward(net, *sizes):
    """The primitive of the gradients."""
    hint = forward(net, c.TRAINING, *sizes)
    return _primitive(net, "backward", c.BACKWARD, net.tensors(*sizes) * 2, OVERWRITE, sizes, hint.pd)


def kept(net, *sizes):
    """What a forward call keeps for the gradient: {name of an argument: its descriptor}; None where there is no primitive."""
    time, batch, features, units = sizes
    if not (forward(net, c.TRAINING, *sizes) and backward(net, *sizes)):
        return None
    workspace = forward(net, c.TRAINING, *sizes).desc(c.WORKSPACE_MD)
    return {c.WORKSPACE: workspace, c.SRC: dense((time, batch, features)), c.DST: dense((time, batch, units))}


def _primitive(net, direction, purpose, tensors, flags, sizes, *hint):
    creator = f"dnnl_{net.creator}_{direction}_primitive_desc_create"
    order = c_int(BACKWARD_IN_TIME if net.reverse else FORWARD_IN_TIME)
    activation, numbers = ((), ()) if net.activation is None else ((c_int(net.activation),), (c_float(0), c_float(0)))

    def make():
        return Primitive(creator, c_int(purpose), *activation, order, *tensors, c_uint(flags), *numbers, *hint)

    return made_alone(make) if is_cached(net, *sizes[2:]) else make()


def is_cached(net, features, units):
    """Whether the weights stay in a core's cache from step to step."""
    return 4 * net.gates * units * (features + units) <= CACHED


def number_of_parts(net, x, h):
    """Into how many parts the samples are cut."""
    (batch, time, features), units = x.shape, h.shape[1]
    is_little = time * batch * net.gates * units * (features + units) <= FEW_MULTIPLICATIONS
    if is_little or not can_fork() or not is_cached(net, features, units):
        return 1
    return min(threads.count(), batch, MOST_PARTS)


def parts_of(x, h, number):
    """(first sample, (time, samples, features, units)) of each part."""
    (batch, time, features), units = x.shape, h.shape[1]
    edges = [batch * i // number for i in range(number + 1)]
    return [(start, (time, stop - start, features, units)) for start, stop in pairwise(edges)]
