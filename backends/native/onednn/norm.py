"""Batch and layer normalization with the statistics of their input, and their gradients.

bfloat16 is the dtype of x, y and their gradients; all others are float32 then."""

import math
from ctypes import c_float, c_int, c_uint

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.conv import image
from mlkit.backends.native.onednn.densify import is_dense
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import dense, strided
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.row import FLOATS, Row
from mlkit.core.dtypes import name_of


def flags(scale, offset):
    """The flags of a normalization with these parameters (those that are not None)."""
    return (0 if scale is None else c.USE_SCALE) | (0 if offset is None else c.USE_SHIFT)


def parameters(kernel, scale, offset, size):
    """Places of scale and offset, which are arguments 1 and 2, where they are not None."""
    vector = dense((size,))
    given = {c.SCALE: (1, scale), c.SHIFT: (2, offset)}
    return {name: kernel.argument(k, vector) for name, (k, p) in given.items() if p is not None}


# ---- batch normalization ---------------------------------------------------------------------------------------------


def channels(x, axes):
    """(shape, strides, dtype) of a dense tensor as images (batch, channels, positions, 1); None if more than one axis is
    kept. Of an image in blocks: as `conv.image` gives it."""
    if hasattr(x, "tag"):
        return image(x)
    shape, dtype = tuple(x.shape), name_of(x.dtype)
    kept = [i for i in range(len(shape)) if i not in axes]
    if len(kept) != 1:
        return None
    outer, size, inner = math.prod(shape[: kept[0]]), shape[kept[0]], math.prod(shape[kept[0] + 1 :])
    if inner > 1:
        return (outer, size, inner, 1), (size * inner, inner, 1, 1), dtype
    batch = shape[0] if kept[0] > 0 else 1  # so that threads can share it
    positions = outer // batch
    return (batch, size, positions, 1), (size * positions, 1, size, size), dtype


@or_none
def batch_forward(place, epsilon, flags):
    x = strided(*place)
    creator = "dnnl_batch_normalization_forward_primitive_desc_create"
    primitive = Primitive(creator, c_int(c.TRAINING), x, x, c_float(epsilon), c_uint(flags))
    return batch_forward(_single(place), epsilon, flags) if _is_slow(primitive, place) else primitive


def _single(place):
    return *place[:2], "float32"


def _is_slow(primitive, place):
    """Whether there is no generated code for bfloat16, as for numbers of channels that are no multiple of 16; with copies in
    float32 it is ten times faster then."""
    return place[2] == "bfloat16" and primitive.implementation.endswith(":any")


@or_none
def batch_backward(place, epsilon, fused=0):
    x, flags = strided(*place), c.USE_SCALE | c.USE_SHIFT | fused
    hint = batch_forward(place, epsilon, flags)
    creator = "dnnl_batch_normalization_backward_primitive_desc_create"
    if hint and hint.desc(c.SRC_MD) != x:
        return batch_backward(_single(place), epsilon, fused)
    return hint and Primitive(creator, c_int(c.BACKWARD), x, x, x, c_float(epsilon), c_uint(flags), hint.pd)


def _has_bits(primitive, mask):
    """Whether a primitive fused with relu keeps bits, as the op does; some keep bytes."""
    return "jit" in primitive.implementation and primitive.desc(c.WORKSPACE_MD).nbytes == mask.shape[0]


class BatchNorm(Row):
    """(x, scale, offset) -> y, mean, variance, and for batch_norm_relu the mask. fused: the flag of what is behind it, or 0"""

    exact = FLOATS

    def __init__(self, name, fused):
        self.name, self.fused = name, fused

    def fits(self, x, scale, offset, axes, epsilon):
        return channels(x, axes) is not None

    def build(self, operands, outs, axes, epsilon):
        x, scale, offset = operands
        place = channels(x, axes)
        if not all(is_dense(o) for o in operands if o is not None):
            return None
        primitive = batch_forward(place, epsilon, flags(scale, offset) | self.fused)
        if primitive is None or (self.fused and not _has_bits(primitive, outs[3])):
            return None
        kernel, whole, vector = Kernel(operands, outs, inplace=((0, 0),)), strided(*place), dense((place[0][1],))
        places = {
            c.SRC: kernel.converted(0, whole, primitive.desc(c.SRC_MD)),
            c.DST: kernel.converted_back(0, whole, primitive.desc(c.DST_MD)),
            c.MEAN: kernel.result(1, vector),
            c.VARIANCE: kernel.result(2, vector),
            **parameters(kernel, scale, offset, place[0][1]),
        }
        if self.fused:
            places[c.WORKSPACE] = kernel.result(3, primitive.desc(c.WORKSPACE_MD))
        return kernel.run(primitive, places)


class BatchNormGrad(Row):
    """(g, x, scale, mean, variance, and for batch_norm_relu_grad the mask) -> dx, d_scale, d_offset"""

    exact = (*FLOATS, "uint8")

    def __init__(self, name, fused):
        self.name, self.fused = name, fused

    def fits(self, g, x, scale, *_, axes, epsilon):
        return scale is not None and channels(x, axes) is not None

    def build(self, operands, outs, axes, epsilon):
        place = channels(operands[1], axes)
        primitive = batch_backward(place, epsilon, self.fused) if all(map(is_dense, operands)) else None
        if primitive is None or (self.fused and not _has_bits(primitive, operands[5])):
            return None
        kernel, whole, vector = Kernel(operands, outs, inplace=((0, 0),)), strided(*place), dense((place[0][1],))
        places = {name: kernel.argument(k, vector) for k, name in enumerate((c.SCALE, c.MEAN, c.VARIANCE), 2)}
        places |= {name: kernel.result(i, vector) for i, name in enumerate((c.DIFF_SCALE, c.DIFF_SHIFT), 1)}
        for k, (name, asked) in enumerate(((c.DIFF_DST, c.DIFF_DST_MD), (c.SRC, c.SRC_MD))):
            places[name] = kernel.converted(k, whole, primitive.desc(asked))
        places[c.DIFF_SRC] = kernel.converted_back(0, whole, primitive.desc(c.DIFF_SRC_MD))
        if self.fused:
            places[c.WORKSPACE] = kernel.argument(5, primitive.desc(c.WORKSPACE_MD))
        return kernel.run(primitive, places)


# ---- layer normalization ---------------------------------------------------------------------------------------------


def rows_of(shape, rank):
    """A tensor as a matrix: (number of vectors, their size)."""
    n = len(shape) - rank
    return math.prod(shape[:n]), math.prod(shape[n:])


@or_none
def layer_forward(matrix, epsilon, flags, dtype):
    x, rows = dense(matrix, dtype), dense(matrix[:1])
    creator = "dnnl_layer_normalization_forward_primitive_desc_create"
    return Primitive(creator, c_int(c.TRAINING), x, x, rows, c_float(epsilon), c_uint(flags))


@or_none
def layer_backward(matrix, epsilon, dtype):
    x, rows, flags = dense(matrix, dtype), dense(matrix[:1]), c.USE_SCALE | c.USE_SHIFT
    hint = layer_forward(matrix, epsilon, flags, dtype)
    creator = "dnnl_layer_normalization_backward_primitive_desc_create"
    return Primitive(creator, c_int(c.BACKWARD), x, x, x, rows, c_float(epsilon), c_uint(flags), hint.pd)


class LayerNorm(Row):
    """(x, scale, offset) -> y, mean, variance"""

    name = "layer_norm"
    exact = FLOATS

    def build(self, operands, outs, rank, epsilon):
        x, scale, offset = operands
        if not all(is_dense(o) for o in operands if o is not None):
            return None
        shape = rows_of(x.shape, rank)
        primitive = layer_forward(shape, epsilon, flags(scale, offset), x.dtype)
        if primitive is None:
            return None
        kernel, matrix, rows = Kernel(operands, outs, inplace=((0, 0),)), dense(shape, x.dtype), dense(shape[:1])
        places = {
            c.SRC: kernel.argument(0, matrix),
            c.DST: kernel.result(0, matrix),
            c.MEAN: kernel.result(1, rows),
            c.VARIANCE: kernel.result(2, rows),
            **parameters(kernel, scale, offset, shape[1]),
        }
        return kernel.run(primitive, places)


class LayerNormGrad(Row):
    """(g, x, scale, mean, variance) -> dx, d_scale, d_offset"""

    name = "layer_norm_grad"
    exact = FLOATS

    def fits(self, g, x, scale, mean, variance, rank, epsilon):
        return scale is not None

    def build(self, operands, outs, rank, epsilon):
        shape, dtype = rows_of(operands[1].shape, rank), operands[1].dtype
        primitive = layer_backward(shape, epsilon, dtype) if all(map(is_dense, operands)) else None
        if primitive is None:
            return None
        kernel, matrix, rows, vector = (
            Kernel(operands, outs, inplace=((0, 0),)),
            dense(shape, dtype),
            dense(shape[:1]),
            dense(shape[1:]),
        )
        places = {
            c.DIFF_DST: kernel.argument(0, matrix),
            c.SRC: kernel.argument(1, matrix),
            c.SCALE: kernel.argument(2, vector),
            c.SHIFT: kernel.argument(2, vector),  # has no part in the gradient, but must be there
            c.MEAN: kernel.argument(3, rows),
            c.VARIANCE: kernel.argument(4, rows),
            c.DIFF_SRC: kernel.result(0, matrix),
            c.DIFF_SCALE: kernel.result(1, vector),
            c.DIFF_SHIFT: kernel.result(2, vector),
        }
        return kernel.run(primitive, places)


ROWS = [
    BatchNorm("batch_norm", 0),
    BatchNormGrad("batch_norm_grad", 0),
    BatchNorm("batch_norm_relu", c.FUSE_NORM_RELU),
    BatchNormGrad("batch_norm_relu_grad", c.FUSE_NORM_RELU),
    LayerNorm(),
    LayerNormGrad(),
]
