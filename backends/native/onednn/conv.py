"""Convolution: channels-last activations, weights in the layout that oneDNN prefers (HWIO is up to three times slower)."""

import math
from ctypes import c_int

from mlkit.backends.native.geometry import Geometry
from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.activation import RESIDUAL, is_known, post_ops
from mlkit.backends.native.onednn.building_blocks import rows_dense
from mlkit.backends.native.onednn.densify import is_dense
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import anyhow, dense, dims, strided
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.row import FLOATS, Row, element_strides
from mlkit.compiler.plan import Operand
from mlkit.core.machine import threshold


def image(operand):
    """(shape, strides, dtype) of a channels-last tensor with the channels second, as oneDNN counts axes; None if it cannot be
    taken. An image in blocks of channels has the tag of its layout for strides."""
    strides = element_strides(operand)
    layout = strides and (getattr(operand, "tag", None) or _channels_second(strides))
    return layout and (_channels_second(operand.shape), layout, operand.dtype)


def alike(*images):
    """The layouts that a primitive is asked for: all in blocks if one is, or none if one has fewer channels than a block."""
    tag = next((x[1] for x in images if isinstance(x[1], int)), None)
    if tag is None:
        return images
    if any(x[0][1] < FEWEST for x in images):
        return [(x[0], _dense_image(x[0]), x[2]) for x in images]
    return [(x[0], tag, x[2]) for x in images]


def _dense_image(shape):
    """Strides of a channels-last tensor whose shape has the channels second."""
    n, channels, *cells = shape
    return _channels_second(rows_dense((n, *cells, channels))[1])


FEWEST = threshold("conv_in_blocks")


def _channels_second(axes):
    return axes[0], axes[-1], *axes[1:-1]


def window(operand, groups):
    """(shape, strides, dtype) of a kernel (*window, channels / groups, filters) as (groups?, filters, channels, *window); or
    None."""
    strides = element_strides(operand)
    if strides is None:
        return None
    *cells, channels, filters = operand.shape
    *steps, channel_step, filter_step = strides
    if groups == 1:
        return (filters, channels, *cells), (filter_step, channel_step, *steps), operand.dtype
    each = filters // groups
    return (groups, each, channels, *cells), (each * filter_step, filter_step, channel_step, *steps), operand.dtype


def steps(shape, kernel, strides, padding, dilation):
    """(strides, dilations, padding before, padding after) as oneDNN takes them; shape, kernel: shapes of the two."""
    pads = Geometry(shape, kernel[:-2], strides, padding, dilation).pads
    return tuple(strides), tuple(d - 1 for d in dilation), tuple(a for a, _ in pads), tuple(b for _, b in pads)


def seen(operand, kernel, strides, padding, dilation):
    """(what a convolution sees of its input, an Operand; the parameters for that).

    A window of one cell that moves by steps of several sees a fraction of it, over which it moves by steps of one.
    """
    params = dict(strides=strides, padding=padding, dilation=dilation)
    if (
        hasattr(operand, "tag")
        or any(n != 1 for n in kernel[:-2])
        or all(s == 1 for s in strides)
        or padding not in ("valid", "same")
    ):
        return operand, params
    if any(n % s for n, s in zip(operand.shape[1:-1], strides)):
        return operand, params
    cells = (n // s for n, s in zip(operand.shape[1:-1], strides))
    first, *middle, last = operand.strides
    steps_between = first, *(a * s for a, s in zip(middle, strides)), last
    part = Operand((operand.shape[0], *cells, operand.shape[-1]), operand.dtype, steps_between, operand.offset)
    return part, dict(params, strides=(1,) * len(strides))


_ALGORITHM = c_int(c.CONVOLUTION_DIRECT)
CACHED = threshold("conv_in_cache")


@or_none
def forward(x, w, bias, y, how, act=None, residual=None, prop=c.INFERENCE):
    """The primitive of a convolution. x, y, residual: (shape, strides, dtype); w: shape; bias: whether there is one; how:
    `steps`. Weights and bias have the dtype of x."""
    b = dense((y[0][1],), x[2]) if bias else None
    descs = strided(*x), anyhow(w, x[2]), b, strided(*y)
    creator = "dnnl_convolution_forward_primitive_desc_create"
    return Primitive(creator, c_int(prop), _ALGORITHM, *descs, *map(dims, how), post_ops=post_ops(act, residual))


@or_none
def backward_data(x, w, y, how):
    """The primitive of the gradient with respect to the input."""
    hint = forward(x, w, False, y, how, prop=c.TRAINING)
    descs = strided(*x), anyhow(w, x[2]), strided(*y)
    creator = "dnnl_convolution_backward_data_primitive_desc_create"
    primitive = hint and Primitive(creator, _ALGORITHM, *descs, *map(dims, how), hint.pd)
    if primitive and len(w) > len(x[0]) and w[1:3] == (1, 1) and "brgconv" in primitive.implementation:
        # products of matrices of one number, for depthwise convolutions of bfloat16 with steps: 20 times slower than float32
        return backward_data((*x[:2], "float32"), w, (*y[:2], "float32"), how)
    return primitive


@or_none
def backward_weights(x, w, y, how):
    """The primitive of the gradient with respect to the kernel. It may want x and y in another layout. w: (shape, dtype).

    oneDNN can give the bias's gradient as well, but adds up to as much time again; `reduction.Sum` takes a tenth of that.
    """
    hint = forward(x, w[0], False, y, how, prop=c.TRAINING)
    creator = "dnnl_convolution_backward_weights_primitive_desc_create"
    window_steps = *map(dims, how), hint and hint.pd
    plain = hint and Primitive(creator, _ALGORITHM, strided(*x), anyhow(*w), None, strided(*y), *window_steps)
    if not plain or not _is_better_blocked(x[0], w[0], y[0], plain.implementation):
        return plain
    return Primitive(creator, _ALGORITHM, anyhow(x[0], x[2]), anyhow(*w), None, anyhow(y[0], y[2]), *window_steps)


def _is_better_blocked(x, w, y, implementation):
    """Whether the gradient of the kernel is faster from blocked activations though they must be copied to become so.

    Without AVX-512 oneDNN has no fast kernel for channels-last ones: 50 GFLOP/s where blocked ones reach 75 (one core of a Zen
    3; depthwise 10 and 30). A copy moves 2 G elements/s from memory, 4 from the cache.
    """
    if "avx2" not in implementation or "brg" in implementation or x[1] % 8 or y[1] % 8:
        return False
    elements = math.prod(x) + math.prod(y)
    flops = 2 * math.prod(y) * math.prod(w) // y[1]
    if "dw" in implementation:
        return elements < CACHED
    return flops > 220 * elements


def _multiplies_by_channel(primitive, groups):
    """Whether oneDNN would take one tiny product of matrices a group, as it does for windows larger than the image: 37 ms where
    NumPy's row, which takes all channels of a depthwise convolution at once, needs 6 (images of 3x3, 1152 channels)."""
    return groups > 64 and "gemm" in primitive.implementation


class Conv(Row):
    """Convolution, with bias and activation where the op has them."""

    exact = FLOATS

    def __init__(self, name):
        self.name = name

    def build(self, operands, outs, groups, act=None, **window_steps):
        x, w, bias, residual = (*operands, None, None)[:4]
        xd, wd, yd = image(x), window(w, groups), image(outs[0])
        rd = residual and image(residual)
        if (
            not is_known(act)
            or None in (xd, wd, yd)
            or (bias is not None and not is_dense(bias))
            or (residual is not None and rd is None)
        ):
            return None
        made_x, made_y, *made_r = alike(xd, yd, *([rd] if rd else []))
        how = steps(x.shape, w.shape, **window_steps)
        primitive = forward(made_x, wd[0], bias is not None, made_y, how, act, *made_r)
        if primitive is None:
            return None
        kernel = Kernel(operands, outs)
        weights = kernel.converted(1, strided(*wd), primitive.desc(c.WEIGHTS_MD))
        places = {
            c.SRC: kernel.converted(0, strided(*xd), strided(*made_x)),
            c.WEIGHTS: weights,
            c.DST: kernel.converted_back(0, strided(*yd), strided(*made_y)),
        }
        if bias is not None:
            places[c.BIAS] = kernel.argument(2, dense(bias.shape, bias.dtype))
        if residual is not None:
            places[RESIDUAL] = kernel.converted(3, strided(*rd), strided(*made_r[0]))
        return kernel.run(primitive, places)


class ConvInput(Row):
    """The gradient of a convolution with respect to its input; also what is called a transposed convolution."""

    name = "conv_input"
    exact = FLOATS

    def build(self, operands, outs, groups, shape, **window_steps):
        g, w = operands
        gd, wd, xd = image(g), window(w, groups), image(outs[0])
        if None in (gd, wd, xd):
            return None
        made_x, made_g = alike(xd, gd)
        primitive = backward_data(made_x, wd[0], made_g, steps(shape, w.shape, **window_steps))
        if primitive is None:
            return None
        kernel = Kernel(operands, outs)
        weights = kernel.converted(1, strided(*wd), primitive.desc(c.WEIGHTS_MD))
        places = {
            c.DIFF_DST: kernel.converted(0, strided(*gd), primitive.desc(c.DIFF_DST_MD)),
            c.WEIGHTS: weights,
            c.DIFF_SRC: kernel.converted_back(0, strided(*xd), primitive.desc(c.DIFF_SRC_MD)),
        }
        return kernel.run(primitive, places)


class ConvKernel(Row):
    """The gradient of a convolution with respect to its kernel."""

    exact = FLOATS

    def __init__(self, name):
        self.name = name

    def build(self, operands, outs, groups, shape, **window_steps):
        (x, window_steps), g = seen(operands[0], shape, **window_steps), operands[1]
        xd, gd, wd = image(x), image(g), window(outs[0], groups)
        if None in (xd, gd, wd):
            return None
        dense_x = image(Operand(x.shape, x.dtype)) if x is not operands[0] else xd
        made_x, made_g = alike(dense_x, gd)
        primitive = backward_weights(made_x, wd[::2], made_g, steps(x.shape, shape, **window_steps))
        if primitive is None or _multiplies_by_channel(primitive, groups):
            return None
        kernel = Kernel(operands, outs)
        result = kernel.converted_back(0, strided(*wd), primitive.desc(c.DIFF_WEIGHTS_MD))
        places = {
            c.SRC: kernel.converted(0, strided(*xd), primitive.desc(c.SRC_MD)),
            c.DIFF_DST: kernel.converted(1, strided(*gd), primitive.desc(c.DIFF_DST_MD)),
            c.DIFF_WEIGHTS: result,
        }
        return kernel.run(primitive, places)


ROWS = [Conv("conv"), Conv("conv_bias_act"), ConvInput(), ConvKernel("conv_kernel"), ConvKernel("conv_kernel_wide")]
