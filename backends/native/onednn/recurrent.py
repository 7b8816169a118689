"""LSTM step by step. All is transposed, (units, batch): gates are dense then, and a product whose second operand is the state
runs at full speed without any packing. (oneDNN's own LSTM keeps what its gradient needs in a layout of its own, and is slower.)
"""

import math

import numpy as np

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import dense, strided
from mlkit.backends.native.onednn.parts import Declined, binary, copied, product, row_sums, rows_dense, transposed
from mlkit.backends.native.onednn.row import Row, element_strides, is_dense

SIGMOID = ((c.LOGISTIC, 0.0, 0.0),)
TANH = ((c.LINEAR, 2.0, 0.0), *SIGMOID, (c.LINEAR, 2.0, -1.0))  # three times as fast as oneDNN's, and exact to 1e-7
NEGATIVE, COMPLEMENT = (c.LINEAR, -1.0, 0.0), (c.LINEAR, -1.0, 1.0)
FEW = 4  # samples; fewer are faster by products of matrix and vector
I, F, CANDIDATE, O, TANH_C, BEFORE = range(6)  # blocks of what is kept for the gradient


class _Lstm:
    """What both directions share: sizes, and steps in terms of (shape, strides) and places."""

    def __init__(self, operands, outs, x, h):
        self.kernel = Kernel(operands, outs)
        (self.batch, self.time, self.features), self.units = x.shape, h.shape[1]
        self.state = self.units, self.batch
        self.gates = 4 * self.units, self.batch
        self.size = math.prod(self.state)
        self.x_strides = element_strides(x)
        if self.x_strides is None or not all(is_dense(o) for o in operands[1:] if hasattr(o, "shape")):
            raise Declined

    def copy(self, source, source_layout, target, target_layout):
        """Between layouts, each (shape, strides)."""
        primitive = copied(source_layout, target_layout)
        places = {c.FROM: source.part(strided(*source_layout), 0), c.TO: target.part(strided(*target_layout), 0)}
        self.kernel.run(primitive, places)

    def copied(self, source, layout):
        """A dense copy."""
        target = self.kernel.temporary(dense(layout[0]))
        self.copy(source, layout, target, rows_dense(layout[0]))
        return target

    def multiply(self, a, b, y, add=False):
        """y = a b, or added to it. a, b, y: ((shape, strides), place)."""
        names = c.SRC, c.WEIGHTS, c.DST
        primitive = product(a[0], b[0], y[0], add=add)
        self.kernel.run(primitive, {n: place.part(strided(*layout), 0) for n, (layout, place) in zip(names, (a, b, y))})

    def combine(self, y, x, z, *then, algorithm=c.BINARY_MUL, z_shape=None, shape=None):
        """y = x (algorithm) z, then post-ops: (algorithm, alpha, beta), or (algorithm, place)."""
        shape = shape or self.state
        primitive = binary(algorithm, shape, z_shape or shape, tuple(t if len(t) == 3 else t[0] for t in then))
        places = {c.SRC: x.part(dense(shape), 0), c.SRC_1: z.part(dense(z_shape or shape), 0), c.DST: y.part(dense(shape), 0)}
        places |= {c.post_op(i) | c.SRC_1: t[1].part(dense(shape), 0) for i, t in enumerate(then) if len(t) == 2}
        self.kernel.run(primitive, places)

    def apply(self, y, x, function, rows=None):
        """y = function(x), given as post-ops."""
        self.combine(y, x, x, *function, algorithm=c.BINARY_MAX, shape=(rows or self.units, self.batch))

    def blocks(self, kept, t):
        """The places of the six blocks of a step."""
        return [kept.part(None, 4 * self.size * (6 * t + k)) for k in range(6)]

    def of_sequence(self, place, t, width):
        """(layout, place) of step t of a dense (batch, time, width), transposed."""
        return ((width, self.batch), (1, self.time * width)), place.part(None, 4 * t * width)


class Lstm(Row):
    """(x, h, c, kernel, recurrent kernel, bias) -> all h, last c, what is kept"""

    name = "lstm"

    def fits(self, x, *_):
        return x.shape[0] >= FEW

    def build(self, operands, outs):
        try:
            return _forward(operands, outs)
        except Declined:
            return None


def _forward(operands, outs):
    x, h, _, kernel, recurrent, bias = operands
    net = _Lstm(operands, outs, x, h)
    run, units = net.kernel, net.units
    upright = transposed(rows_dense(kernel.shape)), transposed(rows_dense(recurrent.shape))
    weights, back = (run.converted(3 + i, strided(*u), dense(u[0])) for i, u in enumerate(upright))
    hs, last, kept = (run.result(i, None) for i in range(3))
    _project(net, weights, kept)
    turned = transposed(rows_dense(h.shape))
    state = net.copied(run.argument(1, None), turned)
    net.copy(run.argument(2, None), turned, net.blocks(kept, 0)[BEFORE], rows_dense(net.state))
    end, product_ = run.temporary(dense(net.state)), run.temporary(dense(net.state))
    for t in range(net.time):
        blocks = net.blocks(kept, t)
        i, f, candidate, o, th, before = blocks
        gates, now = rows_dense(net.gates), rows_dense(net.state)
        net.multiply((rows_dense((4 * units, units)), back), (now, state), (gates, i), add=True)
        _activate(net, i, 2, SIGMOID, bias, 0)
        _activate(net, candidate, 1, TANH, bias, 2)
        _activate(net, o, 1, SIGMOID, bias, 3)
        after = net.blocks(kept, t + 1)[BEFORE] if t + 1 < net.time else end
        net.combine(product_, i, candidate)
        net.combine(after, f, before, (c.BINARY_ADD, product_))
        net.apply(th, after, TANH)
        net.combine(state, o, th)
        layout, place = net.of_sequence(hs, t, units)
        net.copy(state, now, place, layout)
    net.copy(end, turned_back(net), last, rows_dense(h.shape))
    return run


def turned_back(net):
    """The layout of a state as (batch, units)."""
    return (net.batch, net.units), (1, net.batch)


def _project(net, weights, kept):
    """The kernel's product with all steps of x, where the gates will be."""
    shape = net.time, 4 * net.units, net.batch
    b, t, f = net.x_strides
    gates = shape, (6 * net.size, net.batch, 1)
    inputs = (net.time, net.features, net.batch), (t, f, b)
    repeated = (1, 4 * net.units, net.features), (4 * net.units * net.features, net.features, 1)
    net.multiply((repeated, weights), (inputs, net.kernel.argument(0, None)), (gates, kept))


def _activate(net, place, count, function, bias, first):
    """In place, `count` gates: the bias is added (the blocks of one step lie one after the other)."""
    rows = count * net.units
    if bias is None:
        net.apply(place, place, function, rows)
        return
    column = net.kernel.argument(5, None).part(None, 4 * first * net.units)
    sizes = dict(shape=(rows, net.batch), z_shape=(rows, 1))
    net.combine(place, place, column, *function, algorithm=c.BINARY_ADD, **sizes)


class LstmGrad(Row):
    """(gradients of all h and of the last c, x, h, kernel, recurrent kernel, all h, what is kept) -> dx, dh, dc, d_kernel,
    d_recurrent, d_bias"""

    name = "lstm_grad"

    def fits(self, gh, gc, x, *_):
        return gh is not None

    def build(self, operands, outs):
        try:
            return _backward(operands, outs)
        except Declined:
            return None


def _backward(operands, outs):
    gh, gc, x, h, kernel, recurrent, hs, kept = operands
    if not is_dense(gh):
        return None
    net = _Lstm([x, h, kernel, recurrent, hs, kept, *([] if gc is None else [gc])], outs, x, h)
    run = net.kernel = Kernel(operands, outs)
    batch, time, units = net.batch, net.time, net.units
    kept_place, turned = run.argument(7, None), transposed(rows_dense(h.shape))
    gradients = net.copied(run.argument(0, None), ((time, units, batch), (units, 1, time * units)))
    dz = run.temporary(dense((time, *net.gates)))
    dh, gates = run.temporary(dense(net.state)), rows_dense(net.gates)
    if gc is None:
        dc = run.temporary(dense(net.state))
        net.copy(run.constant(np.zeros(net.state, "float32")), rows_dense(net.state), dc, rows_dense(net.state))
    else:
        dc = net.copied(run.argument(1, None), turned)
    for t in range(time - 1, -1, -1):
        now = dz.part(None, 4 * t * 4 * net.size)
        _step_back(net, net.blocks(kept_place, t), gradients.part(None, 4 * t * net.size), dc, now)
        before = gradients.part(None, 4 * (t - 1) * net.size) if t else dh
        weights = rows_dense(recurrent.shape), run.argument(5, None)
        net.multiply(weights, (gates, now), (rows_dense(net.state), before), add=t > 0)
    for i, place in ((1, dh), (2, dc)):
        net.copy(place, turned_back(net), run.result(i, None), rows_dense(h.shape))
    _input_gradient(net, dz)
    _weight_gradients(net, net.copied(dz, ((4 * units, time, batch), (batch, 4 * net.size, 1))))
    return run


def _step_back(net, blocks, dh, dc, dz):
    """Gradients of the gates of a step, before their activations, in `dz`; dc becomes that of the step before."""
    i, f, candidate, o, th, before = blocks
    di, df, dg, do = (dz.part(None, 4 * k * net.size) for k in range(4))
    times, plus = (lambda p: (c.BINARY_MUL, p)), (lambda p: (c.BINARY_ADD, p))
    net.combine(do, o, o, NEGATIVE, plus(o), times(th), times(dh))
    net.combine(dc, th, th, COMPLEMENT, times(o), times(dh), plus(dc))
    net.combine(di, i, i, NEGATIVE, plus(i), times(candidate), times(dc))
    net.combine(df, f, f, NEGATIVE, plus(f), times(before), times(dc))
    net.combine(dg, candidate, candidate, COMPLEMENT, times(i), times(dc))
    net.combine(dc, dc, f)


def _weight_gradients(net, dz):
    """What is summed over time and batch: products with dz, here (gates, time * batch)."""
    run, batch, time, units, features = net.kernel, net.batch, net.time, net.units, net.features
    rows = time * batch
    b, t, f = net.x_strides
    inputs = net.copied(run.argument(2, None), ((time, batch, features), (t, b, f)))
    states = run.temporary(dense((time, batch, units)))
    first, others = ((batch, units), (units, 1)), ((time - 1, batch, units), (units, time * units, 1))
    net.copy(run.argument(3, None), first, states, first)
    if time > 1:
        later = states.part(None, 4 * batch * units)
        net.copy(run.argument(6, None), others, later, rows_dense(others[0]))
    across = (rows, 4 * units), (1, rows)
    for result, place, width in ((3, inputs, features), (4, states, units)):
        target = rows_dense((width, 4 * units)), run.result(result, None)
        net.multiply(((((width, rows), (1, width))), place), (across, dz), target)
    run.run(
        row_sums((4 * units, rows)), {c.SRC: dz.part(dense((4 * units, rows)), 0), c.DST: run.result(5, dense((4 * units, 1)))}
    )


def _input_gradient(net, dz):
    """dx, from dz as (time, gates, batch)."""
    run, batch, time, features = net.kernel, net.batch, net.time, net.features
    kernel = (1, features, 4 * net.units), (4 * net.units * features, 4 * net.units, 1)
    shape = time, features, batch
    dx = run.temporary(dense(shape))
    net.multiply((kernel, run.argument(4, None)), (rows_dense((time, *net.gates)), dz), (rows_dense(shape), dx))
    as_it_lies = (batch, time, features), (1, features * batch, batch)
    net.copy(dx, as_it_lies, run.result(0, None), rows_dense(as_it_lies[0]))


ROWS = [Lstm(), LstmGrad()]
