"""Recurrent nets by cuDNN: a whole sequence in one call, its gradient in two.

What is kept for the gradient is the sequence of results in the order of the steps and behind it cuDNN's reserve. Where a net goes through
time the other way round, sequences are turned in copies: cuDNN has that only beside the usual way. It has no sigmoid for simple nets and no
GRU that resets before the product: such ones decline, and run step by step.
"""

from mlkit.backends.native.cuda.cudnn.rnn import Net
from mlkit.backends.native.cuda.cudnn.row import HALVES, Room, in_step, room_for
from mlkit.backends.native.cuda.row import DenseRow
from mlkit.core import dtypes, settings
from mlkit.core.spec import Spec

_STATES = {"lstm": 2, "gru": 1, "rnn": 1}


def rows(device):
    return [kind(device, name) for name in _STATES for kind in (Forward, Gradient)]


class _Recurrent(DenseRow):
    dtypes = (*HALVES, "float32")

    def __init__(self, device, net):
        super().__init__(device)
        self.net, self.states = net, _STATES[net]

    def network(self, x, h, *rest, activation="tanh", reset_after=True, **_):
        """The `Network` for the op's arguments, or None."""
        networks, dtype = self.device.networks, dtypes.name_of(x.dtype)
        cell = activation if self.net == "rnn" else self.net
        if (
            networks is None
            or not reset_after
            or cell == "sigmoid"
            or (dtype == "bfloat16" and not self.device.is_ampere_or_later)
        ):
            return None
        (batch, time, features), units = x.shape, h.shape[1]
        return networks.find(Net(cell, batch, time, features, units, dtype, settings.float32() == "exact"))

    def filled(self, network, room, kernel, recurrent, bias):
        """The block of weights."""
        block = room.take((network.layout.nbytes,), "uint8")
        self.device.recurrent_weights.fill(network, block, kernel, recurrent, bias)
        return block

    def kept_parts(self, network, block):
        """(the sequence of results, cuDNN's reserve) in a block that is kept."""
        room = Room(self.device, block, 0)
        return room.take(_results(network), network.net.dtype), room.take((network.reserve,), "uint8")


def _results(network):
    return network.net.batch, network.net.time, network.net.units


def _nbytes_kept(network):
    return room_for(_results(network), network.net.dtype) + room_for((network.reserve,), "uint8")


def _turned(sequence):
    return sequence[:, ::-1]


class Forward(_Recurrent):
    def __init__(self, device, net):
        super().__init__(device, net)
        self.name = net

    def fits(self, *args, keep=None, **options):
        network = self.network(*args, **options)
        return network is not None and (keep is None or keep == Spec((_nbytes_kept(network),), "uint8"))

    def keeps(self, *args, **options):
        """The Spec of what is kept."""
        network = self.network(*args, **options)
        return None if network is None else Spec((_nbytes_kept(network),), "uint8")

    def scratch(self, x, *rest, keep=None, reverse=False, **options):
        network = self.network(x, *rest, **options)
        rooms = [network.layout.nbytes, network.workspace(keep is not None)]
        of_sequences = room_for(x.shape, network.net.dtype) + room_for(_results(network), network.net.dtype) if reverse else 0
        return sum(room_for((n,), "uint8") for n in rooms) + of_sequences

    def launch(self, args, outs, params):
        keep, reverse = params.get("keep"), params.get("reverse", False)
        x, *states, kernel, recurrent, bias = map(in_step, args)
        network, room = self.network(*args, **params), Room(self.device, outs[-1], 0)
        weights = self.filled(network, room, kernel, recurrent, bias)
        workspace = room.take((network.workspace(keep is not None),), "uint8")
        hs, *last = outs[: 1 + self.states]
        y, reserve = self.kept_parts(network, outs[1 + self.states]) if keep is not None else (hs, None)
        if reverse:
            turned = room.take(x.shape, network.net.dtype)
            turned[...] = _turned(x)
            x, y = turned, room.take(hs.shape, network.net.dtype) if keep is None else y
        h, c = (*states, None)[:2]
        last_h, last_c = (*last, None)[:2]
        network.forward(x, h, c, weights, y, last_h, last_c, workspace, reserve)
        if y is not hs:
            hs[...] = _turned(y) if reverse else y


class Gradient(_Recurrent):
    def __init__(self, device, net):
        super().__init__(device, net)
        self.name = f"{net}_grad"

    def accepts(self, *args, **options):
        _, own, kept = self._own(args)  # what is kept by another kernel is of another dtype
        return (kept is None or dtypes.name_of(kept.dtype) == "uint8") and super().accepts(*own, **options)

    def fits(self, *args, **options):
        return self.network(*args, **options) is not None

    def _own(self, args):
        """(gradients, the op's arguments, what was kept or None)"""
        first = 1 + self.states
        given = args[:first], args[first : first + self.states + 4], args[first + self.states + 4 :]
        return *given[:2], given[2][-1] if given[2] else None

    def scratch(self, *args, reverse=False, **options):
        _, own, kept = self._own(args)
        network = self.network(*own, **options)
        rooms = [network.layout.nbytes] * 2 + [network.workspace(True), network.reserve]
        sequences = [_results(network)] * (1 + (kept is None)) + [own[0].shape] * (2 * reverse)
        states = [own[1].shape] * (self.states * (kept is None))
        dense = sum(room_for(shape, network.net.dtype) for shape in [*sequences, *states])
        return sum(room_for((n,), "uint8") for n in rooms) + dense

    def launch(self, args, outs, params):
        gradients, own, kept = self._own(args)
        dy, *last = (g if g is None else in_step(g) for g in gradients)
        x, *states, kernel, recurrent, bias = map(in_step, own)
        network, room, reverse = self.network(*own, **params), Room(self.device, outs[-1], 0), params.get("reverse", False)
        dx, *rest = outs[:-1]
        d_states, (d_kernel, d_recurrent, d_bias) = rest[: self.states], rest[self.states :]
        weights = self.filled(network, room, kernel, recurrent, bias)
        workspace, reserve = (room.take((n,), "uint8") for n in (network.workspace(True), network.reserve))
        of_dx = dx
        if reverse:
            turned, of_dx = (room.take(x.shape, network.net.dtype) for _ in range(2))
            turned[...] = _turned(x)
            x = turned
        h, c = (*states, None)[:2]
        if kept is None:  # all of it again
            y = room.take(_results(network), network.net.dtype)
            ends = [room.take(h.shape, network.net.dtype) for _ in states]
            network.forward(x, h, c, weights, y, *(*ends, None)[:2], workspace, reserve)
        else:
            y, reserved = self.kept_parts(network, kept)
            reserve[...] = reserved  # cuDNN writes into it
        of_y = room.take(_results(network), network.net.dtype) if dy is None or reverse else dy
        if of_y is not dy:
            of_y[...] = 0 if dy is None else _turned(dy)
        d_weights = room.take((network.layout.nbytes,), "uint8")
        d_weights.fill(0)
        last_dh, last_dc = (*last, None)[:2]
        dh, dc = (*d_states, None)[:2]
        network.gradients(x, h, c, weights, y, of_y, last_dh, last_dc, of_dx, dh, dc, d_weights, workspace, reserve)
        if reverse:
            dx[...] = _turned(of_dx)
        self.device.recurrent_weights.read(network, d_weights, d_kernel, d_recurrent, d_bias)
