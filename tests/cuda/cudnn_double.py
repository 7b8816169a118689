"""A double of cuDNN: graphs are noted as NVIDIA's module notes them, and computed by NumPy as their strides say.

It checks what rows write: which operations on what, sizes, strides, padding. It does not see what cuDNN has engines for (see
`test_cudnn_plans`, where the same graphs go to NVIDIA's module), nor what they round.
"""

import contextlib
import itertools
import math
import types

import numpy as np

from mlkit.backends.native.cuda.cudnn.draft import TYPES, Draft
from mlkit.core import dtypes
from tests.cuda import fake_cupy
from tests.cuda.fake_cuda import submit

NAMES = types.SimpleNamespace(**{name: name for name in TYPES.values()})  # `cudnn.data_type`
TOLERANCE = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 3e-6}  # of results, by what they are rounded to
_DTYPES = {name: dtype for dtype, name in TYPES.items()}


class Tensor:
    """Of a graph. dim, stride: None where they follow from the operation."""

    def __init__(self, dim=None, stride=None, data_type=None, uid=None, name=""):
        self.dim, self.stride, self.data_type, self.uid, self.name = dim, stride, data_type, uid, name
        self.is_output = False

    def set_output(self, value):
        self.is_output = value
        return self

    def set_uid(self, uid):
        self.uid = uid
        return self

    def set_data_type(self, data_type):
        self.data_type = data_type
        return self

    def set_dim(self, dim):
        self.dim = dim
        return self

    def set_stride(self, stride):
        self.stride = stride
        return self


class Node:
    """An operation: function of NumPy of values in `inputs`, which gives one value for each of `outputs`."""

    def __init__(self, compute, inputs, outputs):
        self.compute, self.inputs, self.outputs = compute, inputs, outputs


class Graph:
    """`cudnn.pygraph`, as far as rows use it."""

    def __init__(self):
        self.tensors, self.nodes = [], []

    def tensor(self, dim, stride, data_type, uid, name):
        assert len(dim) == len(stride) >= 3, "cuDNN's tensors have three axes or more"
        self.tensors.append(Tensor(dim, stride, data_type, uid, name))
        return self.tensors[-1]

    def _node(self, compute, inputs, outputs=1):
        made = [Tensor() for _ in range(outputs)]
        self.tensors += made
        self.nodes.append(Node(compute, inputs, made))
        return made[0] if outputs == 1 else made

    # ---- convolution

    def conv_fprop(self, image, weight, pre_padding, post_padding, stride, dilation):
        assert len(image.dim) >= 4, "images have two spatial axes or more"
        how = _Window(pre_padding, post_padding, stride, dilation)
        return self._node(lambda out, x, w: [how.forward(x, w)], [image, weight])

    def conv_dgrad(self, loss, filter, pre_padding, post_padding, stride, dilation):
        how = _Window(pre_padding, post_padding, stride, dilation)
        return self._node(lambda out, g, w: [how.to_image(g, w, out.dim)], [loss, filter])

    def conv_wgrad(self, image, loss, pre_padding, post_padding, stride, dilation):
        how = _Window(pre_padding, post_padding, stride, dilation)
        return self._node(lambda out, x, g: [how.to_kernel(x, g, out.dim)], [image, loss])

    # ---- attention

    def sdpa(self, q, k, v, attn_scale, use_causal_mask, generate_stats, bias=None):
        def compute(out, q, k, v, *bias):
            scores = _scores(q, k, attn_scale, use_causal_mask, *bias)
            statistics = np.log(np.exp(scores - scores.max(-1, keepdims=True)).sum(-1, keepdims=True)) + scores.max(
                -1, keepdims=True
            )
            return [np.exp(scores - statistics) @ v, statistics]

        y, statistics = self._node(compute, [q, k, v, *([bias] if bias else [])], 2)
        return y, statistics if generate_stats else None

    def sdpa_backward(
        self, q, k, v, o, dO, stats, attn_scale, use_causal_mask, use_deterministic_algorithm, bias=None
    ):  # NVIDIA's name
        def compute(out, q, k, v, y, g, statistics, *bias):
            p = np.exp(_scores(q, k, attn_scale, use_causal_mask, *bias) - statistics)
            d = p * (g @ v.swapaxes(2, 3) - (g * y).sum(-1, keepdims=True)) * attn_scale
            return [d @ k, d.swapaxes(2, 3) @ q, p.swapaxes(2, 3) @ g]

        return self._node(compute, [q, k, v, o, dO, stats, *([bias] if bias else [])], 3)

    # ---- products

    def matmul(self, A, B):  # NVIDIA's names
        return self._node(lambda out, a, b: [a @ b], [A, B])

    # ---- element by element

    def bias(self, input, bias):
        return self._node(lambda out, x, b: [x + b], [input, bias])

    add = bias

    def relu(self, input):
        return self._node(lambda out, x: [np.maximum(x, 0)], [input])

    def relu_backward(self, loss, input):
        return self._node(lambda out, g, x: [g * (x > 0)], [loss, input])

    def gelu(self, input):
        return self._node(lambda out, x: [x * _cdf(x)], [input])

    def gelu_backward(self, loss, input):
        slope = lambda x: _cdf(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
        return self._node(lambda out, g, x: [g * slope(x)], [loss, input])

    def gelu_approx_tanh(self, input):
        return self._node(lambda out, x: [0.5 * x * (1 + _tanh_of_gelu(x))], [input])

    def gelu_approx_tanh_backward(self, loss, input):
        def slope(x):
            t = _tanh_of_gelu(x)
            return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)

        return self._node(lambda out, g, x: [g * slope(x)], [loss, input])


_erf = np.vectorize(math.erf, [float])


def _cdf(x):
    return 0.5 * (1 + _erf(x * math.sqrt(0.5)))


def _tanh_of_gelu(x):
    return np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def _scores(q, k, scale, causal, bias=0):
    scores = q @ k.swapaxes(2, 3) * scale + bias
    return np.where(np.tri(*scores.shape[2:], dtype=bool), scores, -np.inf) if causal else scores


class _Window:
    """How the window of a convolution moves."""

    def __init__(self, before, after, strides, dilation):
        self.before, self.after, self.strides, self.dilation = before, after, strides, dilation

    def taps(self, cells, sizes):
        """(place in the window, slices of padded cells that it meets) for windows at so many places."""
        for tap in itertools.product(*map(range, cells)):
            places = zip(tap, sizes, self.strides, self.dilation)
            yield tap, tuple(slice(t * d, t * d + (n - 1) * s + 1, s) for t, n, s, d in places)

    def padded(self, shape):
        return (*shape[:2], *(n + a + b for n, a, b in zip(shape[2:], self.before, self.after)))

    def _pad(self, x):
        return np.pad(x, [(0, 0), (0, 0), *zip(self.before, self.after)])

    def forward(self, x, w):
        x, groups = self._pad(x), x.shape[1] // w.shape[1]
        sizes = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], w.shape[2:], self.strides, self.dilation)]
        y = np.zeros((x.shape[0], groups, w.shape[0] // groups, *sizes))
        x, w = _grouped(x, 1, groups), _grouped(w, 0, groups)
        for tap, cells in self.taps(w.shape[3:], sizes):
            y += np.einsum("ngc...,gkc->ngk...", x[(..., *cells)], w[(..., *tap)], optimize=True)
        return y.reshape(y.shape[0], -1, *sizes)

    def to_image(self, g, w, shape):
        groups = shape[1] // w.shape[1]
        dx = np.zeros(self.padded(shape))
        part, g, w = _grouped(dx, 1, groups), _grouped(g, 1, groups), _grouped(w, 0, groups)
        for tap, cells in self.taps(w.shape[3:], g.shape[3:]):
            part[(..., *cells)] += np.einsum("ngk...,gkc->ngc...", g, w[(..., *tap)], optimize=True)
        return dx[(..., *(slice(a, a + n) for a, n in zip(self.before, shape[2:])))]

    def to_kernel(self, x, g, shape):
        groups = x.shape[1] // shape[1]
        dw = np.zeros(shape)
        x, g, part = _grouped(self._pad(x), 1, groups), _grouped(g, 1, groups), _grouped(dw, 0, groups)
        for tap, cells in self.taps(shape[2:], g.shape[3:]):
            met = x[(..., *cells)]
            flat = (a.reshape(*a.shape[:3], -1) for a in (met, g))
            part[(..., *tap)] += np.einsum("ngcz,ngkz->gkc", *flat, optimize=True)
        return dw


def _grouped(x, axis, groups):
    return x.reshape(*x.shape[:axis], groups, x.shape[axis] // groups, *x.shape[axis + 1 :])


def seen(flat, tensor):
    """The elements of a tensor that lies in memory, as cuDNN sees them. flat: the memory as an array of one axis."""
    needed = 1 + sum((n - 1) * step for n, step in zip(tensor.dim, tensor.stride))
    assert flat.size == needed, f"{tensor.name}: of {flat.size} elements {needed} are addressed"
    return np.lib.stride_tricks.as_strided(flat, tensor.dim, [step * flat.itemsize for step in tensor.stride])


def compute(graph, memory):
    """Run a graph. memory: number of a tensor -> array of NumPy, dense."""
    values = {}

    def value(tensor):
        if id(tensor) not in values:
            array = memory[tensor.uid]
            assert dtypes.name_of(array.dtype) == _DTYPES[tensor.data_type], f"{tensor.name}: {array.dtype}"
            values[id(tensor)] = seen(array.reshape(-1), tensor).astype("float64")
        return values[id(tensor)]

    for node in graph.nodes:
        found = node.compute(node.outputs[0], *map(value, node.inputs))
        for tensor, result in zip(node.outputs, found):
            values[id(tensor)] = result
            if tensor.is_output:
                assert list(result.shape) == tensor.dim, f"{result.shape} for {tensor.dim}"
                array = memory[tensor.uid]
                assert dtypes.name_of(array.dtype) == _DTYPES[tensor.data_type]
                seen(array.reshape(-1), tensor)[...] = result.astype(array.dtype)


class PlansOfDouble:
    """`plans.Plans`, where every graph has a plan that NumPy runs, but those for which `declines(write, values)`."""

    def __init__(self, declines=lambda write, values: False):
        self.declines, self._plans, self.tuned = declines, {}, 0

    @contextlib.contextmanager
    def tuning(self):
        self.tuned += 1
        yield

    def find(self, write, *values):
        if self.declines(write, values):
            return None
        if (write, values) not in self._plans:
            self._plans[write, values] = PlanOfDouble(write, values)
        return self._plans[write, values]


class PlanOfDouble:
    nbytes = 512  # given and not used

    def __init__(self, write, values):
        self.graph = Graph()
        draft = Draft(self.graph, NAMES)
        write(draft, *values)
        self.count = len(draft.layouts)

    def __call__(self, arrays, workspace):
        assert len(arrays) == self.count
        assert workspace.nbytes >= self.nbytes
        memory = {number: array._host for number, array in enumerate(arrays, 1)}
        results = {t.uid for t in self.graph.tensors if t.is_output}
        fake_cupy.counts.launches += 1
        submit(lambda: compute(self.graph, memory), [h for number, h in memory.items() if number in results])
