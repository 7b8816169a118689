"""LSTM and GRU by oneDNN's own primitives, a whole sequence in one call.

They want time first, and weights in layouts of their own. What they keep for the gradient (the "workspace") is theirs as well: a
result of the forward call in a program that holds both calls, otherwise the gradient makes it again.
"""

from ctypes import c_int, c_uint

import numpy as np

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import anyhow, dense, strided
from mlkit.backends.native.onednn.parts import binary, copied, rows_dense
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.row import Row
from mlkit.core.spec import Spec

FORWARD_IN_TIME = 1
OVERWRITE = 1  # gradients of weights; else they are added to what is there
BIASES = 4  # one for each gate; the GRU's fourth is in what its reset gate multiplies
STATES, LAST_STATES, WEIGHTS = (c.SRC_1, c.SRC_2), (c.DST_1, c.DST_2), (c.WEIGHTS, c.WEIGHTS_1)
D_STATES, D_LAST_STATES, D_WEIGHTS = (c.DIFF_SRC_1, c.DIFF_SRC_2), (c.DIFF_DST_1, c.DIFF_DST_2), (c.DIFF_WEIGHTS, c.DIFF_WEIGHTS_1)


class Net:
    """One of the two. creator: what oneDNN calls it; gates, states: how many it has."""

    def __init__(self, name, creator, gates, states):
        self.name, self.creator, self.gates, self.states = name, creator, gates, states

    def tensors(self, time, batch, features, units):
        """Descriptors as primitives take them: x, first states, weights, bias, all h, last states."""
        states = [dense((1, 1, batch, units))] * self.states
        weights = [anyhow((1, 1, width, self.gates, units)) for width in (features, units)]
        absent = [None] * 2 if self is LSTM else []  # peephole and projection
        bias = dense((1, 1, BIASES, units))
        return [dense((time, batch, features)), *states, *weights, *absent, bias, dense((time, batch, units)), *states]


LSTM = Net("lstm", "lstm", 4, 2)
GRU = Net("gru", "lbr_gru", 3, 1)  # "linear before reset"


@or_none
def forward(net, purpose, *sizes):
    """The primitive for sequences of the sizes (time, batch, features, units). purpose: TRAINING has a workspace."""
    creator = f"dnnl_{net.creator}_forward_primitive_desc_create"
    return Primitive(creator, c_int(purpose), c_int(FORWARD_IN_TIME), *net.tensors(*sizes), c_uint(0))


@or_none
def backward(net, *sizes):
    """The primitive of the gradients."""
    creator = f"dnnl_{net.creator}_backward_primitive_desc_create"
    tensors, hint = net.tensors(*sizes), forward(net, c.TRAINING, *sizes)
    return Primitive(creator, c_int(c.BACKWARD), c_int(FORWARD_IN_TIME), *tensors, *tensors, c_uint(OVERWRITE), hint.pd)


def sizes_of(x, h):
    """(time, batch, features, units)"""
    return x.shape[1], x.shape[0], x.shape[2], h.shape[1]


class Forward(Row):
    """(x, *states, kernel, recurrent kernel, bias) -> all h, *last states, and with `keep` the workspace"""

    copies_views = True  # as the gradient relies on what this row keeps, it must not decline when the plan is made

    def __init__(self, net):
        self.net, self.name = net, net.name

    def fits(self, x, h, *_, keep=None):
        if keep is not None:
            return keep == self.keeps(x, h)
        return forward(self.net, c.INFERENCE, *sizes_of(x, h)) is not None

    def keeps(self, x, h, *_):
        """The Spec of the workspace, or None."""
        sizes = sizes_of(x, h)
        primitive = forward(self.net, c.TRAINING, *sizes)
        if primitive is None or backward(self.net, *sizes) is None:
            return None
        return Spec((primitive.desc(c.WORKSPACE_MD).nbytes,), "uint8")

    def build(self, operands, outs, keep=None):
        places = _Places(self.net, operands, outs, 0)
        primitive = forward(self.net, c.TRAINING if keep else c.INFERENCE, *places.sizes)
        tensors = {**places.arguments(), **places.weights(primitive), c.DST: places.sequence_back(0, places.units)}
        tensors |= {name: places.kernel.result(1 + i, places.state) for i, name in enumerate(LAST_STATES[: self.net.states])}
        if keep:
            tensors[c.WORKSPACE] = places.kernel.result(len(outs) - 1, primitive.desc(c.WORKSPACE_MD))
        return places.kernel.run(primitive, tensors)


class Backward(Row):
    """(gradients of all h and of the last states, the arguments of `Forward`, and if it has kept them its results) -> gradients of
    these arguments"""

    copies_views = True
    exact = ("float32", "uint8")

    def __init__(self, net):
        self.net, self.name = net, f"{net.name}_grad"

    def fits(self, *args):
        return backward(self.net, *sizes_of(*args[1 + self.net.states :][:2])) is not None

    def build(self, operands, outs):
        first = 1 + self.net.states
        places = _Places(self.net, operands, outs, first)
        primitive = backward(self.net, *places.sizes)
        tensors = places.arguments()
        tensors |= places.results(first + 4 + self.net.states) or _again(places, tensors)
        tensors |= places.weights(primitive)
        tensors |= places.gradients()
        kernel = places.kernel
        tensors[c.DIFF_SRC] = places.sequence_back(0, places.features)
        tensors |= {name: kernel.result(1 + i, places.state) for i, name in enumerate(D_STATES[: self.net.states])}
        for i, (name, width) in enumerate(zip(D_WEIGHTS, (places.features, places.units))):
            desc = dense((1, 1, width, self.net.gates, places.units))
            tensors[name] = kernel.converted_back(first + i, desc, primitive.desc(c.DIFF_WEIGHTS_MD, i))
        return places.bias_back(first + 2, lambda place: kernel.run(primitive, {**tensors, c.DIFF_BIAS: place}))


def _again(places, arguments):
    """The results of the forward call with the workspace, in temporary memory."""
    primitive, new = forward(places.net, c.TRAINING, *places.sizes), places.kernel.temporary
    results = {c.DST: new(places.outputs), c.WORKSPACE: new(primitive.desc(c.WORKSPACE_MD))}
    results |= {name: new(places.state) for name in LAST_STATES[: places.net.states]}
    places.kernel.run(primitive, {**arguments, **places.weights(primitive), **results})
    return results


class _Places:
    """Where the tensors of a call lie. first: the number of the argument x."""

    def __init__(self, net, operands, outs, first):
        self.net, self.operands, self.first = net, operands, first
        self.kernel = Kernel(operands, outs)
        self.sizes = sizes_of(*operands[first : first + 2])
        self.time, self.batch, self.features, self.units = self.sizes
        self.state, self.outputs = dense((1, 1, self.batch, self.units)), dense((self.time, self.batch, self.units))

    def arguments(self):
        """x, first states and bias."""
        first, n = self.first, self.net.states
        states = {name: self._state(first + 1 + i) for i, name in enumerate(STATES[:n])}
        return {c.SRC: self._sequence(first), **states, c.BIAS: self._bias(first + 3 + n)}

    def weights(self, primitive):
        """Both kernels as a primitive wants them."""
        return {name: self._weights(primitive, i) for i, name in enumerate(WEIGHTS)}

    def results(self, k):
        """Those of the forward call, arguments from k on; nothing if they are not there."""
        if k == len(self.operands):
            return {}
        states = {name: self._state(k + 1 + i) for i, name in enumerate(LAST_STATES[: self.net.states])}
        workspace = forward(self.net, c.TRAINING, *self.sizes).desc(c.WORKSPACE_MD)
        return {c.DST: self._sequence(k), **states, c.WORKSPACE: self.kernel.argument(len(self.operands) - 1, workspace)}

    def gradients(self):
        """Those of the results, zeros for those that are None."""
        states = {name: self._state(1 + i) for i, name in enumerate(D_LAST_STATES[: self.net.states])}
        return {c.DIFF_DST: self._sequence(0), **states}

    def _sequence(self, k):
        """(batch, time, width), time first."""
        if self.operands[k] is None:
            return self._zeros(self.time, self.batch, self.units)
        width = self.operands[k].shape[2]
        return self.kernel.converted(k, self._batch_first(width), dense((self.time, self.batch, width)))

    def _state(self, k):
        if self.operands[k] is None:
            return self._zeros(1, 1, self.batch, self.units)
        return self.kernel.argument(k, self.state)

    def _zeros(self, *shape):
        return self.kernel.constant(np.zeros(shape, "float32"))

    def _weights(self, primitive, i):
        k = self.first + 1 + self.net.states + i
        desc = dense((1, 1, self.operands[k].shape[0], self.net.gates, self.units))
        return self.kernel.converted(k, desc, primitive.desc(c.WEIGHTS_MD, i))

    def sequence_back(self, i, width):
        """Result i, (batch, time, width), from one with time first."""
        return self.kernel.converted_back(i, self._batch_first(width), dense((self.time, self.batch, width)))

    def _batch_first(self, width):
        """A dense (batch, time, width), seen as (time, batch, width)."""
        return strided((self.time, self.batch, width), (width, self.time * width, 1))

    # ---- biases: the LSTM's as they are; the GRU has two rows of three, for the inputs and for the state ---------------------

    def _bias(self, k):
        u = self.units
        if self.operands[k] is None:
            return self._zeros(1, 1, BIASES, u)
        if self.net is LSTM:
            return self.kernel.argument(k, dense((1, 1, BIASES, u)))
        rows, place = self.kernel.argument(k, None), self.kernel.temporary(dense((1, 1, BIASES, u)))
        self._copy(rows, 0, place, 0, 3)
        self._copy(rows, 5, place, 3, 1)
        gates = (2 * u,)
        added = {c.SRC: place.part(dense(gates), 0), c.SRC_1: rows.part(dense(gates), 4 * 3 * u), c.DST: place.part(dense(gates), 0)}
        self.kernel.run(binary(c.BINARY_ADD, gates, gates), added)
        return place

    def bias_back(self, i, run):
        """The kernel after run(a place for the bias's gradient), which goes to result i."""
        u = self.units
        if self.net is LSTM:
            return run(self.kernel.result(i, dense((1, 1, BIASES, u))))
        place, rows = self.kernel.temporary(dense((1, 1, BIASES, u))), self.kernel.result(i, None)
        run(place)
        self._copy(place, 0, rows, 0, 3)
        self._copy(place, 0, rows, 3, 2)
        self._copy(place, 3, rows, 5, 1)
        return self.kernel

    def _copy(self, source, i, target, j, count):
        """So many gates from the i-th on, to the j-th place."""
        u, row = self.units, dense((count * self.units,))
        places = {c.FROM: source.part(row, 4 * i * u), c.TO: target.part(row, 4 * j * u)}
        self.kernel.run(copied(rows_dense((count * u,)), rows_dense((count * u,))), places)


ROWS = [Forward(LSTM), Backward(LSTM), Forward(GRU), Backward(GRU)]
