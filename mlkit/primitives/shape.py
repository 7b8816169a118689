"""Primitives that look at a tensor in another shape, and the sum over axes, the gradient of repeating."""

from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core import layout
from mlkit.core.messages import explained
from mlkit.core.op import Op
from mlkit.core.spec import Size, Spec, is_known, normalize_axes, reduced, require_elements, same_size, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives.axes import led, shifted
from mlkit.primitives.counts import each_input, free


def _reshape_spec(x: Spec, shape: Sequence[Size]) -> Spec:
    if any(type(s) is int and s < 0 for s in shape):
        raise ValueError(f"reshape: sizes must not be negative, but the new shape is {show(shape)}.")
    if is_known(*x.shape, *shape) and size_of(x.shape) != size_of(shape):
        raise explained(
            ValueError(
                f"reshape: cannot give {size_of(x.shape)} elements of shape {show(x.shape)} the shape {show(shape)} "
                f"({size_of(shape)} elements)."
            ),
            "reshape-cannot-give-elements-of-shape-the-shape",
        )
    return Spec(shape, x.dtype)


def _reshape_view(x: Any, offset: int, strides: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, tuple[int, ...]] | None:
    new = layout.reshape(x.shape, strides, shape)
    return None if new is None else (offset, new)


reshape = Op(
    "reshape",
    _reshape_spec,
    lambda g, y, x, shape: (reshape(g, shape=x.shape),),
    keep="",
    traits=Traits(view=_reshape_view, flops=free, batch=led(shape=lambda size: size)),
)


def _transpose_spec(x: Spec, perm: tuple[int, ...]) -> Spec:
    if sorted(perm) != list(range(len(x.shape))):
        raise ValueError(f"transpose: axes {perm} are not a permutation of the {len(x.shape)} axes of shape {show(x.shape)}.")
    return Spec([x.shape[p] for p in perm], x.dtype)


def inverse_permutation(perm: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes `perm`."""
    return tuple(sorted(range(len(perm)), key=perm.__getitem__))


def _transposed(op: Op, args: Sequence[Any], has: Sequence[bool], size: Size, params: dict[str, Any]) -> Tensor:
    return op(*args, perm=(0, *(p + 1 for p in params["perm"])))


transpose = Op(
    "transpose",
    _transpose_spec,
    lambda g, y, x, perm: (transpose(g, perm=inverse_permutation(perm)),),
    keep="",
    traits=Traits(
        view=lambda x, offset, strides, perm: (offset, layout.transpose(strides, perm)), flops=free, batch=_transposed
    ),
)


def _broadcast_to_spec(x: Spec, shape: Sequence[Size]) -> Spec:
    if len(shape) < len(x.shape) or any(a != 1 and not same_size(a, b) for a, b in zip(x.shape[::-1], shape[::-1])):
        raise ValueError(f"broadcast_to: shape {show(x.shape)} cannot be broadcast to {show(shape)}.")
    return Spec(shape, x.dtype)


def _broadcast(op: Op, args: Sequence[Any], has: Sequence[bool], size: Size, params: dict[str, Any]) -> Tensor:
    (x,), shape = args, params["shape"]
    x = reshape(x, shape=(size, *(1,) * (len(shape) + 1 - x.ndim), *x.shape[1:]))
    return op(x, shape=(size, *shape))


broadcast_to = Op(
    "broadcast_to",
    _broadcast_to_spec,
    lambda g, y, x, shape: (sum_to(g, x.shape),),
    keep="",
    traits=Traits(
        view=lambda x, offset, strides, shape: (offset, layout.broadcast(x.shape, strides, shape)), flops=free, batch=_broadcast
    ),
)


def sum_to(g: Tensor, shape: Sequence[Size]) -> Tensor:
    """Sum over the axes along which `shape` was broadcast to g's shape: the gradient of broadcasting."""
    if g.shape == shape:
        return g
    lead = g.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(i + lead for i, s in enumerate(shape) if s == 1 and g.shape[i + lead] != 1)
    if axes:
        g = sum_(g, axes=axes, keepdims=False)
    return g if g.shape == shape else reshape(g, shape=shape)


# ---- reductions -------------------------------------------------------------------------------------------------------


def reduce_spec(name: str) -> Callable[..., Any]:
    """The spec rule of a reduction over axes, a tuple of distinct non-negative integers."""

    def spec(x: Spec, axes: tuple[int, ...], keepdims: bool) -> Spec:
        axes = normalize_axes(name, axes, len(x.shape))
        if name in ("max", "min"):
            require_elements(name, x.shape, axes)
        return Spec(reduced(x.shape, axes, keepdims), x.dtype)

    return spec


def spread(g: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """A reduced tensor (with or without kept axes) broadcast back to x's shape."""
    kept = tuple(1 if i in axes else s for i, s in enumerate(x.shape))
    return broadcast_to(g if g.shape == kept else reshape(g, shape=kept), shape=x.shape)


sum_ = Op(
    "sum",
    reduce_spec("sum"),
    lambda g, y, x, axes, keepdims: (spread(g, x, axes),),
    keep="",
    traits=Traits(flops=each_input, batch=shifted("axes")),
)
