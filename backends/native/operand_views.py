"""Operands of calls that are bound before their arrays are known: parts of these, as the plan has them."""

import numpy as np

from mlkit.core import layout


def seen(array, operand):
    """An operand's array, given the one that it lies in; where that is what its kernel returned, it is as it is."""
    shape = tuple(operand.shape)
    if operand.offset or operand.strides != layout.contiguous(shape, array.itemsize) or array.shape != shape:
        return np.ndarray(shape, array.dtype, array, operand.offset, operand.strides)
    return array


def dense(array):
    """The array, or a copy whose elements lie one behind the other."""
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)
