"""MLKIT_CHECK=1: kernels under supervision. Each result is compared with the op's spec, searched for infinities and NaNs that
its arguments do not have, and for a fused op compared with what its fallback gives."""

import numpy as np

from mlkit.compiler.passes.lower import lower
from mlkit.compiler.passes.prune import prune
from mlkit.core import dtypes
from mlkit.core.call import CallContext
from mlkit.core.executable import Executable
from mlkit.core.interpreter import EAGER
from mlkit.core.op import OPS
from mlkit.core.spec import Spec
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor, as_arrays
from mlkit.primitives.control import cond_op, scan_op, while_op
from mlkit.primitives.elementwise import bitcast, nextafter
from mlkit.primitives.foreign import foreign_call
from mlkit.primitives.movement import full
from mlkit.primitives.random import random_bits

# ops that may make infinities or NaNs of numbers: the user's arguments are at fault there, not the kernel
_SINGULAR = (full, bitcast, random_bits, nextafter, cond_op, while_op, scan_op, foreign_call)
_TOLERANCE = {"float16": 2e-2, "bfloat16": 1e-1, "float32": 2e-3, "float64": 1e-6, "complex64": 2e-3, "complex128": 1e-6}


class CheckError(AssertionError):
    """A kernel did not do what its op promises."""


def checked(name, kernel, plain):
    """The kernel of an op, checked at each call. plain: the kernels without checks, for the fallback."""

    def run(*args, **params):
        op, out = OPS[name], as_arrays(kernel(*args, **params))
        _compare_with_spec(op, args, params, out)
        _search_nan(op, args, out)
        if op.fallback is not None:
            _compare_with_fallback(op, args, params, out, plain)
        return out

    return run


def _where():
    return f" in layer {'/'.join(state.call.path)}" if state.call.path else ""


def _fail(name, text):
    raise CheckError(f"{name}{_where()}: {text}")


def _several(out):
    return out if type(out) is tuple else (out,)


def _spec(a):
    return Spec(a.shape, dtypes.name_of(a.dtype)) if hasattr(a, "dtype") else a


def _compare_with_spec(op, args, params, out):
    for o in _several(out):
        if type(o) is not np.ndarray:
            _fail(op.name, f"the kernel returned {o!r} of {type(o)}, but tensors hold arrays")
    expected, found = op.spec(*map(_spec, args), **params), tuple(map(_spec, _several(out)))
    if found != _several(expected):
        given = f"arguments {list(map(_spec, args))}, {params}"
        _fail(op.name, f"the kernel returned {found}, but the spec says {_several(expected)}; {given}")


def _is_finite(a):
    kind = getattr(getattr(a, "dtype", None), "kind", None)
    if kind is None:
        return not isinstance(a, (float, complex)) or bool(np.isfinite(a))
    return bool(np.isfinite(a.astype("float32") if kind == "V" else a).all())


def _search_nan(op, args, out):
    if op in _SINGULAR or not all(map(_is_finite, args)):
        return
    for i, o in enumerate(_several(out)):
        if not _is_finite(o):
            bad = ~np.isfinite(np.asarray(o, "complex128"))
            at = tuple(map(int, np.argwhere(bad)[0]))
            _fail(
                op.name,
                f"output {i} {_spec(o)} has {int(bad.sum())} NaN or infinite elements, the first at {at}, though all arguments "
                f"{list(map(_spec, args))} are finite",
            )


def _compare_with_fallback(op, args, params, out, plain):
    expected = _several(_fallback(op, args, params, plain))
    for i, (o, e) in enumerate(zip(_several(out), expected)):
        tolerance = _TOLERANCE.get(_spec(o).dtype, 0)
        a, b = (np.asarray(x).astype("complex128") for x in (o, e))
        scale = np.max(np.abs(b), initial=0.0, where=np.isfinite(b)) if b.size else 0.0
        close = np.allclose(a, b, tolerance, tolerance * max(scale, 1e-30), equal_nan=True)
        if not close and not _rounding_explains(op, args, params, plain, i, a, b):
            error = float(np.nanmax(np.abs(a - b)))
            given = f"arguments {list(map(_spec, args))}, {params}"
            _fail(op.name, f"output {i} differs from the fallback's by {error:.3g} (values up to {scale:.3g}); {given}")


def _fallback(op, args, params, plain):
    """The array, or tuple of arrays, that the fallback makes with the kernels `plain`."""
    with swapped(kernels=plain, top=EAGER):
        out = op.fallback(*(Tensor(a) if hasattr(a, "dtype") else a for a in args), **params)
    return tuple(t.data for t in out) if type(out) is tuple else out.data


def _rounding_explains(op, args, params, plain, i, found, expected):
    """Whether output i of the kernel is about as near to what double precision gives as that of the fallback: where small
    numbers are left of large ones, both are far from it."""
    if all(getattr(getattr(a, "dtype", None), "name", None) != "float32" for a in args):
        return False
    wide = [a.astype("float64") if getattr(getattr(a, "dtype", None), "name", None) == "float32" else a for a in args]
    params = {k: "float64" if p == "float32" else p for k, p in params.items()}
    exact = _several(_fallback(op, wide, params, plain))[i]
    return np.abs(found - exact).max() <= 10 * np.abs(expected - exact).max()


class CheckedProgram(Executable):
    """A graph run call by call through the checked kernels, without the passes that a check should not depend on."""

    def __init__(self, backend, graph):
        self.backend, self.graph = backend, lower(prune(graph), backend.target)
        super().__init__(self.graph)

    def __call__(self, arrays):
        return self.graph.walk([np.array(a) for a in arrays], self._result)  # results share no memory with what is passed

    def _result(self, call, args):
        with swapped(call=CallContext(call.place)):
            return self.backend.kernels[call.op.name](*args, **call.params)
