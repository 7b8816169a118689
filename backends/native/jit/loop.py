"""Loops whose turns are native code: what a prepared loop has beside its Python.

As long as the code is not there, the loop in Python runs. Both give the same results, up to rounding.
"""

import ctypes

import numpy as np

from mlkit.backends.native.denormals import Flushed
from mlkit.backends.native.jit import library, module
from mlkit.backends.native.jit.body import Body
from mlkit.backends.native.jit.compiler import Code, want
from mlkit.backends.native.jit.places import Buffer, Declined, Memory, place_of
from mlkit.backends.native.jit.target import LoopTarget
from mlkit.backends.native.operand_views import dense, seen
from mlkit.compiler.passes import optimize
from mlkit.core import debug, dtypes, layout
from mlkit.core.graph import spec_of

AT_ONCE = 1 << 27  # elements that one call passes over, about: between calls the interpreter sees to signals


def prepared(kind, backend, operands, params):
    """The native form of a loop, a "scan" or a "while", or None where it stays in Python."""
    if library.missing():
        return None
    try:
        return _KINDS[kind](backend, operands, params)
    except Declined as reason:
        if debug.LEVEL >= 1:
            debug.say(f"a loop stays in Python: no native code for {reason}")
        return None


class _Native:
    """nbytes: of the workspace; code: the `Code`; operands: as the plan knows them."""

    def __init__(self, backend, operands, results):
        self.operands, self._target, self._memory = operands, LoopTarget(backend), Memory()
        self._operands = [Buffer("operand") for _ in operands]
        self._results = [Buffer("result") for _ in range(results)]
        self.scalars = {k: np.asarray(o) for k, o in enumerate(operands) if not hasattr(o, "shape")}

    def _tidied(self, graph):
        return optimize(graph, self._target)

    def _given(self, k, v, steps=False):
        """The place of operand k, or of a step's part of it, which input v of a body is."""
        operand = self.operands[k]
        if k in self.scalars:
            self.scalars[k] = np.asarray(operand, dtypes.as_numpy(v.dtype))
            return place_of(self._operands[k], v.shape, v.dtype)
        strides, turn = (operand.strides[1:], operand.strides[0]) if steps else (operand.strides, 0)
        return place_of(self._operands[k], v.shape, v.dtype, strides, turn=turn)

    def _state(self, k, v):
        """The place of a carried value: that of the result it becomes."""
        return place_of(self._results[k], v.shape, v.dtype)

    def _stacked(self, k, spec):
        """The place for a step's part of result k."""
        return place_of(self._results[k], spec.shape, spec.dtype, turn=layout.nbytes(spec.shape, dtypes.itemsize(spec.dtype)))

    def _finish(self, write, kind):
        memory = self._memory
        buffers = [*self._operands, *self._results, *(b for b, _ in memory.constants), *(b for b, _ in memory.temporaries)]
        self.constants = [np.asarray(a) for _, a in memory.constants]
        self.temporaries = [offset for _, offset in memory.temporaries]
        self.nbytes = memory.nbytes
        self.code = Code(lambda: write(buffers), kind)
        want(self.code)

    def bind(self, python, arrays, block):
        """A function of the arrays that are None, as `python` is one, which runs the native code once that is there.

        Args:
            python: The loop in Python, bound to the same arrays.
            arrays: Of the operands and the results.
            block: The workspace.
        """
        fixed = [(o, a) for o, a in zip(self.operands, arrays) if a is not None and hasattr(o, "shape")]
        if not all(_lies_so(a, o.shape, o.strides) for o, a in fixed):
            return python
        return _Bound(self, python, arrays, block)

    def run(self, function, table):
        """All turns; whether all indices were in range."""
        raise NotImplementedError


class NativeScan(_Native):
    """`scan` of `primitives.control`."""

    def __init__(self, backend, operands, params):
        xs, self.carry, self.length = params["xs"], params["carry"], params["length"]
        if type(self.length) is not int or not self.length:
            raise Declined("a loop of no steps")
        n_outputs = len(params["body"].outputs)
        super().__init__(backend, operands, n_outputs + self.carry * params["save"])
        body = self._tidied(params["body"])
        inputs = [
            self._state(k - xs, v) if xs <= k < xs + self.carry else self._given(k, v, steps=k < xs)
            for k, v in enumerate(body.inputs)
        ]
        self.first = xs
        slots = [self._stacked(k, spec_of(v)) for k, v in enumerate(body.outputs) if k >= self.carry]
        states = range(xs, xs + self.carry)
        saved = [(k, self._stacked(n_outputs + k - xs, body.inputs[k].spec)) for k in states] if params["save"] else []
        made = Body(body, inputs, self._memory, states, slots, saved)
        self._at_once = max(1, AT_ONCE // made.work)
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        self._finish(lambda buffers: module.of_scan(buffers, made, self.length, params["reverse"]), kind)

    def run(self, function, table):
        parts = range(0, self.length, self._at_once)
        return not any(function(table, first, min(self._at_once, self.length - first)) for first in parts)


class NativeWhile(_Native):
    """`while` of `primitives.control`."""

    def __init__(self, backend, operands, params):
        self.carry, self.first = params["state"], 0
        super().__init__(backend, operands, self.carry)
        test, body = self._tidied(params["test"]), self._tidied(params["body"])
        n = len(test.inputs)
        states = [self._state(k, v) for k, v in enumerate(body.inputs[: self.carry])]
        of_test = [*states, *(self._given(k, v) for k, v in enumerate(test.inputs) if k >= self.carry)]
        of_body = [*states, *(self._given(n + k, v) for k, v in enumerate(body.inputs[self.carry :]))]
        made = Body(body, of_body, self._memory, range(self.carry))
        asked = Body(test, of_test, self._memory, slots=[None])
        self._at_once = max(1, AT_ONCE // (made.work + asked.work))
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
        self._finish(lambda buffers: module.of_while(buffers, made, asked), kind)

    def run(self, function, table):
        while (status := function(table, self._at_once)) == module.UNFINISHED:
            pass
        return not status


class _Bound:
    """A loop bound to memory."""

    def __init__(self, native, python, arrays, block):
        self._native, self._python, self._code = native, python, native.code
        n = len(native.operands)
        self._arrays = [native.scalars.get(k, a) for k, a in enumerate(arrays)]
        self._given = [k for k, a in enumerate(self._arrays) if a is None]
        temporaries = [block.ctypes.data + offset for offset in native.temporaries]
        addresses = [0 if a is None else a.ctypes.data for a in (*self._arrays, *native.constants)]
        self._block = block  # which is there as long as its addresses are used
        self._table = (ctypes.c_void_p * (len(addresses) + len(temporaries)))(*addresses, *temporaries)
        self._starts = [(n + k, native.first + k) for k in range(native.carry)]

    def __call__(self, *given):
        function = self._code.function
        if function is None:
            return self._python(*given)
        arrays, operands = self._arrays.copy(), self._native.operands
        for k, array in zip(self._given, given):
            if k < len(operands):
                array = seen(array, operands[k])
                if not _lies_so(array, operands[k].shape, operands[k].strides):
                    array = dense(array)  # which is how the plan has what it does not know
            arrays[k] = array
            self._table[k] = array.ctypes.data
        for result, operand in self._starts:
            arrays[result][...] = arrays[operand]
        with Flushed():
            is_whole = self._native.run(function, self._table)
        return None if is_whole else self._python(*given)  # which says what is wrong with an index


def _lies_so(array, shape, strides):
    """Whether an array has a shape and strides, which do not matter where there is one element."""
    return array.shape == tuple(shape) and (
        0 in shape or all(n == 1 or a == b for n, a, b in zip(shape, array.strides, strides))
    )


_KINDS = {"scan": NativeScan, "while": NativeWhile}
