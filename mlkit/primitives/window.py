"""Primitives over sliding windows: convolution and pooling in one to three spatial dimensions.

Images are channels last, (batch, *spatial, channels); kernels are (*window, channels / groups, filters). The three convolutions
are one trilinear form seen from its three sides, so they differentiate into one another; the poolings do too. Double
backward therefore needs no further op, and a backend that is fast at these is fast at all orders.

Parameters: strides, dilation: one int per spatial axis; padding: "valid", "same" or a pair (before, after) per spatial axis.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.messages import explained
from mlkit.core.op import Op
from mlkit.core.spec import Padding, Size, Spec, is_known, require, require_float, same_size, show, window_output
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Images, Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.batching import in_batches
from mlkit.primitives.counts import elements


def _op(name: str, spec: Callable[..., Any], vjp: Callable[..., Any], keep: str = "xy", **traits) -> Op:
    """Kernels here go over memory by shapes that they believe."""
    return Op(name, spec, vjp, keep, asks_first=True, traits=Traits(**traits))


# ---- convolution -----------------------------------------------------------------------------------------------------


def _conv_spec(x: Spec, w: Spec, strides: tuple[int, ...], padding: Padding, dilation: tuple[int, ...], groups: int) -> Spec:
    _check_conv(x, w, strides, dilation, groups)
    spatial = _positions("conv", x.shape, w.shape[:-2], strides, padding, dilation)
    return Spec((x.shape[0], *spatial, w.shape[-1]), x.dtype)


def _check_conv(x: Spec, w: Spec, strides: tuple[int, ...], dilation: tuple[int, ...], groups: int) -> None:
    rank, channels = len(w.shape) - 2, x.shape[-1] if x.shape else None
    if len(x.shape) != rank + 2 or rank < 1:
        raise ValueError(
            f"conv: a kernel of shape {show(w.shape)} convolves {max(rank, 1)} spatial axes, so the input must have "
            f"{max(rank, 1) + 2} axes (batch, {max(rank, 1)} spatial, channels), but its shape is {show(x.shape)}."
        )
    if x.dtype != w.dtype:
        raise TypeError(f"conv: the input is {x.dtype} and the kernel {w.dtype}. Convert one with ops.cast first.")
    _check_steps("conv", rank, strides=strides, dilation=dilation)
    if 0 in w.shape[:-2]:
        raise ValueError(f"conv: the window of a kernel must have one cell or more, but its shape is {show(w.shape)}.")
    if not same_size(channels, w.shape[-2] * groups):
        raise ValueError(
            f"conv: the input of shape {show(x.shape)} has {channels} channels (last axis), but the kernel of shape "
            f"{show(w.shape)} expects {w.shape[-2] * groups}"
            + (f" = {w.shape[-2]} in each of {groups} groups." if groups > 1 else ".")
        )
    if is_known(w.shape[-1]) and w.shape[-1] % groups:
        raise ValueError(f"conv: {w.shape[-1]} filters cannot be divided into {groups} groups.")


def _check_steps(name: str, rank: int, **steps) -> None:
    for what, values in steps.items():
        if len(values) != rank or any(s < 1 for s in values):
            raise ValueError(f"{name}: {what} must be {rank} positive integers, one per spatial axis, but are {values}.")


def _positions(
    name: str,
    shape: Sequence[Size],
    window: Sequence[Any],
    strides: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
) -> list[Any]:
    """Number of places the window can take along each spatial axis."""
    out = [window_output(padding, i, n, k, s, d) for i, (n, k, s, d) in enumerate(zip(shape[1:-1], window, strides, dilation))]
    if any((type(n) is int and n < 0) or (n == 0 and shape[i + 1] != 0) for i, n in enumerate(out)):
        raise explained(
            ValueError(
                f"{name}: the window {tuple(window)} (dilation {tuple(dilation)}) is larger than the input of shape {show(shape)}, "
                f'which leaves no output (padding={padding!r}). Use padding="same", a smaller window or a larger input.'
            ),
            "conv-the-window-is-larger-than-the-input-of-shape",
        )
    return out


def _conv_vjp(g: Tensor, y: Tensor, x: Tensor, w: Tensor, **p: Any) -> tuple[Tensor | None, ...]:
    return conv_input(g, w, shape=x.shape, **p), conv_kernel(x, g, shape=w.shape, **p)


def _conv_input_vjp(h: Tensor, y: Tensor, g: Tensor, w: Tensor, shape: Sequence[Size], **p: Any) -> tuple[Tensor | None, ...]:
    return conv(h, w, **p), conv_kernel(h, g, shape=w.shape, **p)


def _conv_kernel_vjp(h: Tensor, y: Tensor, x: Tensor, g: Tensor, shape: Sequence[Size], **p: Any) -> tuple[Tensor | None, ...]:
    return conv_input(g, h, shape=x.shape, **p), conv(x, h, **p)


def _conv_input_spec(g: Spec, w: Spec, shape: Sequence[Size], **p: Any) -> Spec:
    return _gradient_spec("conv_input", g, _conv_spec(Spec(shape, g.dtype), w, **p), Spec(shape, g.dtype))


def _conv_kernel_spec(x: Spec, g: Spec, shape: Sequence[Size], **p: Any) -> Spec:
    return _gradient_spec("conv_kernel", g, _conv_spec(x, Spec(shape, x.dtype), **p), Spec(shape, x.dtype))


def _gradient_spec(name: str, g: Spec, forward: Spec, result: Spec) -> Spec:
    """`result`, if g is like what the forward op would give."""
    require(name, f"for a result of shape {show(result.shape)}, the gradient", g, forward.shape, forward.dtype)
    return result


def _flops(image: Callable[..., Any], window: Callable[..., Any]) -> Callable[..., Any]:
    """Of a product for each element of an image, which ``image(args, outs)`` gives, and each cell of the kernel for it."""
    return lambda args, outs, params: 2 * elements(image(args, outs)) * math.prod(window(args, params)[:-1])


def channels_apart(images: Any, params: dict[str, Any]) -> bool:
    """Whether a convolution has one group, or one for each channel: then blocks of channels can be worked on apart."""
    return params["groups"] == 1 or all(v.shape[3] == params["groups"] for v in images)


conv = _op(
    "conv",
    _conv_spec,
    _conv_vjp,
    keep="x",
    flops=_flops(lambda args, outs: outs[0], lambda args, params: args[1].shape),
    images=Images((0,), (0,), True, channels_apart),
    batch=in_batches(0),
)
conv_input = _op(  # shape: of the input
    "conv_input",
    _conv_input_spec,
    _conv_input_vjp,
    keep="x",
    flops=_flops(lambda args, outs: args[0], lambda args, params: args[1].shape),
    images=Images((0,), (0,), True, channels_apart),
    batch=in_batches(0, shapes=("shape",)),
)
conv_kernel = _op(  # shape: of the kernel
    "conv_kernel",
    _conv_kernel_spec,
    _conv_kernel_vjp,
    keep="x",
    flops=_flops(lambda args, outs: args[1], lambda args, params: params["shape"]),
    images=Images((0, 1), (), True, channels_apart),
)


# ---- pooling ---------------------------------------------------------------------------------------------------------


def _pool_spec(name: str, takes: tuple[str, ...]) -> Callable[..., Any]:
    def spec(x: Spec, window: tuple[int, ...], strides: tuple[int, ...], padding: str) -> Spec:
        rank = len(window)
        if len(x.shape) != rank + 2:
            raise ValueError(
                f"{name}: a window of {rank} sizes needs an input of {rank + 2} axes (batch, {rank} spatial, channels), "
                f"but its shape is {show(x.shape)}."
            )
        el.require_dtype(name, x.dtype, takes)
        _check_steps(name, rank, window=window, strides=strides)
        return Spec((x.shape[0], *_positions(name, x.shape, window, strides, padding, (1,) * rank), x.shape[-1]), x.dtype)

    return spec


def _avg_pool_grad_spec(g: Spec, shape: Sequence[Size], **p: Any) -> Spec:
    require_float("avg_pool_grad", "the gradient", g)
    result = Spec(shape, g.dtype)
    return _gradient_spec("avg_pool_grad", g, avg_pool.spec(result, **p), result)


def _max_pool_grad_spec(x: Spec, y: Spec, g: Spec, **p: Any) -> Spec:
    forward = max_pool.spec(x, **p)
    require("max_pool_grad", f"the maximum of x of shape {show(x.shape)}", y, forward.shape, x.dtype)
    return _gradient_spec("max_pool_grad", g, forward, x)


def _max_pool_pick_spec(x: Spec, y: Spec, h: Spec, **p: Any) -> Spec:
    forward = max_pool.spec(x, **p)
    require("max_pool_pick", f"the maximum of x of shape {show(x.shape)}", y, forward.shape, x.dtype)
    require("max_pool_pick", "what is picked from", h, x.shape, x.dtype)
    return y


def _cells(windows: Callable[..., Any]) -> Callable[..., Any]:
    """Operations: one for each cell of each window. `windows`: (args, outs) -> the spec that has one element for a window."""
    return lambda args, outs, params: elements(windows(args, outs)) * math.prod(params["window"])


max_pool = _op(
    "max_pool",
    _pool_spec("max_pool", el.ORDERED),
    lambda g, y, x, **p: (max_pool_grad(x, y, g, **p),),
    flops=_cells(lambda args, outs: outs[0]),
    images=Images((0,), (0,)),
    batch=in_batches(0),
)

# Of equal values in a window the first one is the maximum.
# max_pool_grad(x, y, g): zeros, and each g added at the place its maximum y has in x.
# max_pool_pick(x, y, h): the elements of h at the places of the maxima y of x.
max_pool_grad = _op(
    "max_pool_grad",
    _max_pool_grad_spec,
    lambda h, _, x, y, g, **p: (None, None, max_pool_pick(x, y, h, **p)),
    keep="01",
    flops=_cells(lambda args, outs: args[1]),
    images=Images((0, 1, 2), (0,)),
    batch=in_batches(0, 1, 2),
)
max_pool_pick = _op(
    "max_pool_pick",
    _max_pool_pick_spec,
    lambda g, _, x, y, h, **p: (None, None, max_pool_grad(x, y, g, **p)),
    keep="01",
    flops=_cells(lambda args, outs: args[1]),
    batch=in_batches(0, 1, 2),
)

# The mean of the cells that are there: padding is not counted.
avg_pool = _op(
    "avg_pool",
    _pool_spec("avg_pool", dtypes.FLOATS),
    lambda g, y, x, **p: (avg_pool_grad(g, shape=x.shape, **p),),
    keep="",
    flops=_cells(lambda args, outs: outs[0]),
    images=Images((0,), (0,)),
    batch=in_batches(0),
)
avg_pool_grad = _op(
    "avg_pool_grad",
    _avg_pool_grad_spec,
    lambda h, y, g, shape, **p: (avg_pool(h, **p),),
    keep="",
    flops=_cells(lambda args, outs: args[0]),
    images=Images((0,), (0,)),
    batch=in_batches(0, shapes=("shape",)),
)
