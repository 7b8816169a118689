"""Convolutions and their gradients. Filters are taken as they lie (window, channels, filters) where an engine takes them so, else they are
copied into the order that all engines take, (filters, window, channels), which is quick beside a convolution.

A bias and relu behind it are part of the launch: cuDNN brings engines for that. Those for other activations and for something added it
would have to compile, two seconds each, and want filters copied; some it has as its slowest engine only, as all that are depthwise.
"""

import functools
import math
from typing import NamedTuple

from mlkit.backends.native.cuda.cudnn import activation as activations
from mlkit.backends.native.cuda.cudnn.activation import gradient_behind
from mlkit.backends.native.cuda.cudnn.draft import Layout, dense, reordered, widened
from mlkit.backends.native.cuda.cudnn.row import HALVES, CudnnRow, room_for
from mlkit.backends.native.cuda.epilogue import LaunchedFinish
from mlkit.backends.native.cuda.expressions import knows
from mlkit.backends.native.geometry import Geometry
from mlkit.core import dtypes
from mlkit.primitives.fused.epilogue import activation


def rows(device):
    return [
        Conv(device, "conv"),
        Conv(device, "conv_bias_act"),
        ConvInput(device),
        ConvInputActGrad(device),
        ConvKernel(device, "conv_kernel"),
        ConvKernel(device, "conv_kernel_wide"),
    ]


# ---- graphs ----------------------------------------------------------------------------------------------------------


class Steps(NamedTuple):
    """How a window moves, a number for each spatial axis."""

    before: tuple
    after: tuple
    strides: tuple
    dilation: tuple

    def options(self):
        names = dict(pre_padding=self.before, post_padding=self.after, stride=self.strides, dilation=self.dilation)
        return {name: list(values) for name, values in names.items()}


def forward(draft, x, w, bias, y, steps, act):
    """bias: its layout, or None; act: "relu", or None."""
    found = draft.graph.conv_fprop(draft.argument(x), draft.argument(w), **steps.options())
    if bias is not None:
        found = draft.graph.bias(found, draft.argument(bias))
    draft.result(found if act is None else draft.graph.relu(found), y)


def gradient_of_input(draft, g, w, dx, steps):
    found = draft.graph.conv_dgrad(loss=draft.argument(g), filter=draft.argument(w), **steps.options())
    draft.result(found, dx)


def gradient_behind_activation(draft, g, w, kept, dx, steps, act):
    """kept: of the activation whose result was the input."""
    found = draft.graph.conv_dgrad(loss=draft.argument(g), filter=draft.argument(w), **steps.options())
    found.set_dim(list(dx.shape))
    draft.result(gradient_behind(draft, found, draft.argument(kept), act), dx)


def gradient_of_kernel(draft, x, g, dw, steps):
    found = draft.graph.conv_wgrad(image=draft.argument(x), loss=draft.argument(g), **steps.options())
    draft.result(found, dw)


# ---- layouts ---------------------------------------------------------------------------------------------------------


def image(shape, dtype):
    """The layout of images (batch, *cells, channels) as cuDNN counts their axes."""
    last = len(shape) - 1
    return widened(reordered(dense(shape, dtype), (0, last, *range(1, last))), 4)


def window(shape, dtype, as_it_lies):
    """That of a kernel (*window, channels, filters); if not as it lies, of its copy (filters, *window, channels)."""
    cells = range(len(shape) - 2)
    if as_it_lies:
        return widened(reordered(dense(shape, dtype), (len(shape) - 1, len(shape) - 2, *cells)), 4)
    return image(filters_first(shape), dtype)


def filters_first(shape):
    return shape[-1], *shape[:-1]


def channelwise(size, rank, dtype):
    """That of a bias."""
    return Layout((1, size, *(1,) * (rank - 2)), (size, 1, *(size,) * (rank - 2)), dtype)


@functools.lru_cache(4096)
def steps_of(shape, kernel, strides, padding, dilation):
    """(`Steps`, positions of the window). shape, kernel: of the input and of the kernel."""
    geometry = Geometry(shape, kernel[:-2], strides, padding, dilation)
    more = 2 - len(strides)  # of the axes that are there for cuDNN only
    before, after = ((0,) * more + tuple(pad[i] for pad in geometry.pads) for i in (0, 1))
    return Steps(before, after, (1,) * more + tuple(strides), (1,) * more + tuple(dilation)), geometry.out


# ---- rows ------------------------------------------------------------------------------------------------------------


class _Way(NamedTuple):
    """A graph with its values. as_it_lies: whether the kernel is not copied; rest: whether bias and so on are another launch."""

    write: object
    values: tuple
    as_it_lies: bool
    rest: bool = False

    def find(self, plans):
        return plans.find(self.write, *self.values)


class _WithFilters(CudnnRow):
    """A row with a kernel as its argument 1."""

    def room(self, way, x, w, *_, **__):
        return 0 if way.as_it_lies else room_for(w.shape, dtypes.name_of(w.dtype))

    def filters(self, way, w, room):
        """The kernel as the plan takes it."""
        if way.as_it_lies:
            return w
        copy = room.take(filters_first(w.shape), dtypes.name_of(w.dtype))
        copy[...] = w.transpose(w.ndim - 1, *range(w.ndim - 1))
        return copy


class Conv(_WithFilters):
    """Convolution, with bias, something added and activation where the op has them: in the same launch, or in one more."""

    def __init__(self, device, name):
        super().__init__(device)
        self.name = name
        self._finish = LaunchedFinish(device, None)

    def ways(self, x, w, bias=None, residual=None, *, groups, act=None, **window_steps):
        dtype = dtypes.name_of(x.dtype)
        how, positions = steps_of(tuple(x.shape), tuple(w.shape), **window_steps)
        images, y = image(x.shape, dtype), image((x.shape[0], *positions, w.shape[-1]), dtype)
        b = None if bias is None else channelwise(w.shape[-1], len(y.shape), dtype)
        at_once = residual is None and act in (None, "relu") and not groups == x.shape[-1] > 1
        rest = not (bias is residual is act is None)
        can_follow = rest and (act is None or knows(activation(act)[0], dtype))
        for as_it_lies in (True, False):
            kernel = window(w.shape, dtype, as_it_lies)
            if at_once or not rest:
                yield _Way(forward, (images, kernel, b, y, how, act), as_it_lies)
            if can_follow:
                yield _Way(forward, (images, kernel, None, y, how, None), as_it_lies, rest)

    def call(self, way, plan, args, outs, room, params):
        x, w, bias, residual = (*args, None, None)[:4]
        (y,) = outs
        with_bias = [bias] if bias is not None and not way.rest else []
        plan([x, self.filters(way, w, room), *with_bias, y], room.workspace)
        if way.rest:
            self._finish(y, bias, residual, params.get("act"))


class ConvInput(_WithFilters):
    """The gradient of a convolution with respect to its input; also what is called a transposed convolution."""

    name = "conv_input"

    def ways(self, g, w, *, shape, groups, **window_steps):
        dtype = dtypes.name_of(g.dtype)
        how, _ = steps_of(tuple(shape), tuple(w.shape), **window_steps)
        for as_it_lies in (True, False):
            kernel = window(w.shape, dtype, as_it_lies)
            yield _Way(gradient_of_input, (image(g.shape, dtype), kernel, image(shape, dtype), how), as_it_lies)

    def call(self, way, plan, args, outs, room, params):
        g, w = args
        plan([g, self.filters(way, w, room), *outs], room.workspace)


class ConvInputActGrad(_WithFilters):
    """The same with the gradient of relu behind it: engines that cuDNN compiles, two seconds each, for images that are large beside a
    launch."""

    name = "conv_input_act_grad"

    def fits(self, g, w, kept, *, act, groups, **params):
        pays = act == "relu" and groups == 1 and math.prod(kept.shape) >= activations.SMALLEST
        return pays and super().fits(g, w, kept, act=act, groups=groups, **params)

    def ways(self, g, w, kept, *, act, shape, groups, **window_steps):
        dtype = dtypes.name_of(g.dtype)
        how, _ = steps_of(tuple(shape), tuple(w.shape), **window_steps)
        x = image(shape, dtype)
        for as_it_lies in (True, False):
            values = image(g.shape, dtype), window(w.shape, dtype, as_it_lies), x, x, how, act
            yield _Way(gradient_behind_activation, values, as_it_lies)

    def call(self, way, plan, args, outs, room, params):
        g, w, kept = args
        plan([g, self.filters(way, w, room), kept, *outs], room.workspace)


class ConvKernel(CudnnRow):
    """The gradient of a convolution with respect to its kernel. Few engines leave that of half floats in float32: where there is none,
    it is rounded."""

    def __init__(self, device, name):
        super().__init__(device)
        self.name = name
        self._is_wide = name == "conv_kernel_wide"

    def ways(self, x, g, *, shape, groups, **window_steps):
        dtype = dtypes.name_of(x.dtype)
        how, _ = steps_of(tuple(x.shape), tuple(shape), **window_steps)
        wide = self._is_wide and dtype in HALVES
        for of in ("float32", dtype) if wide else (dtype,):
            for as_it_lies in (True, False):
                kernel = window(shape, of, as_it_lies)
                values = image(x.shape, dtype), image(g.shape, dtype), kernel, how
                yield _Way(gradient_of_kernel, values, as_it_lies)

    def room(self, way, x, g, *, shape, **_):
        return 0 if self._is_in_place(way, x) else room_for(shape, way.values[2].dtype)

    def _is_in_place(self, way, x):
        wanted = "float32" if self._is_wide else dtypes.name_of(x.dtype)
        return way.as_it_lies and way.values[2].dtype == wanted

    def call(self, way, plan, args, outs, room, params):
        (x, g), (dw,) = args, outs
        if self._is_in_place(way, x):
            plan([x, g, dw], room.workspace)
            return
        shape = dw.shape if way.as_it_lies else filters_first(dw.shape)
        found = room.take(shape, way.values[2].dtype)
        plan([x, g, found], room.workspace)
        dw[...] = found if way.as_it_lies else found.transpose(*range(1, dw.ndim), 0)
