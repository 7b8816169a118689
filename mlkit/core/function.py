"""Traced: a function that runs once on symbols for each signature, and as a compiled program from then on."""

import sys
import weakref
from collections.abc import Callable, Hashable
from typing import Any, overload

import numpy as np

from mlkit.core import debug, locks, tree
from mlkit.core.differentiated import Captured, DifferentiatedProgram
from mlkit.core.graph import Graph
from mlkit.core.interpreter import EAGER
from mlkit.core.program import Program, borrowed, is_array
from mlkit.core.program_cache import cache, uses
from mlkit.core.retraces import Retraces
from mlkit.core.spec import Spec
from mlkit.core.state import state
from mlkit.core.tensor import Symbol, Tensor, from_numpy


class Traced:
    """A function that is traced once per signature and then replayed as one compiled program.

    A signature is the specs of its tensors, the values of all other arguments, the backend, whether programs are to be exact, what
    `key()` returns, and which of the variables it reads are trainable.
    """

    def __init__(self, fn: Callable[..., Any], key: Callable[[], Hashable] | None = None):
        self.fn, self.key = fn, key
        self.programs: dict[Any, list[Program]] = {}  # signature -> list of Programs
        self._captures: set[Any] = set()  # signatures under a tape for which it uses other tensors of the tape
        self._dropped: set[int] = set()  # hashes of signatures whose programs were dropped
        self.__name__ = getattr(fn, "__name__", type(fn).__name__)
        self.__module__: str | None = getattr(fn, "__module__", None)  # type: ignore[assignment]
        self._retraces = Retraces(self.__name__)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Where a function was decorated, its name stands for what became of it: pickles and copies hold that, as of any function."""
        name = getattr(self.fn, "__qualname__", None)
        named = getattr(sys.modules.get(self.__module__ or ""), name, None) if name else None
        return name if named is self else super().__reduce_ex__(protocol)

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold: not the programs, which are made anew when they are needed."""
        return {"fn": self.fn, "key": self.key}

    def __setstate__(self, own: dict[str, Any]) -> None:
        self.__init__(**own)  # type: ignore[misc]

    @property
    def traces(self) -> int:
        """How often it was traced."""
        return self._retraces.count

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves = tree.flatten((args, kwargs))
        top = state.top
        taped = len(top.tapes) == 1 and top.untaped() is EAGER
        if not (taped or top is EAGER) or debug.EAGER or any(map(_is_symbolic, leaves)):
            return self._by_ops(args, kwargs, leaves)  # a trace, a scope, or a tape on a tape must see its ops
        wanted = top.tapes[0].follows(filter(is_array, leaves)) if taped else None
        try:
            program, arrays = self._program(args, kwargs, leaves, due=True, wanted=wanted)
        except Captured:
            return self._by_ops(args, kwargs, leaves)
        program.used = next(uses)
        return program.taped(args, kwargs, leaves, arrays) if taped else program(arrays)

    def _by_ops(self, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: list[Any]) -> Any:
        if any(map(_is_of_numpy, leaves)):  # the function sees tensors, as when it is traced by itself
            args, kwargs = tree.map_structure(lambda x: from_numpy(x) if _is_of_numpy(x) else x, (args, kwargs))
        return self.fn(*args, **kwargs)

    def _program(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: list[Any], due: bool = False, wanted: Any = None
    ) -> tuple[Any, list[Any]]:
        """The program for these arguments, and the arrays among them. due: it will be run at once. wanted: None, or of each array
        whether a tape may ask for its gradient."""
        arrays: list[Any] = []
        kinds: list[tuple[Any, ...]] = []
        for leaf in leaves:
            if is_array(leaf):
                t = leaf if type(leaf) is Tensor else borrowed(leaf)
                arrays.append(t.data)
                kinds.append((Tensor, t.shape, t.dtype))
            else:
                kinds.append((type(leaf), leaf))  # 1, 1.0 and True are equal, but not the same
        where = state.backend, state.device, state.distribution
        surroundings = *where, state.call.autocast, state.call.training, debug.EXACT
        own = self.key() if self.key else None
        key = tuple(kinds), _form(args), _form(kwargs), surroundings, own, wanted
        try:
            program = self._find(key)
        except TypeError:
            raise TypeError(
                f"{self.__name__}: the arguments of a compiled function must be tensors, arrays or hashable values, but one of "
                f"{sorted({k[0].__name__ for k in kinds})} is none of these."
            ) from None
        if key in self._captures:
            raise Captured
        if program is None:
            with locks.making:
                program = self._find(key)  # another thread may have been quicker
                if program is None:
                    program = self._make(key, args, kwargs, due)
        return program, arrays

    def _find(self, key: tuple[Any, ...]) -> Program | None:
        for program in self.programs.get(key, ()):
            if program.fits():
                return program
        return None

    def _make(self, key: tuple[Any, ...], args: tuple[Any, ...], kwargs: dict[str, Any], due: bool) -> Program:
        *_, (backend, device, distribution, autocast, training, exact), own, wanted = key
        if wanted is None:
            program = Program(self.fn, args, kwargs, due=due)
        else:
            try:
                program = DifferentiatedProgram(self.fn, args, kwargs, wanted, due=due)
            except Captured:
                self._captures.add(key)
                raise
        others = {"the backend": backend.name, "the device": device, "autocast": autocast, "training": training, "exact": exact}
        others["the distribution"] = distribution
        self._retraces.note(self.fn, args, kwargs, {**others, "the key": own, "which variables are trainable": program.flags})
        self.programs.setdefault(key, []).append(program)
        program.home = weakref.ref(self), key
        cache.add(program, again=hash(key) in self._dropped)
        return program

    def forget(self, program: Program, key: tuple[Any, ...]) -> None:
        """Drop a program, which is made anew if it is needed again."""
        self._dropped.add(hash(key))
        kept = [p for p in self.programs.pop(key, ()) if p is not program]
        if kept:
            self.programs[key] = kept

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """The Program that a call with these arguments (tensors, arrays or Specs) runs; it is not run."""
        return self._program(args, kwargs, tree.flatten((args, kwargs)))[0]

    def memory_report(self, *args: Any, **kwargs: Any) -> str:
        """The memory that a call with these arguments takes, as text, known without running it."""
        return self.program(*args, **kwargs).plan.report()

    def graph(self, *args: Any, **kwargs: Any) -> Graph:
        """The traced graph for these arguments, before any pass, to read or print."""
        return Program(self.fn, args, kwargs, compiled=False).graph


@overload
def function(fn: Callable[..., Any], *, key: Callable[[], Hashable] | None = None) -> Traced: ...
@overload
def function(fn: None = None, *, key: Callable[[], Hashable] | None = None) -> Callable[[Callable[..., Any]], Traced]: ...
def function(fn: Callable[..., Any] | None = None, *, key: Callable[[], Hashable] | None = None) -> Any:
    """Compile a function of tensors: its first call traces it to a graph, later calls with the same shapes run the graph.

    Python code in it runs only while tracing; do not branch on values (use `ops.cond`). Variables may be read and assigned.

    Args:
        fn: function of tensors, or structures of them; without it a decorator is returned.
        key: callable whose (hashable) result is part of the signature.

    >>> import mlkit
    >>> f = mlkit.function(lambda x: mlkit.ops.sum(x * x))
    >>> float(f(mlkit.ops.ones((3,))))
    3.0
    """
    return (lambda f: Traced(f, key)) if fn is None else Traced(fn, key)


def _is_of_numpy(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic))


def _is_symbolic(x: Any) -> bool:
    return (type(x) is Tensor and type(x.data) is Spec) or isinstance(x, Symbol)


def _form(structure: Any) -> Any:
    """A hashable description of how a structure is nested."""
    if isinstance(structure, dict):
        return tuple((k, _form(v)) for k, v in structure.items())
    if isinstance(structure, (list, tuple)):
        return (type(structure).__name__, *map(_form, structure))
    return None
