"""Rows of the kernel table that run oneDNN through its C interface, with `ctypes`.

`library` finds and loads it; `memory`, `primitive` and `kernel` wrap what a row needs; each other module has the rows of a family.
Without the library every row declines. Nothing outside this folder knows about oneDNN but `table`, which puts the rows first.

A row is an object of a subclass of `Row`, listed in the `ROWS` of its module, which is listed in `_FAMILIES` here:

    class Softmax(Row):
        name = "softmax"                                    # of the op

        def fits(self, x, axis):                            # float32 and not empty is checked already; here: is it worth it?
            return x.shape[-1] > 1

        def build(self, operands, outs, axis):              # operands: shape, dtype, strides (bytes); made once per call of a plan
            strides = element_strides(operands[0])          # None: something that oneDNN cannot take, decline
            if strides is None:
                return None
            x = strided(operands[0].shape, strides)  # and a dtype, where the row takes others than float32: `exact = FLOATS`
            y = dense(outs[0].shape)
            primitive = softmax(operands[0].shape, strides, axis)
            if not primitive:
                return None
            kernel = Kernel(operands, outs)
            return kernel.run(primitive, {c.SRC: kernel.argument(0, x), c.DST: kernel.result(0, y)})

    @or_none                                                # caches by the arguments; None where oneDNN has no implementation
    def softmax(shape, strides, axis):
        descs = strided(shape, strides), dense(shape)
        return Primitive("dnnl_softmax_forward_primitive_desc_create", c_int(c.INFERENCE), c_int(c.SOFTMAX), *descs, c_int(axis))

`Kernel` appends reorders where an operand must lie otherwise (`converted`, `converted_back`), reserves temporary memory, and adds
scratchpads by itself. Arguments of C functions that are neither descriptors nor handles must be ctypes values. `inplace` pairs
given to Kernel allow the plan to lay a result where an argument dies. tests/backends/test_onednn.py compares each row with the
reference row; give it arguments there.
"""

import importlib

from mlkit.backends.native import threads
from mlkit.backends.native.onednn import openmp

threads.openmp = openmp

_FAMILIES = (
    "conv", "matmul", "post_op_chain", "eltwise", "norm", "pool", "softmax", "attention", "recurrent", "reduction", "resample",
    "blocked_images",
)  # fmt: skip


def rows():
    """All rows, each before the others of its op."""
    return [row for family in _FAMILIES for row in importlib.import_module(f"mlkit.backends.native.onednn.{family}").ROWS]
