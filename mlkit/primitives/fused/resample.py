"""Images of another size whose elements are interpolated between the centres of cells: element i of m lies at (i + 1/2) n / m - 1/2
among n. That is a linear map; its gradient is the transposed one, so the two ops differentiate into one another.

x: (batch, *spatial, channels); size: the sizes of the spatial axes of the result; method: "nearest", any dtype, or "linear", in
which half floats are computed in float32. Beyond the outermost centres, "linear" repeats the outermost elements.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Spec, is_known, show
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import as_tensor
from mlkit.primitives.counts import elements
from mlkit.primitives.interpolation import multiply_along, triangle, weights
from mlkit.primitives.linear import swap
from mlkit.primitives.movement import take
from mlkit.primitives.nearest_neighbor import nearest_cells
from mlkit.primitives.shape import broadcast_to, reshape, sum_


def _spec(name: str) -> Callable[..., Any]:
    def spec(x: Spec, size: Sequence[int], method: str) -> Spec:
        if len(x.shape) != len(size) + 2:
            raise ValueError(
                f"{name}: {len(size)} sizes need an input of {len(size) + 2} axes (batch, {len(size)} spatial, channels), "
                f"but its shape is {show(x.shape)}."
            )
        if any(is_known(old, new) and old != new and min(old, new) < 1 for old, new in zip(x.shape[1:-1], size)):
            raise ValueError(f"{name}: cannot make spatial sizes {show(tuple(size))} of an input of shape {show(x.shape)}.")
        if method not in ("nearest", "linear"):
            raise ValueError(f'{name}: the method must be "nearest" or "linear", but is {method!r}.')
        if method == "linear" and x.dtype not in dtypes.FLOATS:
            raise TypeError(f'{name}: "linear" takes floats, but got {x.dtype}. Convert it with ops.cast first.')
        return Spec((x.shape[0], *size, x.shape[-1]), x.dtype)

    return spec


def _along_axes(rules: dict[str, Any]) -> Callable[..., Any]:
    """The fallback that applies the rule of the method to each axis in turn."""

    def fallback(x: Tensor, size: Sequence[int], method: str) -> Tensor:
        dtype = x.dtype
        if method == "linear":
            x = el.cast(x, dtype=dtypes.result_type(dtype, "float32"))
        for axis, new in enumerate(size, 1):
            if x.shape[axis] != new:
                x = rules[method](x, axis, new)
        return el.cast(x, dtype=dtype)

    return fallback


def _nearest(x: Tensor, axis: int, new: int) -> Tensor:
    before, size, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    if new % size:
        return take(x, as_tensor(nearest_cells(size, new)), axis=axis)
    wide = broadcast_to(reshape(x, shape=(*before, size, 1, *after)), shape=(*before, size, new // size, *after))
    return reshape(wide, shape=(*before, new, *after))


def _nearest_grad(g: Tensor, axis: int, size: int) -> Tensor:
    before, new, after = g.shape[:axis], g.shape[axis], g.shape[axis + 1 :]
    if new % size:
        x = Spec((*before, size, *after), g.dtype)
        return take.vjp(g, None, x, as_tensor(nearest_cells(size, new)), axis=axis)[0]
    return sum_(reshape(g, shape=(*before, size, new // size, *after)), axes=(axis + 1,), keepdims=False)


def _matrix(size: int, new: int, dtype: str) -> Tensor:
    return weights(size, new, new / size, 0.0, triangle, False, dtype)


def _linear(x: Tensor, axis: int, new: int) -> Tensor:
    return multiply_along(x, axis, _matrix(x.shape[axis], new, x.dtype))


def _linear_grad(g: Tensor, axis: int, size: int) -> Tensor:
    return multiply_along(g, axis, swap(_matrix(size, g.shape[axis], g.dtype)))


def _flops(resampled: Callable[..., Any], nearest: int) -> Callable[..., Any]:
    """Of linear interpolation a product and a sum for each of two neighbours an axis. `resampled` gives the spec of the resampled
    image; nearest: so many operations for each of its elements where the method is that."""

    def flops(args: Sequence[Any], outs: Sequence[Spec], params: dict[str, Any]) -> int:
        return elements(resampled(args, outs)) * (nearest if params["method"] == "nearest" else 2 * 2 ** len(params["size"]))

    return flops


resample = Op(
    "resample",
    _spec("resample"),
    lambda g, y, x, size, method: (resample_grad(g, size=x.shape[1:-1], method=method),),
    "",
    _along_axes(dict(nearest=_nearest, linear=_linear)),
    traits=Traits(flops=_flops(lambda args, outs: outs[0], 0)),
)
resample_grad = Op(
    "resample_grad",
    _spec("resample_grad"),
    lambda h, dx, g, size, method: (resample(h, size=g.shape[1:-1], method=method),),
    "",
    _along_axes(dict(nearest=_nearest_grad, linear=_linear_grad)),
    traits=Traits(flops=_flops(lambda args, outs: args[0], 1)),
)
