"""What calls cost, from their specs alone: floating-point operations, and bytes read and written at least.

An op without a row in FLOPS costs what its fallback costs; one that has none works element by element, one FLOP for each of its
results (an exponential too).
"""

import math

from mlkit.compiler import layout
from mlkit.compiler.passes.keep_for_gradients import forward_of, without_kept
from mlkit.core import dtypes
from mlkit.core.graph import Graph, spec_of
from mlkit.core.op import OPS
from mlkit.core.spec import Spec
from mlkit.core.state import swapped
from mlkit.core.tensor import Tensor, Value
from mlkit.core.trace import Trace


def _size(spec):
    return math.prod(spec.shape)


def _free(args, outs, params):
    return 0


def _each_input(args, outs, params):
    return _size(args[0])


def _each_update(args, outs, params):
    return _size(args[-1])


def _matmul(args, outs, params):
    return 2 * _size(outs[0]) * args[0].shape[-1]


def _conv(args, outs, params):
    return 2 * _size(outs[0]) * math.prod(args[1].shape[:-1])


def _conv_input(args, outs, params):
    return 2 * _size(args[0]) * math.prod(args[1].shape[:-1])


def _conv_kernel(args, outs, params):
    return 2 * _size(args[1]) * math.prod(params["shape"][:-1])


def _pool(of):
    """A comparison or an addition for each cell of each window; `of` gives the spec that has one element a window."""
    return lambda args, outs, params: _size(of(args, outs)) * math.prod(params["window"])


def _resample(of, nearest):
    """Of linear interpolation a product and a sum for each of two neighbours an axis. `of` gives the spec of the resampled image;
    nearest: so many operations for each of its elements where the method is that."""

    def flops(args, outs, params):
        return _size(of(args, outs)) * (nearest if params["method"] == "nearest" else 2 * 2 ** len(params["size"]))

    return flops


def _sort(args, outs, params):
    return _size(args[0]) * math.ceil(math.log2(max(args[0].shape[-1], 2)))


def _fourier(args, outs, params):
    return 5 * _size(args[0]) * math.ceil(math.log2(max(args[0].shape[-1], 2)))


def _factor(count):
    """Counts of dense linear algebra (Golub and Van Loan, Matrix Computations, 4th ed., 2013), for each matrix (m, n)."""

    def flops(args, outs, params):
        *batch, m, n = args[0].shape
        right = args[1].shape[-1] if len(args) > 1 and hasattr(args[1], "shape") and args[1].shape else 0
        return int(math.prod(batch) * count(m, n, right))

    return flops


def _scan(args, outs, params):
    return params["length"] * graph_flops(params["body"])


def _cond(args, outs, params):
    return max(graph_flops(params["then"]), graph_flops(params["orelse"]))


def _while(args, outs, params):
    """Of one turn: how many there are only the run knows."""
    return graph_flops(params["test"]) + graph_flops(params["body"])


# op name -> (specs of the arguments, of the outputs, params) -> FLOPs
FLOPS = {
    "matmul": _matmul, "conv": _conv, "conv_input": _conv_input, "conv_kernel": _conv_kernel,
    "max_pool": _pool(lambda args, outs: outs[0]), "avg_pool": _pool(lambda args, outs: outs[0]),
    "max_pool_grad": _pool(lambda args, outs: args[1]), "max_pool_pick": _pool(lambda args, outs: args[1]),
    "avg_pool_grad": _pool(lambda args, outs: args[0]),
    "resample": _resample(lambda args, outs: outs[0], 0), "resample_grad": _resample(lambda args, outs: args[0], 1),
    "sort": _sort, "argsort": _sort, "searchsorted": lambda args, outs, params: _size(outs[0]) * args[0].shape[-1].bit_length(),
    "fft": _fourier, "ifft": _fourier, "scan": _scan, "cond": _cond, "while": _while,
    "cholesky": _factor(lambda m, n, k: n**3 / 3), "lu": _factor(lambda m, n, k: 2 * n**3 / 3),
    "det": _factor(lambda m, n, k: 2 * n**3 / 3), "slogdet": _factor(lambda m, n, k: 2 * n**3 / 3),
    "solve": _factor(lambda m, n, k: 2 * n**3 / 3 + 2 * n * n * k), "triangular_solve": _factor(lambda m, n, k: n * n * k),
    "qr": _factor(lambda m, n, k: 2 * m * n * n), "singular_values": _factor(lambda m, n, k: 4 * m * n * n),
    "svd": _factor(lambda m, n, k: 4 * m * n * n + 8 * n**3), "pinv": _factor(lambda m, n, k: 4 * m * n * n + 8 * n**3),
    "eigh": _factor(lambda m, n, k: 9 * n**3), "eig": _factor(lambda m, n, k: 25 * n**3),
    **dict.fromkeys(("sum", "prod", "max", "min", "argmax", "argmin", "cumsum", "cumprod"), _each_input),
    **dict.fromkeys(("scatter_add", "scatter_mul", "scatter_max", "scatter_min", "sum_rows"), _each_update),
    **dict.fromkeys(
        ("full", "iota", "random_bits", "reshape", "transpose", "broadcast_to", "slice", "pad", "concat", "flip", "take",
         "take_along_axis", "scatter_set", "stop_gradient", "bitcast", "cast", "real", "imag", "complex"), _free,
    ),
}  # fmt: skip
_SELECTING = ("take", "take_along_axis", "slice")  # they read of their first argument no more than they return


def call_flops(call):
    """Floating-point operations of a Call; a multiplication and the addition that follows count as two."""
    row = FLOPS.get(call.op.name)
    if row is not None:
        return row([spec_of(a) for a in call.args], [v.spec for v in call.outs], call.params)
    if call.op.fallback is not None:
        return _fallback_flops(call)
    return sum(_size(v) for v in call.outs)


def _fallback_flops(call, only=None):
    """Those of a fused op; of a gradient without what the forward call keeps for it."""
    flops = graph_flops(fallback_graph(without_kept(call)), only)
    forward = forward_of(call)
    return flops if forward is None else flops - graph_flops(fallback_graph(forward), only)


def graph_flops(graph, only=None):
    """FLOPs of all calls of a graph, or of those in it and in its fused ops whose op is named in `only`."""
    total = 0
    for call in graph.calls:
        if only is None or call.op.name in only:
            total += call_flops(call)
        elif call.op.name not in FLOPS and call.op.fallback is not None:
            total += _fallback_flops(call, only)
        elif call.op.name == "scan":
            total += call.params["length"] * graph_flops(call.params["body"], only)
    return total


def call_bytes(call):
    """Bytes a Call reads and writes at least: all its arguments and outputs once."""
    read = [_nbytes(spec_of(a)) for a in call.args]
    written = sum(_nbytes(v.spec) for v in call.outs)
    if call.op.name in _SELECTING:
        read[0] = min(read[0], written)
    return sum(read) + written


def _nbytes(spec):
    return layout.nbytes(spec.shape, dtypes.as_numpy(spec.dtype).itemsize) if type(spec) is Spec else 0


def fallback_graph(call):
    """The calls that a fused op stands for, as a graph."""
    args = [Tensor(Value(spec_of(a))) if hasattr(a, "shape") else a for a in call.args]
    trace = Trace(Graph())
    with swapped(trace=trace, recording=(), scope=call.place):
        call.op.fallback(*args, **call.params)
    return trace.graph


def without_row():
    """Names of the ops that count as one FLOP an element."""
    return sorted(name for name, op in OPS.items() if name not in FLOPS and op.fallback is None)
