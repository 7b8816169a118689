"""LSTM and GRU by oneDNN's own primitives, a whole sequence in one call.

They want time first, and weights in layouts of their own. What they keep for the gradient (the "workspace") is theirs as well: a
result of the forward call in a program that holds both calls, otherwise the gradient makes it again.

Threads that share a step wait for each other two times in it. So where a core's cache holds the weights the samples are cut into
parts, and each is done by one thread from the first step to the last.
"""

from ctypes import c_int, c_uint

import numpy as np

from mlkit.backends.native import threads
from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.densify import is_dense
from mlkit.backends.native.onednn.kernel import Kernel, padded
from mlkit.backends.native.onednn.memory import anyhow, dense, strided
from mlkit.backends.native.onednn.parts import binary, copied, rows_dense
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.row import Row
from mlkit.backends.native.onednn.steps import can_fork, made_alone
from mlkit.core.spec import Spec

FORWARD_IN_TIME = 1
OVERWRITE = 1  # gradients of weights; else they are added to what is there
BIASES = 4  # one for each gate; the GRU's fourth is in what its reset gate multiplies
STATES, LAST_STATES, WEIGHTS = (c.SRC_1, c.SRC_2), (c.DST_1, c.DST_2), (c.WEIGHTS, c.WEIGHTS_1)
D_STATES, D_LAST_STATES, D_WEIGHTS = (
    (c.DIFF_SRC_1, c.DIFF_SRC_2),
    (c.DIFF_DST_1, c.DIFF_DST_2),
    (c.DIFF_WEIGHTS, c.DIFF_WEIGHTS_1),
)
CACHED = 1 << 20  # bytes of weights that one core holds
MOST_PARTS = 32


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
    return _primitive(net, "forward", purpose, net.tensors(*sizes), 0, sizes)


@or_none
def backward(net, *sizes):
    """The primitive of the gradients."""
    hint = forward(net, c.TRAINING, *sizes)
    return _primitive(net, "backward", c.BACKWARD, net.tensors(*sizes) * 2, OVERWRITE, sizes, hint.pd)


def _primitive(net, direction, purpose, tensors, flags, sizes, *hint):
    creator = f"dnnl_{net.creator}_{direction}_primitive_desc_create"

    def make():
        return Primitive(creator, c_int(purpose), c_int(FORWARD_IN_TIME), *tensors, c_uint(flags), *hint)

    return made_alone(make) if is_cached(net, *sizes[2:]) else make()


def is_cached(net, features, units):
    """Whether the weights stay in a core's cache from step to step."""
    return 4 * net.gates * units * (features + units) <= CACHED


def number_of_parts(net, x, h):
    """Into how many parts the samples are cut."""
    if not can_fork() or not is_cached(net, x.shape[2], h.shape[1]):
        return 1
    return min(threads.count(), x.shape[0], MOST_PARTS)


def parts_of(x, h, number):
    """(first sample, (time, samples, features, units)) of each part."""
    (batch, time, features), units = x.shape, h.shape[1]
    edges = [batch * i // number for i in range(number + 1)]
    return [(start, (time, stop - start, features, units)) for start, stop in zip(edges, edges[1:])]


def _all_dense(operands):
    return all(is_dense(o) for o in operands if o is not None)


class Forward(Row):
    """(x, *states, kernel, recurrent kernel, bias) -> all h, *last states, and with `keep` a workspace for each part"""

    def __init__(self, net):
        self.net, self.name = net, net.name

    def fits(self, x, h, *_, keep=None):
        if keep is not None:
            return keep.dtype == "uint8" and keep == self._workspaces(x, h, keep.shape[0])
        return all(forward(self.net, c.INFERENCE, *sizes) for _, sizes in parts_of(x, h, number_of_parts(self.net, x, h)))

    def keeps(self, x, h, *_):
        """The Spec of the workspaces, or None."""
        return self._workspaces(x, h, number_of_parts(self.net, x, h))

    def _workspaces(self, x, h, number):
        sizes = [s for _, s in parts_of(x, h, number)]
        primitives = [forward(self.net, c.TRAINING, *s) for s in sizes]
        if None in primitives or not all(backward(self.net, *s) for s in sizes):
            return None
        return Spec((number, max(padded(p.desc(c.WORKSPACE_MD).nbytes) for p in primitives)), "uint8")

    def build(self, operands, outs, keep=None):
        if not _all_dense(operands):
            return None  # copies come then: a gradient that relies on what is kept here cannot do with another row
        x, h = operands[:2]
        call = _Call(self.net, operands, outs, 0, keep.shape[0] if keep else number_of_parts(self.net, x, h))
        for i, part in enumerate(call.parts):
            primitive = forward(self.net, c.TRAINING if keep else c.INFERENCE, *part.sizes)
            tensors = {**part.arguments(), **part.weights(primitive), c.DST: part.sequence_back(0, part.units)}
            tensors |= {name: part.state_back(1 + j) for j, name in enumerate(LAST_STATES[: self.net.states])}
            if keep:
                workspace = call.kernel.result(len(outs) - 1, None)
                tensors[c.WORKSPACE] = workspace.part(primitive.desc(c.WORKSPACE_MD), i * keep.shape[1])
            part.run(primitive, tensors)
        return call.joined()


class Backward(Row):
    """(gradients of all h and of the last states, the arguments of `Forward`, and if it has kept them its results) -> gradients of
    these arguments"""

    exact = ("float32", "uint8")

    def __init__(self, net):
        self.net, self.name = net, f"{net.name}_grad"

    def fits(self, *args):
        first = 1 + self.net.states
        x, h = args[first : first + 2]
        if len(args) > first + self.net.states + 4:
            return FORWARDS[self.net].fits(x, h, keep=Spec(args[-1].shape, str(args[-1].dtype)))
        return FORWARDS[self.net].keeps(x, h) is not None

    def build(self, operands, outs):
        if not _all_dense(operands):
            return None
        states = self.net.states
        first = 1 + states  # number of x, and of the kernel's gradient
        results = first + states + 4  # number of the first one of the forward call's
        is_kept, (x, h) = len(operands) > results, operands[first : first + 2]
        call = _Call(self.net, operands, outs, first, operands[-1].shape[0] if is_kept else number_of_parts(self.net, x, h))
        totals = [call.total(call.kernel.result(first + j, call.matrix(width))) for j, width in enumerate(call.widths)]
        d_bias = call.bias_back(first + 2)
        totals.append(call.total(d_bias))
        for i, part in enumerate(call.parts):
            primitive = backward(self.net, *part.sizes)
            tensors = part.arguments()
            tensors |= part.results(results, i) if is_kept else part.again(tensors)
            tensors |= {**part.weights(primitive), c.DIFF_DST: part.sequence(0), c.DIFF_SRC: part.sequence_back(0, x.shape[2])}
            for j in range(states):
                tensors |= {D_LAST_STATES[j]: part.state(1 + j), D_STATES[j]: part.state_back(1 + j)}
            for j, name in enumerate(D_WEIGHTS):
                tensors[name] = part.kernel.through(totals[j][i], primitive.desc(c.DIFF_WEIGHTS_MD, j))
            part.run(primitive, {**tensors, c.DIFF_BIAS: totals[2][i]})
        return call.finish(d_bias, first + 2)


class _Call:
    """What the parts of a call share. first: number of the argument x; number: of parts."""

    def __init__(self, net, operands, outs, first, number):
        self.net, self.operands, self.first = net, operands, first
        self.kernel = Kernel(operands, outs)
        x, h = operands[first : first + 2]
        self.batch, self.time, self.units, self.widths = x.shape[0], x.shape[1], h.shape[1], (x.shape[2], h.shape[1])
        self.bias = self._bias(first + 3 + net.states)
        self._weights, self._sums = [], []
        kernels = self.kernel.branches(number) if number > 1 else [self.kernel]
        self.parts = [_Part(self, k, start, sizes) for k, (start, sizes) in zip(kernels, parts_of(x, h, number))]

    def matrix(self, width):
        """The layout of (width, gates * units)."""
        return dense((1, 1, width, self.net.gates, self.units))

    # ---- biases: the LSTM's as they are; the GRU has two rows of three, for the inputs and for the state ---------------------

    def _bias(self, k):
        u = self.units
        if self.operands[k] is None:
            return self.kernel.constant(np.zeros((1, 1, BIASES, u), "float32"))
        if self.net is LSTM:
            return self.kernel.argument(k, dense((1, 1, BIASES, u)))
        rows, place = self.kernel.argument(k, None), self.kernel.temporary(dense((1, 1, BIASES, u)))
        self._copy(rows, 0, place, 0, 3)
        self._copy(rows, 5, place, 3, 1)
        gates = dense((2 * u,))
        added = {c.SRC: place.part(gates, 0), c.SRC_1: rows.part(gates, 4 * 3 * u), c.DST: place.part(gates, 0)}
        self.kernel.run(binary(c.BINARY_ADD, (2 * u,), (2 * u,)), added)
        return place

    def bias_back(self, i):
        """Where its gradient is to be written, before `finish`."""
        desc = dense((1, 1, BIASES, self.units))
        return self.kernel.result(i, desc) if self.net is LSTM else self.kernel.temporary(desc)

    def _copy(self, source, i, target, j, count):
        """So many gates from the i-th on, to the j-th place."""
        u, row = self.units, dense((count * self.units,))
        places = {c.FROM: source.part(row, 4 * i * u), c.TO: target.part(row, 4 * j * u)}
        self.kernel.run(copied(rows_dense((count * u,)), rows_dense((count * u,))), places)

    # ---- sums over the parts -------------------------------------------------------------------------------------------------

    def total(self, place):
        """For each part a place to write to; `finish` puts their sum into `place`."""
        terms = [self.kernel.temporary(place.desc) for _ in self.parts] if len(self.parts) > 1 else [place]
        self._sums.append((place, terms))
        return terms

    def joined(self):
        """The kernel, with all parts in it."""
        if len(self.parts) > 1:
            self.kernel.join([part.kernel for part in self.parts])
        return self.kernel

    def finish(self, d_bias, i):
        """The kernel, with the sums and what is left to do for the bias's gradient, result i."""
        self.joined()
        for place, terms in self._sums:
            if len(terms) > 1:
                self._add(place, terms)
        if self.net is GRU:
            rows = self.kernel.result(i, None)
            for source, target, count in ((0, 0, 3), (0, 3, 2), (3, 5, 1)):
                self._copy(d_bias, source, rows, target, count)
        return self.kernel

    def _add(self, place, terms):
        shape = (place.desc.nbytes // 4,)
        primitive = binary(c.BINARY_ADD, shape, shape, (c.BINARY_ADD,) * (len(terms) - 2))
        names = c.SRC, c.SRC_1, *(c.post_op(i) | c.SRC_1 for i in range(len(terms) - 2))
        places = {name: term.part(dense(shape), 0) for name, term in zip(names, terms)}
        self.kernel.run(primitive, {**places, c.DST: place.part(dense(shape), 0)})

    # ---- weights -------------------------------------------------------------------------------------------------------------

    def weights(self, i, wanted):
        """Kernel i in a layout. Parts that want the same one share it."""
        for k, desc, place in self._weights:
            if k == i and desc == wanted:
                return place
        k = self.first + 1 + self.net.states + i
        place = self.kernel.converted(k, self.matrix(self.widths[i]), wanted)
        self._weights.append((i, wanted, place))
        return place


class _Part:
    """Some samples of a call. start: the first one; sizes: (time, samples, features, units)."""

    def __init__(self, call, kernel, start, sizes):
        self.call, self.net, self.kernel, self.start, self.sizes = call, call.net, kernel, start, sizes
        self.time, self.batch, _, self.units = sizes
        self._state, self._offset = dense((1, 1, self.batch, self.units)), 4 * start * self.units

    def arguments(self):
        """x, first states and bias."""
        first = self.call.first
        states = {name: self.state(first + 1 + i) for i, name in enumerate(STATES[: self.net.states])}
        return {c.SRC: self.sequence(first), **states, c.BIAS: self.call.bias}

    def weights(self, primitive):
        """Both kernels as a primitive wants them."""
        return {name: self.call.weights(i, primitive.desc(c.WEIGHTS_MD, i)) for i, name in enumerate(WEIGHTS)}

    def results(self, k, i):
        """Those of the forward call, arguments from k on, with workspace i."""
        states = {name: self.state(k + 1 + j) for j, name in enumerate(LAST_STATES[: self.net.states])}
        last = len(self.call.operands) - 1
        workspace = self.kernel.argument(last, None).part(self._workspace(), i * self.call.operands[last].shape[1])
        return {c.DST: self.sequence(k), **states, c.WORKSPACE: workspace}

    def again(self, arguments):
        """The same, computed here."""
        new = self.kernel.temporary
        results = {c.DST: new(self._outputs()), c.WORKSPACE: new(self._workspace())}
        results |= {name: new(self._state) for name in LAST_STATES[: self.net.states]}
        primitive = forward(self.net, c.TRAINING, *self.sizes)
        self.run(primitive, {**arguments, **self.weights(primitive), **results})
        return results

    def run(self, primitive, tensors):
        self.kernel.run(primitive, tensors, alone=is_cached(self.net, *self.call.widths))

    def _workspace(self):
        return forward(self.net, c.TRAINING, *self.sizes).desc(c.WORKSPACE_MD)

    def _outputs(self):
        return dense((self.time, self.batch, self.units))

    def sequence(self, k):
        """Argument k, (batch, time, width), time first; zeros for None."""
        if self.call.operands[k] is None:
            return self.kernel.constant(np.zeros((self.time, self.batch, self.units), "float32"))
        width = self.call.operands[k].shape[2]
        wanted = dense((self.time, self.batch, width))
        return self.kernel.converted(k, self._batch_first(width), wanted, 4 * self.start * self.time * width)

    def sequence_back(self, i, width):
        """A place with time first for result i, (batch, time, width)."""
        target = self.kernel.result(i, None).part(self._batch_first(width), 4 * self.start * self.time * width)
        return self.kernel.through(target, dense((self.time, self.batch, width)))

    def _batch_first(self, width):
        """A dense (batch, time, width), seen as (time, batch, width)."""
        return strided((self.time, self.batch, width), (width, self.time * width, 1))

    def state(self, k):
        """Argument k, (batch, units); zeros for None."""
        if self.call.operands[k] is None:
            return self.kernel.constant(np.zeros((1, 1, self.batch, self.units), "float32"))
        return self.kernel.argument(k, None).part(self._state, self._offset)

    def state_back(self, i):
        """Result i, (batch, units)."""
        return self.kernel.result(i, None).part(self._state, self._offset)


FORWARDS = {net: Forward(net) for net in (LSTM, GRU)}
ROWS = [*FORWARDS.values(), *map(Backward, FORWARDS)]
