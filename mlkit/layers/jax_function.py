"""Functions of JAX arrays as ops: compiled by JAX, differentiated by JAX."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.core.deferred import Deferred
from mlkit.core.spec import Dim, Spec
from mlkit.primitives.foreign import ForeignFunction

_MISSING = "JaxLayer and FlaxLayer need the package jax: pip install jax"
jax = Deferred("jax", _MISSING)
export = Deferred("jax.export", _MISSING)


class JaxFunction(ForeignFunction):
    """fn(*arrays) -> list of arrays, a pure function that `jax.jit` can trace. It runs with 64-bit dtypes on or off as they were when
    this was made, whatever the backend that calls it does."""

    in_jax = True

    def __init__(self, fn: Callable[..., Sequence[Any]]):
        super().__init__()
        self.fn = fn
        self._x64 = bool(jax.config.jax_enable_x64)
        self._compiled: Any = None

    def __repr__(self) -> str:
        return f"<JaxFunction {getattr(self.fn, '__name__', self.fn)}>"

    def on_jax(self, *arrays: Any) -> Sequence[Any]:
        kinds = self.infer(*(Spec(a.shape, dtypes.name_of(a.dtype)) for a in arrays))
        with self._setting():
            results = self.fn(*arrays)
        return [jax.numpy.asarray(y, dtypes.as_numpy(kind.dtype)) for y, kind in zip(results, kinds)]

    def run(self, *arrays: Any) -> Sequence[Any]:
        if self._compiled is None:
            self._compiled = jax.jit(self.fn)
        with self._setting(), jax.default_device(jax.devices("cpu")[0]):
            # jit takes arrays of NumPy as they are, quicker than by way of DLPack; asking for the results waits for them
            return [np.asarray(y) for y in self._compiled(*arrays)]

    def shapes(self, *specs: Spec) -> tuple[Spec, ...]:
        found = self._abstract([jax.ShapeDtypeStruct(s.shape, dtypes.as_numpy(s.dtype)) for s in specs])
        return tuple(Spec(y.shape, dtypes.name_of(y.dtype)) for y in found)

    def infer_unknown(self, *specs: Spec) -> tuple[Spec, ...]:
        unknown = list(dict.fromkeys(n for s in specs for n in s.shape if type(n) is Dim))
        names = [f"n{i}" for i in range(len(unknown))]
        sizes = dict(zip(unknown, export.symbolic_shape(", ".join(names))))
        try:
            kinds = [
                jax.ShapeDtypeStruct([sizes.get(n, n) if type(n) is Dim else n for n in s.shape], dtypes.as_numpy(s.dtype))
                for s in specs
            ]
            found = self._abstract(kinds)
        except Exception:  # it computes with sizes as only numbers allow; what is wrong with it, numbers show better
            return super().infer_unknown(*specs)
        known = dict(zip(names, unknown))

        def size(i: int, axis: int, n: Any) -> Any:
            return n if isinstance(n, int) else known.get(str(n)) or self.later(specs, unknown, i, axis)

        return tuple(
            Spec([size(i, axis, n) for axis, n in enumerate(y.shape)], dtypes.name_of(y.dtype)) for i, y in enumerate(found)
        )

    def _abstract(self, kinds: Sequence[Any]) -> Sequence[Any]:
        with self._setting():
            return jax.eval_shape(self.fn, *kinds)

    def _setting(self) -> Any:
        old = jax.experimental  # where JAX had it up to 0.7
        return (jax.enable_x64 if hasattr(jax, "enable_x64") else old.enable_x64)(self._x64)

    def make_pullback(self, wanted: tuple[bool, ...], given: tuple[bool, ...]) -> "JaxFunction":
        return _Pullback(self, wanted, given)


class _Pullback(JaxFunction):
    """The gradient of a function by jax.vjp, which runs it anew."""

    def __init__(self, forward: JaxFunction, wanted: tuple[bool, ...], given: tuple[bool, ...]):
        n, places = len(wanted), [i for i, w in enumerate(wanted) if w]

        def pullback(*arrays: Any) -> Sequence[Any]:
            def of_wanted(*floats: Any) -> list[Any]:
                full = list(arrays[:n])
                for i, x in zip(places, floats):
                    full[i] = x
                return [y for y, is_given in zip(forward.fn(*full), given) if is_given]

            results, pull = jax.vjp(of_wanted, *(arrays[i] for i in places))
            return pull([jax.numpy.asarray(g, y.dtype) for g, y in zip(arrays[n:], results)])

        super().__init__(pullback)
        self._x64, self._places = forward._x64, places

    def infer(self, *specs: Spec) -> tuple[Spec, ...]:
        return tuple(specs[i] for i in self._places)
