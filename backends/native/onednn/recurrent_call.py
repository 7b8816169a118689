"""One call of a recurrent net: its tensors as the primitives want them, its parts, and the sums over these."""

import weakref

import numpy as np

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.building_blocks import binary, copied, rows_dense
from mlkit.backends.native.onednn.kernel import Kernel, padded
from mlkit.backends.native.onednn.memory import dense, strided
from mlkit.backends.native.onednn.primitive import reorder
from mlkit.backends.native.onednn.recurrent_primitives import LBR_GRU, forward, is_cached, kept, parts_of

STATES, LAST_STATES, WEIGHTS = (c.SRC_1, c.SRC_2), (c.DST_1, c.DST_2), (c.WEIGHTS, c.WEIGHTS_1)
D_STATES, D_LAST_STATES, D_WEIGHTS = (
    (c.DIFF_SRC_1, c.DIFF_SRC_2),
    (c.DIFF_DST_1, c.DIFF_DST_2),
    (c.DIFF_WEIGHTS, c.DIFF_WEIGHTS_1),
)


class RecurrentCall:
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

    # ---- biases as they are, but where a GRU has two rows of three, for the inputs and for the state ------------------------

    @property
    def _has_two_rows(self):
        return self.net.creator == LBR_GRU.creator

    def _bias(self, k):
        u, desc = self.units, dense((1, 1, self.net.biases, self.units))
        if self.operands[k] is None:
            return self.kernel.constant(np.zeros((1, 1, self.net.biases, u), "float32"))
        if not self._has_two_rows:
            return self.kernel.argument(k, desc)
        rows, place = self.kernel.argument(k, None), self.kernel.temporary(desc)
        self._copy(rows, 0, place, 0, 3)
        self._copy(rows, 5, place, 3, 1)
        gates = dense((2 * u,))
        added = {c.SRC: place.part(gates, 0), c.SRC_1: rows.part(gates, 4 * 3 * u), c.DST: place.part(gates, 0)}
        self.kernel.run(binary(c.BINARY_ADD, (2 * u,), (2 * u,)), added)
        return place

    def bias_back(self, i):
        """Where its gradient is to be written, before `finish`."""
        desc = dense((1, 1, self.net.biases, self.units))
        return self.kernel.temporary(desc) if self._has_two_rows else self.kernel.result(i, desc)

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
        if self._has_two_rows:
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
        self.call = weakref.proxy(call)  # which holds its parts: no cycle keeps what they prepare
        self.net, self.kernel, self.start, self.sizes = call.net, kernel, start, sizes
        self.time, self.batch, _, self.units = sizes
        self._state, self._offset = dense((1, 1, self.batch, self.units)), 4 * start * self.units

    def arguments(self):
        """First states and bias."""
        states = {name: self.state(self.call.first + 1 + i) for i, name in enumerate(STATES[: self.net.states])}
        return {**states, c.BIAS: self.call.bias}

    def weights(self, primitive):
        """Both kernels as a primitive wants them."""
        return {name: self.call.weights(i, primitive.desc(c.WEIGHTS_MD, i)) for i, name in enumerate(WEIGHTS)}

    def kept(self, place, start):
        """Where what is kept lies, from a byte of `place` on."""
        found = {}
        for name, desc in kept(self.net, *self.sizes).items():
            found[name] = place.part(desc, start)
            start += padded(desc.nbytes)
        return found

    def again(self, tensors):
        """x and what a forward call gives and keeps, computed here. tensors: x, first states and bias."""
        found = {name: self.kernel.temporary(desc) for name, desc in kept(self.net, *self.sizes).items() if name not in tensors}
        found |= {name: self.kernel.temporary(self._state) for name in LAST_STATES[: self.net.states]}
        primitive = forward(self.net, c.TRAINING, *self.sizes)
        self.run(primitive, {**tensors, **self.weights(primitive), **found})
        return {**tensors, **found}

    def run(self, primitive, tensors):
        self.kernel.run(primitive, tensors, alone=is_cached(self.net, *self.call.widths))

    @property
    def outputs(self):
        """The layout of all h."""
        return dense((self.time, self.batch, self.units))

    def sequence(self, k):
        """Argument k, (batch, time, width), time first; zeros for None."""
        if self.call.operands[k] is None:
            return self.kernel.constant(np.zeros((self.time, self.batch, self.units), "float32"))
        width = self.call.operands[k].shape[2]
        wanted = dense((self.time, self.batch, width))
        return self.kernel.converted(k, self._batch_first(width), wanted, self._before(width))

    def sequence_back(self, i, width):
        """A place with time first for result i, (batch, time, width)."""
        target = self.kernel.result(i, None).part(self._batch_first(width), self._before(width))
        return self.kernel.through(target, dense((self.time, self.batch, width)))

    def copy_in(self, k, place):
        """Copy argument k, (batch, time, width), to a place with time first."""
        width = self.call.operands[k].shape[2]
        self._copy(self.kernel.argument(k, None).part(self._batch_first(width), self._before(width)), place)

    def copy_out(self, place, i):
        """The other way round, to result i, (batch, time, units)."""
        self._copy(place, self.kernel.result(i, None).part(self._batch_first(self.units), self._before(self.units)))

    def _copy(self, source, target):
        self.kernel.run(reorder(source.desc, target.desc), {c.FROM: source, c.TO: target})

    def _before(self, width):
        """Bytes of a sequence of all samples before those of this part."""
        return 4 * self.start * self.time * width

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
