"""Ops as nodes of ONNX: one row an op, (writer, call) -> the name of the output, or a list of them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.core.graph import Call
from mlkit.core.op import Op
from mlkit.core.spec import Dim
from mlkit.export.onnx_control import ROWS as CONTROL
from mlkit.export.onnx_recurrent import ROWS as RECURRENT
from mlkit.export.onnx_windows import ROWS as WINDOWS
from mlkit.export.onnx_writer import Writer, element_type
from mlkit.export.tracing import op

Row = Callable[[Writer, Call], Any]


def _dtype(call: Call) -> str:
    """That of the tensors among the arguments, which numbers beside them have."""
    found = next((a.dtype for a in call.args if hasattr(a, "dtype")), call.outs[0].dtype)
    return found if isinstance(found, str) else dtypes.name_of(found)


def _names(w: Writer, call: Call) -> list[str]:
    return [w.name(a, None if hasattr(a, "dtype") else _dtype(call)) for a in call.args]


def _plain(kind: str) -> Row:
    """A node of the same arguments."""
    return lambda w, call: w.node(kind, _names(w, call))


def _one(w: Writer, call: Call, value: float = 1.0) -> str:
    return w.name(value, _dtype(call))


def _floor_div(w: Writer, call: Call) -> str:
    x, y = _names(w, call)
    if dtypes.is_float(_dtype(call)):
        return w.node("Floor", [w.node("Div", [x, y])])
    return w.node("Div", [w.node("Sub", [x, w.node("Mod", [x, y])]), y])  # Mod has the divisor's sign, Div cuts


def _mod(w: Writer, call: Call) -> str:
    x, y = _names(w, call)
    if not dtypes.is_float(_dtype(call)):
        return w.node("Mod", [x, y])
    return w.node("Sub", [x, w.node("Mul", [y, w.node("Floor", [w.node("Div", [x, y])])])])


def _where(w: Writer, call: Call) -> str:
    condition, *values = call.args
    like = next((a.dtype for a in values if hasattr(a, "dtype")), call.outs[0].dtype)
    like = like if isinstance(like, str) else dtypes.name_of(like)
    return w.node("Where", [w.name(condition, "bool"), *(w.name(a, None if hasattr(a, "dtype") else like) for a in values)])


def _atan2(w: Writer, call: Call) -> str:
    y, x = _names(w, call)
    zero, pi = _one(w, call, 0.0), _one(w, call, np.pi)
    base = w.node("Atan", [w.node("Div", [y, x])])
    turn = w.node("Where", [w.node("Less", [y, zero]), w.node("Neg", [pi]), pi])
    left = w.node("Where", [w.node("Less", [x, zero]), w.node("Add", [base, turn]), base])
    return left


def _isfinite(w: Writer, call: Call) -> str:
    (x,) = _names(w, call)
    return w.node("Not", [w.node("Or", [w.node("IsInf", [x]), w.node("IsNaN", [x])])])


def _relu6(w: Writer, call: Call) -> str:
    (x,) = _names(w, call)
    return w.node("Clip", [x, _one(w, call, 0.0), _one(w, call, 6.0)])


def _silu(w: Writer, call: Call) -> str:
    (x,) = _names(w, call)
    return w.node("Mul", [x, w.node("Sigmoid", [x])])


def _bits(of_bool: str, of_ints: str) -> Row:
    return lambda w, call: w.node(of_bool if _dtype(call) == "bool" else of_ints, _names(w, call))


def _cast(w: Writer, call: Call) -> str:
    return w.node("Cast", _names(w, call), to=element_type(call.params["dtype"]))


def _then(kind: str, *before: str) -> Row:
    """Nodes of one argument, one after the other."""

    def row(w: Writer, call: Call) -> str:
        (x,) = _names(w, call)
        for k in (*before, kind):
            x = w.node(k, [x])
        return x

    return row


def _log1p(w: Writer, call: Call) -> str:
    return w.node("Log", [w.node("Add", [*_names(w, call), _one(w, call)])])


def _expm1(w: Writer, call: Call) -> str:
    return w.node("Sub", [w.node("Exp", _names(w, call)), _one(w, call)])


# ---- shapes ------------------------------------------------------------------------------------------------------------


def _reshape(w: Writer, call: Call) -> str:
    return w.node("Reshape", [*_names(w, call), w.shape(call.params["shape"], free=True)])


def _slice(w: Writer, call: Call) -> str:
    p, x = call.params, call.args[0]
    axes = [
        i
        for i, (a, b, s) in enumerate(zip(p["starts"], p["stops"], p["strides"]))
        if (a, s) != (0, 1) or not _is_end(b, x.shape[i])
    ]
    if not axes:
        return w.name(x)

    def sizes(name: str) -> str:
        return w.shape([p[name][i] for i in axes])

    return w.node("Slice", [w.name(x), sizes("starts"), sizes("stops"), w.ints(axes), w.ints([p["strides"][i] for i in axes])])


def _is_end(stop: Any, size: Any) -> bool:
    return stop is size or (type(stop) is not Dim and type(size) is not Dim and stop == size)


def _flip(w: Writer, call: Call) -> str:
    axes = call.params["axes"]
    ends = [-(2**62)] * len(axes)
    return w.node(
        "Slice", [w.name(call.args[0]), w.ints([-1] * len(axes)), w.ints(ends), w.ints(axes), w.ints([-1] * len(axes))]
    )


def _pad(w: Writer, call: Call) -> str:
    low, high, value = (call.params[k] for k in ("low", "high", "value"))
    return w.node("Pad", [*_names(w, call), w.ints([*low, *high]), w.name(value, _dtype(call))], mode="constant")


def _full(w: Writer, call: Call) -> str:
    value = np.full(1, call.params["value"], dtypes.as_numpy(call.params["dtype"]))
    return w.node("Expand", [w.constant(value[0]), w.shape(call.params["shape"])])


def _iota(w: Writer, call: Call) -> str:
    size = w.node("Squeeze", [w.size(call.params["size"]), w.ints([0])])
    numbers = w.node("Range", [w.constant(np.int64(0)), size, w.constant(np.int64(1))])
    return w.node("Cast", [numbers], to=element_type(call.params["dtype"]))


def _take_along_axis(w: Writer, call: Call) -> str:
    x, index = call.args
    return w.node("GatherElements", [w.name(x), w.name(index)], axis=call.params["axis"])


def _searchsorted(w: Writer, call: Call) -> str:
    """How many numbers of the sorted line are below each value (or, from the right, not above it)."""
    line, values = call.args
    compared = w.node("Unsqueeze", [w.name(values), w.ints([len(values.shape)])])
    below = w.node("LessOrEqual" if call.params["side"] == "right" else "Less", [w.name(line), compared])
    ones = w.node("Cast", [below], to=element_type(call.outs[0].dtype))
    return w.node("ReduceSum", [ones, w.ints([-1])], keepdims=0)


# ---- reductions ----------------------------------------------------------------------------------------------------------


def _reduce(kind: str) -> Row:
    def row(w: Writer, call: Call) -> str:
        return w.node(kind, [*_names(w, call), w.ints(call.params["axes"])], keepdims=int(call.params["keepdims"]))

    return row


def _arg(kind: str) -> Row:
    def row(w: Writer, call: Call) -> str:
        found = w.node(kind, _names(w, call), axis=call.params["axis"], keepdims=0)
        return w.node("Cast", [found], to=element_type(call.outs[0].dtype))

    return row


def _cumsum(w: Writer, call: Call) -> str:
    return w.node(
        "CumSum", [*_names(w, call), w.constant(np.int64(call.params["axis"]))], reverse=int(call.params.get("reverse", False))
    )


def _layer_norm(w: Writer, call: Call) -> list[str]:
    x, scale, offset = call.args
    shape = x.shape[len(x.shape) - call.params["rank"] :]
    scale = np.ones(shape, dtypes.as_numpy(_dtype(call))) if scale is None else scale
    inputs = [w.name(x), w.name(scale), *([] if offset is None else [w.name(offset)])]
    return [w.node("LayerNormalization", inputs, axis=-call.params["rank"], epsilon=call.params["epsilon"])]


_KINDS = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "neg": "Neg", "abs": "Abs", "sign": "Sign", "floor": "Floor", "ceil": "Ceil",
    "round": "Round", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sin": "Sin", "cos": "Cos", "tan": "Tan", "arcsin": "Asin",
    "arccos": "Acos", "arctan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "arcsinh": "Asinh", "arccosh": "Acosh", "arctanh": "Atanh",
    "tanh": "Tanh", "sigmoid": "Sigmoid", "erf": "Erf", "pow": "Pow", "maximum": "Max", "minimum": "Min", "equal": "Equal",
    "less": "Less", "less_equal": "LessOrEqual", "isnan": "IsNaN", "matmul": "MatMul", "relu": "Relu", "softplus": "Softplus",
    "stop_gradient": "Identity",
    "relayout": "Identity",
}  # fmt: skip

ROWS: dict[Op, Row] = {
    **{op(name): _plain(kind) for name, kind in _KINDS.items()},
    op("not_equal"): lambda w, call: w.node("Not", [w.node("Equal", _names(w, call))]),
    op("rsqrt"): _then("Reciprocal", "Sqrt"),
    op("floor_div"): _floor_div,
    op("mod"): _mod,
    op("where"): _where,
    op("atan2"): _atan2,
    op("isfinite"): _isfinite,
    op("log1p"): _log1p,
    op("expm1"): _expm1,
    op("relu6"): _relu6,
    op("silu"): _silu,
    op("gelu"): lambda w, call: w.node("Gelu", _names(w, call), approximate="tanh" if call.params["approximate"] else "none"),
    op("not"): _bits("Not", "BitwiseNot"),
    op("and"): _bits("And", "BitwiseAnd"),
    op("or"): _bits("Or", "BitwiseOr"),
    op("xor"): _bits("Xor", "BitwiseXor"),
    op("cast"): _cast,
    op("reshape"): _reshape,
    op("transpose"): lambda w, call: w.node("Transpose", _names(w, call), perm=list(call.params["perm"])),
    op("broadcast_to"): lambda w, call: w.node("Expand", [*_names(w, call), w.shape(call.params["shape"])]),
    op("slice"): _slice,
    op("concat"): lambda w, call: w.node("Concat", _names(w, call), axis=call.params["axis"]),
    op("flip"): _flip,
    op("pad"): _pad,
    op("full"): _full,
    op("iota"): _iota,
    op("searchsorted"): _searchsorted,
    op("take"): lambda w, call: w.node("Gather", [w.name(a) for a in call.args], axis=call.params["axis"]),
    op("take_along_axis"): _take_along_axis,
    op("sum"): _reduce("ReduceSum"),
    op("prod"): _reduce("ReduceProd"),
    op("max"): _reduce("ReduceMax"),
    op("min"): _reduce("ReduceMin"),
    op("argmax"): _arg("ArgMax"),
    op("argmin"): _arg("ArgMin"),
    op("cumsum"): _cumsum,
    op("softmax"): lambda w, call: w.node("Softmax", _names(w, call), axis=call.params["axis"]),
    op("log_softmax"): lambda w, call: w.node("LogSoftmax", _names(w, call), axis=call.params["axis"]),
    op("layer_norm"): _layer_norm,
    **WINDOWS,
    **RECURRENT,
    **CONTROL,
}  # fmt: skip


def takes(call: Call) -> bool:
    """Whether the row of a call's op takes this very call."""
    if call.op is op("pad"):
        return not any(call.params["interior"]) and all(n >= 0 for n in (*call.params["low"], *call.params["high"]))
    if call.op is op("take_along_axis"):
        x, index = (a.shape for a in call.args)
        return all(_is_end(a, b) for i, (a, b) in enumerate(zip(x, index)) if i != call.params["axis"])
    if call.op in (op("abs"), op("sign")):
        return not _dtype(call).startswith("complex")
    return not any(
        getattr(a, "dtype", None) is not None and str(a.dtype).startswith("complex") for a in (*call.args, *call.outs)
    )
