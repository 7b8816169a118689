"""Interpreters: the ways to read a program. Each op call, and each reading and writing of a variable, is asked of the one on top.

`state.top` is the top of the thread's stack. An interpreter either answers itself (`Eager`, `Shapes`, a `Trace`), or adds something and
hands on to the one it stands on (a `Handing`: tapes, scopes that keep values apart, `vmap`). They do not change once they are made, so
a stack is put in force for a block by setting `state.top`, and put back likewise.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Self

import numpy as np

from mlkit.core import dtypes
from mlkit.core.spec import ShapesDiffer, Spec, are_known, size_of
from mlkit.core.state import State, state, swapped
from mlkit.core.tensor import Tensor, Value, Wrapped, as_arrays

_ndarray = np.ndarray
_VAST = 1 << 46  # bytes: more than any machine has, and than NumPy may speak of


class Composed(Exception):
    """An interpreter cannot take an op whole: its composed form stands for it. refusal: the ShapesDiffer that says why, or None where
    the backend has no kernel."""

    def __init__(self, refusal: Exception | None = None):
        self.refusal = refusal


class Interpreter:
    """One way to read a program."""

    trace: Any = None  # the Trace that calls become part of, if one does
    tapes: tuple[Any, ...] = ()  # the open tapes that note calls, innermost first
    witness: Any = None  # who is told of gradients as a backward walk finds them, if somebody wants to know
    keeper: Any = None  # the innermost scope that keeps values of variables apart
    has_values = True  # whether results have values at once, by which Python code may branch
    assigns = True  # whether what is assigned to a variable is at once what everybody reads

    def apply(self, op: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """The result of a call: a Tensor or a tuple of them. args: Tensors, Python scalars and None. Raises `Composed`."""
        raise NotImplementedError

    def read(self, variable: Any) -> Tensor:
        """The value of a variable, a Tensor in the variable's own dtype."""
        raise NotImplementedError

    def write(self, variable: Any, tensor: Tensor) -> None:
        """Set the value of a variable to a Tensor of its shape and dtype."""
        raise NotImplementedError

    def note(self, op: Any, args: tuple[Any, ...], out: Any) -> None:
        """Have tapes know that a result, fresh Tensors, is that of an op which only they see: it has a gradient of its own."""

    def see(self, values: Iterable[Any]) -> None:
        """A function uses or returns these."""

    def replaced(self, x: Any) -> Any:
        """What stands for an argument."""
        return x

    def replaces(self) -> bool:
        """Whether another tensor may stand for an argument."""
        return False

    def untaped(self) -> "Interpreter":
        """The same stack without the tapes."""
        return self


class Handing(Interpreter):
    """One that stands on another, its `outer`, and hands on to it what it does not do itself."""

    def __init__(self, outer: Interpreter):
        self.outer = outer
        self.trace, self.tapes, self.keeper, self.witness = outer.trace, outer.tapes, outer.keeper, outer.witness
        self.has_values, self.assigns = outer.has_values, outer.assigns

    def apply(self, op: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return self.outer.apply(op, args, params)

    def read(self, variable: Any) -> Tensor:
        return self.outer.read(variable)

    def write(self, variable: Any, tensor: Tensor) -> None:
        self.outer.write(variable, tensor)

    def note(self, op: Any, args: tuple[Any, ...], out: Any) -> None:
        self.outer.note(op, args, out)

    def see(self, values: Iterable[Any]) -> None:
        self.outer.see(values)

    def replaced(self, x: Any) -> Any:
        return self.outer.replaced(x)

    def replaces(self) -> bool:
        return self.outer.replaces()


class Eager(Interpreter):
    """The backend's kernel runs now. A call with an argument that is known by its spec only has a result of that kind."""

    def apply(self, op: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        data = []
        for a in args:
            if type(a) is Tensor:
                a = a.data
                if type(a) is Spec:
                    return symbolic(op, args, params)
            data.append(a)
        kernel = state.kernels.get(op.name)
        if kernel is None and op.fallback is None:
            raise NotImplementedError(f"The {state.backend.name} backend has no kernel for {op.name!r}.")
        try:
            if op.asks_first:
                specs = op.outputs(data, params)
                if kernel is None and not are_known(specs):
                    return wrap(specs)  # a parameter holds an unknown size; the composed form would compute
            if kernel is not None:
                result = kernel(*data, **params)
                return Tensor(result) if type(result) is _ndarray else wrap(as_arrays(result))
        except Exception as error:
            return _explain(op, args, params, error)
        raise Composed

    def read(self, variable: Any) -> Tensor:
        return variable._value

    def write(self, variable: Any, tensor: Tensor) -> None:
        data, layout = tensor.data, variable._layout
        if layout is not None:
            data = state.backend.place(data, layout)
        with variable.lock:
            variable._value = Tensor(data, variable._value.node)


class Aside(Eager):
    """Ops run at once and untaped though a trace is under way. Values that a scope keeps apart are kept apart here too."""

    def __init__(self, keeper: Any):
        self.keeper, self.assigns = keeper, False

    def read(self, variable: Any) -> Tensor:
        t = self.keeper.find(variable)
        return variable._value if t is None else t

    def write(self, variable: Any, tensor: Tensor) -> None:
        self.keeper.write(variable, tensor)


class Shapes(Eager):
    """A function runs on specs, to find those of its results. What it assigns to variables is forgotten."""

    assigns = False

    def __init__(self, keeper: Any = None):
        self.keeper = keeper
        self.written: dict[Any, Tensor] = {}

    def read(self, variable: Any) -> Tensor:
        t = self.written.get(variable)
        if t is None and self.keeper is not None:
            t = self.keeper.find(variable)
        if t is None:
            return variable._value
        is_around = isinstance(t.data, (Value, Wrapped))  # of a trace or a mapping: the spec is what is known here
        return Tensor(t.spec) if is_around else t

    def write(self, variable: Any, tensor: Tensor) -> None:
        self.written[variable] = tensor


class Values:
    """A block in which variables have given values, a dict, and what is assigned stays in it."""

    def __init__(self, values: dict[Any, Tensor]):
        self.values = values
        self._outer: Any = None

    def __enter__(self) -> Self:
        self._outer = state.top
        state.top = Keeping(self, self._outer)
        return self

    def __exit__(self, *_: Any) -> None:
        state.top = self._outer

    def find(self, variable: Any) -> Tensor | None:
        """The variable's value in the block, or in blocks around it; None if it is the variable's own."""
        t = self.values.get(variable)
        keeper = self._outer.keeper
        return keeper.find(variable) if t is None and keeper is not None else t

    def write(self, variable: Any, tensor: Tensor) -> None:
        """Note an assignment."""
        self.values[variable] = Tensor(tensor.data, tensor.node, tensor.slot)


class Rerun(Values):
    """A block in which a function that has run already runs again, for its gradient: on the values that its variables had. To tapes, a
    variable that is assigned stays what it was, as it is outside of scopes."""

    def __init__(self, values: dict[Any, Tensor]):
        super().__init__(dict(values))
        self._given = values

    def write(self, variable: Any, tensor: Tensor) -> None:
        given = self._given.get(variable)
        self.values[variable] = Tensor(tensor.data) if given is None else Tensor(tensor.data, given.node, given.slot)


class Keeping(Handing):
    """Variables have the values that a block of `Values` has for them, and what is assigned stays there."""

    def __init__(self, scope: Values, outer: Interpreter):
        super().__init__(outer)
        self.keeper, self.assigns = scope, False

    def read(self, variable: Any) -> Tensor:
        t = self.keeper.values.get(variable)
        if t is None:
            return self.outer.read(variable)
        for tape in self.tapes:
            tape.note_read(variable, t)
        return t

    def write(self, variable: Any, tensor: Tensor) -> None:
        self.keeper.write(variable, tensor)

    def untaped(self) -> Interpreter:
        return Keeping(self.keeper, self.outer.untaped()) if self.tapes else self


class Reading(Handing):
    """Notes what a function uses beside its arguments: the values that variables have when they are read first, and tensors that one of
    the given tapes follows."""

    def __init__(self, outer: Interpreter, tapes: Iterable[Any]):
        super().__init__(outer)
        self._followed = [t.records for t in tapes if t.records]
        self.first: dict[Any, Tensor] = {}  # variable -> value
        self.captured: dict[Any, Tensor] = {}  # (number, which output) -> tensor

    def apply(self, op: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        self._keep(args)
        return self.outer.apply(op, args, params)

    def see(self, values: Iterable[Any]) -> None:
        self._keep(values)
        self.outer.see(values)

    def _keep(self, values: Iterable[Any]) -> None:
        for x in values:
            if type(x) is Tensor and x.node is not None:
                t = self.outer.replaced(x)
                if any(t.node in records for records in self._followed):
                    self.captured[x.node, x.slot] = t

    def read(self, variable: Any) -> Tensor:
        t = self.outer.read(variable)
        self.first.setdefault(variable, t)
        return t

    def note(self, op: Any, args: tuple[Any, ...], out: Any) -> None:
        self._keep(args)
        self.outer.note(op, args, out)


class Replacing(Handing):
    """Other tensors stand for some. given: (number, which output) -> tensor"""

    def __init__(self, outer: Interpreter, given: dict[Any, Tensor]):
        super().__init__(outer)
        self._given = given

    def apply(self, op: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return self.outer.apply(op, tuple(map(self.replaced, args)), params)

    def replaced(self, x: Any) -> Any:
        return self.outer.replaced(self._given.get((x.node, x.slot), x) if type(x) is Tensor else x)

    def replaces(self) -> bool:
        return True

    def note(self, op: Any, args: tuple[Any, ...], out: Any) -> None:
        self.outer.note(op, tuple(map(self.replaced, args)), out)

    def untaped(self) -> Interpreter:
        return Replacing(self.outer.untaped(), self._given)


EAGER = State.top = Eager()


def symbolic(op: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """The result of a call on specs, known by its spec."""
    try:
        return wrap(op.infer(args, params))
    except ShapesDiffer as refusal:
        raise Composed(refusal) from None


def wrap(result: Any) -> Any:
    """An array, a Value or a Spec as a Tensor; a tuple of them as a tuple."""
    return tuple(map(Tensor, result)) if type(result) is tuple else Tensor(result)


def on_shapes() -> AbstractContextManager[None]:
    """A block in which functions run on specs, leaving no trace: no calls staged or taped, no variables changed."""
    return swapped(top=Shapes(state.top.keeper))


def untaped() -> AbstractContextManager[None]:
    """A block in which no tape notes calls."""
    return swapped(top=state.top.untaped())


def outside_trace() -> AbstractContextManager[None]:
    """A block in which ops run at once and untaped, and assignments last, though a trace or a run on shapes is under way (to create
    weights, say)."""
    keeper = state.top.keeper
    return swapped(top=EAGER if keeper is None else Aside(keeper), call=state.call.plain())


def _explain(op: Any, args: tuple[Any, ...], params: dict[str, Any], error: Exception) -> Any:
    """A kernel failed. Where the arguments are at fault, the spec says so in the user's words; where a parameter holds an unknown size
    (zeros of the batch's length, say), the result is symbolic."""
    if any(type(a) is Tensor and type(a.data) is Value for a in args):
        raise TypeError(
            f"{op.name}: an argument belongs to a graph whose tracing has ended. Return tensors from the traced function; "
            "do not keep them in attributes or lists."
        ) from error
    if any(type(a) is Tensor and isinstance(a.data, Wrapped) for a in args):
        raise TypeError(
            f"{op.name}: an argument belongs to a call of a mapped function that has ended. Return tensors from the function; do not "
            "keep them in attributes or lists."
        ) from error
    try:
        specs = op.infer(args, params)
    except ShapesDiffer as refusal:
        raise Composed(refusal) from None
    except Exception as better:
        raise better from None
    several = specs if type(specs) is tuple else (specs,)
    if are_known(specs):
        needed = sum(size_of(s.shape) * dtypes.itemsize(s.dtype) for s in several)
        if isinstance(error, MemoryError) or needed > _VAST:
            results = " and ".join(map(str, several))
            raise MemoryError(f"{op.name}: there is no memory for {results}, {needed:,} bytes.") from None
        _refuse_other_devices(op, args, error)
        raise error
    return wrap(specs)


def watch_devices() -> None:
    """From now on there are several devices: variables that are read move to the one that computes. (Reading takes longer then.)"""
    Eager.read = _read_here  # type: ignore[method-assign]


def _read_here(self: Eager, variable: Any) -> Tensor:
    t, backend = variable._value, state.backend
    if t.is_concrete and backend.device_of(t.data) != backend.device_name:
        with variable.lock:
            t = variable._value = Tensor(backend.adopt(t.data), t.node)
    return t


def _refuse_other_devices(op: Any, args: tuple[Any, ...], error: Exception) -> None:
    """Say so, if it failed because an argument lies on another device than the one that computes."""
    here = state.backend.device_name
    places = [state.backend.device_of(a.data) if type(a) is Tensor else here for a in args]
    if any(place != here for place in places):
        listed = ", ".join(f"argument {i} is on {place}" for i, place in enumerate(places) if type(args[i]) is Tensor)
        raise ValueError(
            f"{op.name}: {here} computes, but {listed}. Compute where they are (`with mlkit.device({max(places)!r}):`), or pass their "
            "`.numpy()`."
        ) from error
