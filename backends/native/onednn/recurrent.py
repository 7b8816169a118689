"""Recurrent nets by oneDNN's own primitives, a whole sequence in one call.

They want time first, and weights in layouts of their own. What they keep for the gradient (the "workspace") is theirs as well:
with x and h in their order it is a result of the forward call in a program that holds both calls; otherwise the gradient makes
it again.
"""

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.densify import is_dense
from mlkit.backends.native.onednn.kernel import padded
from mlkit.backends.native.onednn.recurrent_call import D_LAST_STATES, D_STATES, D_WEIGHTS, LAST_STATES, RecurrentCall
from mlkit.backends.native.onednn.recurrent_primitives import (
    GRU,
    LBR_GRU,
    LSTM,
    RNN,
    backward,
    forward,
    kept,
    number_of_parts,
    parts_of,
)
from mlkit.backends.native.onednn.row import Row
from mlkit.core.spec import Spec


def _all_dense(operands):
    return all(is_dense(o) for o in operands if o is not None)


class Forward(Row):
    """(x, *states, kernel, recurrent kernel, bias) -> all h, *last states, and with `keep` what each part keeps"""

    def __init__(self, name, net):
        self.name, self.net = name, net

    def fits(self, x, h, *_, keep=None, **options):
        return keep is None or (keep.dtype == "uint8" and keep == _kept(self.net(**options), x, h, keep.shape[0]))

    def keeps(self, x, h, *_, **options):
        """The Spec of what is kept, or None."""
        return _kept(self.net(**options), x, h)

    def build(self, operands, outs, keep=None, **options):
        if not _all_dense(operands):
            return None  # copies come then: a gradient that relies on what is kept here cannot do with another row
        net, (x, h) = self.net(**options), operands[:2]
        call = RecurrentCall(net, operands, outs, 0, keep.shape[0] if keep else number_of_parts(net, x, h))
        for i, part in enumerate(call.parts):
            primitive = forward(net, c.TRAINING if keep else c.INFERENCE, *part.sizes)
            if primitive is None:
                return None
            if keep:
                sequences = part.kept(call.kernel.result(len(outs) - 1, None), i * keep.shape[1])
                part.copy_in(0, sequences[c.SRC])
            else:
                sequences = {c.SRC: part.sequence(0), c.DST: part.kernel.temporary(part.outputs)}
            states = {name: part.state_back(1 + j) for j, name in enumerate(LAST_STATES[: net.states])}
            part.run(primitive, {**part.arguments(), **part.weights(primitive), **sequences, **states})
            if outs[0].used:
                part.copy_out(sequences[c.DST], 0)
        return call.joined()


class Backward(Row):
    """(gradients of all h and of the last states, the arguments of `Forward`, and if it has kept something the last states and
    that) -> gradients of these arguments"""

    exact = ("float32", "uint8")

    def __init__(self, name, net):
        self.name, self.net = f"{name}_grad", net

    def fits(self, *args, **options):
        net = self.net(**options)
        first = 1 + net.states
        x, h = args[first : first + 2]
        if len(args) > first + net.states + 4:
            return Spec(args[-1].shape, str(args[-1].dtype)) == _kept(net, x, h, args[-1].shape[0])
        return _kept(net, x, h) is not None

    def build(self, operands, outs, **options):
        if not _all_dense(operands):
            return None
        net = self.net(**options)
        first = 1 + net.states  # number of x, and of the kernel's gradient
        results = first + net.states + 4  # number of the first argument that was a result of the forward call
        is_kept, (x, h) = len(operands) > results, operands[first : first + 2]
        call = RecurrentCall(net, operands, outs, first, operands[-1].shape[0] if is_kept else number_of_parts(net, x, h))
        totals = [call.total(call.kernel.result(first + j, call.matrix(width))) for j, width in enumerate(call.widths)]
        d_bias = call.bias_back(first + 2)
        totals.append(call.total(d_bias))
        for i, part in enumerate(call.parts):
            primitive = backward(net, *part.sizes)
            tensors = part.arguments()
            if is_kept:
                tensors |= part.kept(call.kernel.argument(len(operands) - 1, None), i * operands[-1].shape[1])
                tensors |= {name: part.state(results + j) for j, name in enumerate(LAST_STATES[: net.states])}
            else:
                tensors |= part.again({**tensors, c.SRC: part.sequence(first)})
            tensors |= {**part.weights(primitive), c.DIFF_DST: part.sequence(0), c.DIFF_SRC: part.sequence_back(0, x.shape[2])}
            for j in range(net.states):
                tensors |= {D_LAST_STATES[j]: part.state(1 + j), D_STATES[j]: part.state_back(1 + j)}
            for j, name in enumerate(D_WEIGHTS):
                tensors[name] = part.kernel.through(totals[j][i], primitive.desc(c.DIFF_WEIGHTS_MD, j))
            part.run(primitive, {**tensors, c.DIFF_BIAS: totals[2][i]})
        return call.finish(d_bias, first + 2)


def _kept(net, x, h, number=None):
    """The Spec of what so many parts keep, by default the best number; None where there is no primitive."""
    number = number or number_of_parts(net, x, h)
    found = [kept(net, *sizes) for _, sizes in parts_of(x, h, number)]
    if None in found:
        return None
    return Spec((number, max(sum(padded(desc.nbytes) for desc in descs.values()) for descs in found)), "uint8")


def _lstm(reverse=False):
    return LSTM._replace(reverse=reverse)


def _gru(reset_after=True, reverse=False):
    return (LBR_GRU if reset_after else GRU)._replace(reverse=reverse)


def _rnn(activation, reverse=False):
    algorithm = dict(tanh=c.TANH, sigmoid=c.LOGISTIC, relu=c.RELU)[activation]
    return RNN._replace(reverse=reverse, activation=algorithm)


ROWS = [kind(name, net) for kind in (Forward, Backward) for name, net in dict(lstm=_lstm, gru=_gru, rnn=_rnn).items()]
