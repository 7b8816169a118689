"""The recurrent nets of a cuDNN that is not there, called as ctypes calls them: descriptors are noted, and NumPy computes in float64.

It has the block of weights laid out as it likes (`gap` bytes between matrices, biases first), writes into the reserve during the gradient
as cuDNN does, and demands what NVIDIA's manual does: the gradient of data before that of weights, padded input, a reserve of its size.
"""

import ctypes
import functools
import itertools

import numpy as np

from mlkit.core import dtypes
from tests.cuda import fake_cupy
from tests.cuda.fake_cuda import memory_at, submit

_TYPES = {0: "float32", 2: "float16", 9: "bfloat16"}
_CELLS = {0: "relu", 1: "tanh", 2: "lstm", 3: "gru"}
_GATES = {"relu": 1, "tanh": 1, "lstm": 4, "gru": 3}
_KEPT = {"relu": 1, "tanh": 1, "lstm": 5, "gru": 4}  # arrays of a step that the gradient takes


def _value(a):
    """What C would get."""
    return getattr(a, "value", a)


def _target(pointer):
    """What `ctypes.byref` points to."""
    return pointer._obj


class CudnnOfDouble:
    """What `ctypes.CDLL` of cuDNN would be. calls: names of functions; fails: name of a function -> its status."""

    def __init__(self, gap=64):
        self.gap, self.calls, self.fails, self.made = gap, [], {}, {}
        self._numbers = itertools.count(1)

    def __getattr__(self, name):
        if not name.startswith("cudnn"):
            raise AttributeError(name)

        def call(*args):
            self.calls.append(name)
            if name in self.fails:
                return self.fails[name]
            if name.startswith("cudnnCreate"):
                _target(args[0]).value = number = next(self._numbers)
                self.made[number] = {"kind": name.removeprefix("cudnnCreate")}
                return 0
            return getattr(self, f"_{name.removeprefix('cudnn')}")(*args) or 0

        return call

    def descriptor(self, a, kind):
        found = self.made[_value(a)]
        assert found["kind"] == f"{kind}Descriptor", f"a {found['kind']} where a {kind}Descriptor was expected"
        return found

    # ---- descriptors

    def _SetStream(self, handle, stream):
        pass

    def _DestroyTensorDescriptor(self, descriptor):
        self.descriptor(descriptor, "Tensor")
        del self.made[_value(descriptor)]

    def _SetRNNDescriptor_v8(self, rnn, *values):
        names = "algorithm cell bias direction input dtype precision mathematics features units projection layers dropout flags"
        found = self.descriptor(rnn, "RNN")
        found.update(zip(names.split(), map(_value, values), strict=True))
        self.descriptor(values[12], "Dropout")
        assert isinstance(values[13], ctypes.c_uint32)
        assert (found["projection"], found["layers"]) == (found["units"], 1)

    def _SetRNNDataDescriptor(self, data, dtype, layout, time, batch, width, lengths, fill):
        assert list(lengths) == [_value(time)] * _value(batch)
        assert fill is None
        self.descriptor(data, "RNNData").update(
            dtype=_value(dtype), layout=_value(layout), shape=(_value(batch), _value(time), _value(width))
        )

    def _SetTensorNdDescriptor(self, tensor, dtype, axes, sizes, strides):
        assert _value(axes) == 3
        self.descriptor(tensor, "Tensor").update(dtype=_value(dtype), shape=tuple(sizes), strides=tuple(strides))

    def _GetTensorNdDescriptor(self, tensor, most, dtype, axes, sizes, strides):
        found = self.descriptor(tensor, "Tensor")
        for target, value in ((dtype, found["dtype"]), (axes, 3)):
            _target(target).value = value
        sizes[:], strides[:] = found["shape"], found["strides"]

    # ---- sizes

    def _parts(self, rnn):
        """number of a linear layer -> (offset of its matrix, its width, offset of its bias or None), and the size of all"""
        found = self.descriptor(rnn, "RNN")
        gates, units, item = _GATES[_CELLS[found["cell"]]], found["units"], dtypes.itemsize(_TYPES[found["dtype"]])
        offset, biases, places = 0, {}, {}
        for layer in range(gates * found["bias"]):
            biases[layer], offset = offset, offset + units * item
        offset = -(-offset // 16) * 16
        for layer in range(2 * gates):
            width = found["features"] if layer < gates else units
            places[layer] = offset, width, biases.get(layer)
            offset += units * width * item + self.gap
        return places, offset

    def _GetRNNWeightSpaceSize(self, handle, rnn, size):
        _target(size).value = self._parts(rnn)[1]

    def _GetRNNWeightParams(self, handle, rnn, pseudo, size, block, layer, matrix, at_matrix, vector, at_vector):
        places, nbytes = self._parts(rnn)
        assert (_value(size), _value(pseudo)) == (nbytes, 0)
        found = self.descriptor(rnn, "RNN")
        offset, width, bias = places[_value(layer)]
        units = found["units"]
        self.descriptor(matrix, "Tensor").update(
            dtype=found["dtype"], shape=(1, units, width), strides=(units * width, width, 1)
        )
        _target(at_matrix).value = _value(block) + offset
        _target(at_vector).value = None if bias is None else _value(block) + bias

    def _reserve(self, rnn, shape):
        found = self.descriptor(rnn, "RNN")
        cell = _CELLS[found["cell"]]
        return shape[1], _KEPT[cell] + 2 * _GATES[cell], shape[0], found["units"]

    def _GetRNNTempSpaceSizes(self, handle, rnn, mode, x, workspace, reserve):
        shape = self.descriptor(x, "RNNData")["shape"]
        _target(workspace).value = 256
        _target(reserve).value = 8 * int(np.prod(self._reserve(rnn, shape))) if _value(mode) else 0

    # ---- calls

    def _net(self, rnn, x, y, workspace):
        """(cell, x's shape, dtype), checked"""
        found, data, results = self.descriptor(rnn, "RNN"), self.descriptor(x, "RNNData"), self.descriptor(y, "RNNData")
        assert data["layout"] == results["layout"] == 2
        assert found["flags"] == 1, "sequences that are not packed need padded input"
        assert found["dtype"] == data["dtype"] == results["dtype"]
        assert (data["shape"][2], results["shape"][2]) == (found["features"], found["units"])
        assert _value(workspace) >= 256
        return _CELLS[found["cell"]], data["shape"], _TYPES[found["dtype"]], found["units"]

    def _weights(self, rnn, size, block, dtype, cell, units):
        """(matrices, biases), as arrays that lie in the block"""
        places, nbytes = self._parts(rnn)
        assert _value(size) == nbytes
        matrices, vectors = [], []
        for offset, width, bias in places.values():
            matrices.append(_at(_value(block) + offset, (units, width), dtype))
            vectors.append(None if bias is None else _at(_value(block) + bias, (units,), dtype))
        return matrices, vectors

    def _RNNForward(
        self,
        handle,
        rnn,
        mode,
        lengths,
        x,
        at_x,
        y,
        at_y,
        state,
        h,
        last_h,
        c_state,
        c,
        last_c,
        w_size,
        w,
        size,
        room,
        r_size,
        r,
    ):
        assert lengths is None
        cell, shape, dtype, units = self._net(rnn, x, y, size)
        assert (c_state is None) == (cell != "lstm")
        ends = (shape[0], units)
        outs = [
            _at(at_y, (*shape[:2], units), dtype),
            _at(last_h, ends, dtype),
            *([_at(last_c, ends, dtype)] if cell == "lstm" else []),
        ]
        reserve = self._block_of_reserve(rnn, shape, r_size, r) if _value(mode) else None
        if not _value(mode):
            assert not _value(r)

        def compute():
            matrices, vectors = self._weights(rnn, w_size, w, dtype, cell, units)
            given = [_at(a, s, dtype).astype("float64") for a, s in ((at_x, shape), (h, ends))]
            c0 = _at(c, ends, dtype).astype("float64") if cell == "lstm" else None
            ys, h1, c1, steps = _forward(cell, *given, c0, *_doubles(matrices, vectors))
            for out, found in zip(outs, (ys, h1, c1)):
                out[...] = found.astype(out.dtype)
            if reserve is not None:
                reserve[...] = 0
                reserve[:, : _KEPT[cell]] = steps

        fake_cupy.counts.launches += 1
        _submit(compute, [*outs, *([reserve] if reserve is not None else [])], w, at_x, h, c)

    def _block_of_reserve(self, rnn, shape, size, block):
        wanted = self._reserve(rnn, shape)
        assert _value(size) == 8 * int(np.prod(wanted)), "a reserve of another size"
        return _at(block, wanted, "float64")

    def _RNNBackwardData_v8(
        self,
        handle,
        rnn,
        lengths,
        y,
        at_y,
        dy,
        x,
        dx,
        state,
        h,
        last_dh,
        dh,
        c_state,
        c,
        last_dc,
        dc,
        w_size,
        w,
        size,
        room,
        r_size,
        r,
    ):
        assert lengths is None
        cell, shape, dtype, units = self._net(rnn, x, y, size)
        reserve, ends = self._block_of_reserve(rnn, shape, r_size, r), (shape[0], units)
        outs = [_at(dx, shape, dtype), _at(dh, ends, dtype), *([_at(dc, ends, dtype)] if cell == "lstm" else [])]

        def compute():
            matrices, vectors = self._weights(rnn, w_size, w, dtype, cell, units)
            ys, dys = (_at(a, (*shape[:2], units), dtype).astype("float64") for a in (at_y, dy))
            first, *ends_of = (
                np.zeros(ends) if not _value(a) else _at(a, ends, dtype).astype("float64") for a in (h, last_dh, last_dc)
            )
            found, d_inputs, d_states = _backward(
                cell, reserve[:, : _KEPT[cell]], ys, first, dys, *ends_of, _doubles(matrices, vectors)[0]
            )
            for out, value in zip(outs, found):
                out[...] = value.astype(out.dtype)
            gates = _GATES[cell]
            reserve[:, _KEPT[cell] :] = np.concatenate([d_inputs, d_states], 1)  # for the gradient of weights
            assert reserve.shape[1] == _KEPT[cell] + 2 * gates
            reserve[:, : _KEPT[cell]] = np.nan

        fake_cupy.counts.launches += 1
        _submit(compute, [*outs, reserve], w, at_y, dy, h, last_dh, last_dc)

    def _RNNBackwardWeights_v8(self, handle, rnn, add, lengths, x, at_x, state, h, y, at_y, w_size, dw, size, room, r_size, r):
        assert (_value(add), lengths) == (0, None)
        cell, shape, dtype, units = self._net(rnn, x, y, size)
        reserve = self._block_of_reserve(rnn, shape, r_size, r)
        matrices, vectors = self._weights(rnn, w_size, dw, dtype, cell, units)

        def compute():
            kept, slopes = np.split(reserve, [_KEPT[cell]], 1)
            assert np.isnan(kept).all(), "the gradient of data comes first"
            xs, ys = _at(at_x, shape, dtype).astype("float64"), _at(at_y, (*shape[:2], units), dtype).astype("float64")
            before = np.concatenate([_at(h, (shape[0], units), dtype).astype("float64")[:, None], ys[:, :-1]], 1)
            gates = _GATES[cell]
            for layer, (m, v) in enumerate(zip(matrices, vectors)):
                slope = slopes[:, layer]  # (time, batch, units)
                m += np.einsum("tbu,btf->uf", slope, xs if layer < gates else before).astype(m.dtype)
                if v is not None:
                    v += slope.sum((0, 1)).astype(v.dtype)

        fake_cupy.counts.launches += 1
        _submit(compute, [*matrices, *(v for v in vectors if v is not None)], at_x, at_y, h)


def _submit(compute, into, *pointers):
    """As `submit`; what lies where the pointers point to, if anywhere, is held for as long as it may be computed again."""
    held = [memory_at(_value(p), 1) for p in pointers if p is not None and _value(p)]
    submit(functools.partial(_holding, held, compute), into)


def _holding(held, compute):
    compute()


def _at(pointer, shape, dtype):
    kind = dtypes.as_numpy(dtype)
    size = int(np.prod(shape))
    return np.frombuffer(memory_at(_value(pointer), size * kind.itemsize), kind).reshape(shape)


def _doubles(matrices, vectors):
    return [m.astype("float64") for m in matrices], [0 if v is None else v.astype("float64") for v in vectors]


def _logistic(z):
    return 1 / (1 + np.exp(-z))


# ---- the cells, as NVIDIA's manual has them ----------------------------------------------------------------------------


def _forward(cell, x, h, c, w, b):
    """(all results, last states, what each step keeps (time, kept, batch, units))"""
    n, ys, steps = _GATES[cell], [], []
    for t in range(x.shape[1]):
        of_x = [x[:, t] @ w[k].T + b[k] for k in range(n)]
        of_h = [h @ w[n + k].T + b[n + k] for k in range(n)]
        if cell == "lstm":
            i, f, o = (_logistic(of_x[k] + of_h[k]) for k in (0, 1, 3))
            g = np.tanh(of_x[2] + of_h[2])
            steps.append((i, f, g, o, c))
            c = f * c + i * g
            h = o * np.tanh(c)
        elif cell == "gru":
            r, z = (_logistic(of_x[k] + of_h[k]) for k in (0, 1))
            g = np.tanh(of_x[2] + r * of_h[2])
            steps.append((r, z, g, of_h[2]))
            h = (1 - z) * g + z * h
        else:
            a = of_x[0] + of_h[0]
            h = np.tanh(a) if cell == "tanh" else np.maximum(a, 0)
            steps.append((h,))
        ys.append(h)
    return np.stack(ys, 1), h, c, np.array(steps)


def _backward(cell, steps, ys, first, dys, dh, dc, w):
    """((dx, dh, dc), slopes of the sums with the inputs, and with the state: (time, gates, batch, units))"""
    n, inputs, states, dx = _GATES[cell], [], [], []
    before = np.concatenate([first[:, None], ys[:, :-1]], 1)
    for t in reversed(range(len(steps))):
        dh = dh + dys[:, t]
        carried = 0
        if cell == "lstm":
            i, f, g, o, c = steps[t]
            tanh = np.tanh(f * c + i * g)
            dc = dc + dh * o * (1 - tanh * tanh)
            of_x = of_h = [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * tanh * o * (1 - o)]
            dc = dc * f
        elif cell == "gru":
            r, z, g, inner = steps[t]
            of_g = dh * (1 - z) * (1 - g * g)
            of_r, of_z = of_g * inner * r * (1 - r), dh * (before[:, t] - g) * z * (1 - z)
            of_x, of_h, carried = [of_r, of_z, of_g], [of_r, of_z, of_g * r], dh * z
        else:
            (h,) = steps[t]
            of_x = of_h = [dh * (1 - h * h if cell == "tanh" else h > 0)]
        dx.append(sum(of_x[k] @ w[k] for k in range(n)))
        dh = carried + sum(of_h[k] @ w[n + k] for k in range(n))
        inputs.append(of_x)
        states.append(of_h)
    return (np.stack(dx[::-1], 1), dh, dc), np.array(inputs[::-1]), np.array(states[::-1])
