"""Reverse-mode differentiation: what a tape notes, and the backward walk.

A tape keeps one record for each call on tensors it follows; tensors know only the numbers of their records, so all memory is
the tape's and goes with it. Gradients are written in ops, so a tape that is open during a backward walk records it: second
derivatives are the same walk.
Method: Griewank and Walther, Evaluating Derivatives, 2nd ed., SIAM 2008, chapter 3.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from mlkit.core.interpreter import Handing, Interpreter
from mlkit.core.spec import Spec
from mlkit.core.state import state
from mlkit.core.tensor import Tensor

GRADIENT = "gradient"  # last name of the place of calls that a backward walk makes in a layer

_numbers = itertools.count()


def new_node() -> int:
    """A number by which tapes know a tensor."""
    return next(_numbers)


class Record:
    """One call. Holds of its arguments and outputs what `op.keep` asks for, of the others the specs."""

    __slots__ = ("op", "args", "params", "outs", "is_tuple", "place")

    def __init__(self, op: Any, args: tuple[Any, ...], params: dict[str, Any], outs: list[Any], is_tuple: bool):
        self.op, self.args, self.params, self.outs, self.is_tuple = op, args, params, outs, is_tuple
        self.place = state.call.path  # the layer, to which the gradient's calls belong too


def record(op: Any, args: tuple[Any, ...], params: dict[str, Any], out: Any, tapes: Iterable["Tape"]) -> None:
    """Note a call on those tapes that follow one of its arguments, and number its outputs."""
    tapes = [t for t in tapes if t.records and any(type(a) is Tensor and a.node in t.records for a in args)]
    is_tuple = type(out) is tuple
    outs = out if is_tuple else (out,)
    if not tapes or any(type(o.data) is Spec for o in outs):
        return
    keep = op.keep
    if "x" not in keep:
        args = tuple(
            a if type(a) is not Tensor or str(i) in keep else Tensor(a.spec, a.node, a.slot) for i, a in enumerate(args)
        )
    entry = Record(op, args, params, [o.data if "y" in keep else o.spec for o in outs], is_tuple)
    node = new_node()
    for tape in tapes:
        tape.records[node] = entry
    for i, o in enumerate(outs):
        o.node, o.slot = node, i


def backward(
    records: dict[int, Any],
    targets: Sequence[Tensor],
    seeds: Sequence[Tensor],
    sources: Sequence[Tensor],
    consume: bool = False,
) -> list[Tensor | None]:
    """Gradients of sum(target * seed) over all targets, for each source tensor; None where nothing depends on it.

    records: number -> Record (None for a watched tensor), in order of making. consume: forget each record once it is used.
    """
    grads: dict[Any, Tensor] = {}  # (number, which output) -> gradient
    witness = state.top.witness
    if witness is not None:
        witness.differentiates(targets)
    for t, g in zip(targets, seeds):
        if t.node in records:
            _add(grads, t, g)
    wanted = {s.node for s in sources}
    useful = _depending(records, wanted)
    for node in reversed(useful):
        entry = records.pop(node) if consume else records[node]
        if entry is None:
            if witness is not None:
                witness.found_gradients(node, [grads.get((node, 0))])
            continue
        take = grads.get if node in wanted else grads.pop
        gs = [take((node, i), None) for i in range(len(entry.outs))]
        if all(g is None for g in gs):
            continue
        if witness is not None:
            witness.found_gradients(node, gs)
        for a, g in zip(entry.args, _vjp(node, entry, gs)):
            if g is not None and type(a) is Tensor and a.node in useful:
                _add(grads, a, g)
    return [grads.get((s.node, s.slot)) for s in sources]


def _add(grads: dict[Any, Tensor], tensor: Tensor, g: Tensor) -> None:
    key = tensor.node, tensor.slot
    grads[key] = grads[key] + g if key in grads else g


def _depending(records: dict[int, Any], wanted: set[Any]) -> dict[int, bool]:
    """The numbers of records that depend on wanted ones, these included, in order; a dict, for its fast `in`. Behind an op that has
    no gradient, such as `stop_gradient`, nothing does."""
    useful = {}
    for node, entry in records.items():
        if node in wanted:
            useful[node] = True
        elif entry is not None and any(type(a) is Tensor and a.node in useful for a in entry.args):
            if entry.op.vjp is not None or entry.op.fallback is not None:
                useful[node] = True
    return useful


def _vjp(node: int, entry: Record, gs: list[Any]) -> Any:
    outer = state.call
    state.call = outer.at((*entry.place, GRADIENT))
    try:
        return _vjp_here(node, entry, gs)
    finally:
        state.call = outer


def _vjp_here(node: int, entry: Record, gs: list[Any]) -> Any:
    op = entry.op
    outs = tuple(Tensor(d, node, i) for i, d in enumerate(entry.outs))
    g, out = (tuple(gs), outs) if entry.is_tuple else (gs[0], outs[0])
    if op.vjp is not None:
        return op.vjp(g, out, *entry.args, **entry.params)
    if op.fallback is not None:
        return vjp_of(lambda *xs: op.fallback(*xs, **entry.params), entry.args, g)
    return (None,) * len(entry.args)


def vjp_of(fn: Callable[..., Any], args: tuple[Any, ...], g: Any) -> tuple[Any, ...]:
    """Gradients of a function of tensors at `args` by taping it anew; `g` is one gradient or a tuple of them."""
    tape = Tape(watch_accessed_variables=False)
    inner = [alias(a) for a in args]
    sources = [a for a in inner if type(a) is Tensor]
    with tape:
        for s in sources:
            tape.follow(s)
        out = fn(*inner)
    outs, gs = (out, g) if type(out) is tuple else ((out,), (g,))
    pairs = [(o, h) for o, h in zip(outs, gs) if h is not None]
    found = iter(backward(tape.records, [o for o, _ in pairs], [h for _, h in pairs], sources, consume=True))
    return tuple(next(found) if type(a) is Tensor else None for a in inner)


def alias(a: Any) -> Any:
    """A tensor of the same value that is a place of its own for gradients; those of open tapes still pass through it."""
    if type(a) is not Tensor:
        return a
    t = Tensor(a.data)
    if a.node is not None:
        state.top.note(_ALIAS, (a,), t)
    return t


class _Alias:
    """The identity, as an op that only tapes see."""

    name, keep, fallback = "alias", "", None

    @staticmethod
    def vjp(g: Tensor, out: Tensor, x: Tensor) -> tuple[Tensor]:
        return (g,)


_ALIAS = _Alias()


class CustomVjp:
    """An op that only tapes see: its gradient is a function that was given. `vjp` and `keep` are as in `Op`."""

    name, fallback = "custom_gradient", None

    def __init__(self, vjp: Callable[..., Any], keep: str = "x"):
        self.vjp, self.keep = vjp, keep


def as_function_of(args: Sequence[Tensor], value: Any, vjp: Callable[..., Any]) -> Any:
    """The tensor `value`, of which tapes shall know nothing but that its gradients are vjp(g, value, *args).

    For results that depend on `args` by another way than the ops that made them; nothing of `value` may be on a tape yet.
    """
    fresh = Tensor(value.data)
    state.top.note(CustomVjp(vjp, keep="xy"), tuple(args), fresh)
    return fresh


class Tape:
    """Notes the calls made inside its block that depend on tensors it follows. Tapes nest: the walk back through an inner one is noted
    by the outer one.

    Args:
        watch_accessed_variables: follow trainable variables of their own accord.
    """

    def __init__(self, watch_accessed_variables: bool = True):
        self.watch_accessed_variables = watch_accessed_variables
        self.records: Any = {}  # number -> Record, or None for what is watched; None once it has given its gradient
        self._outer: Any = None

    def __enter__(self) -> Self:
        if self._outer is not None:
            raise RuntimeError(f"{type(self).__name__}: the tape is recording already.")
        self._outer = state.top
        state.top = Taping(self, self._outer)
        return self

    def __exit__(self, *_: Any) -> None:
        state.top, self._outer = self._outer, None

    def follow(self, tensor: Tensor) -> None:
        """Note what depends on a tensor from now on."""
        if tensor.node is None:
            tensor.node = new_node()
        self.records.setdefault(tensor.node)

    def follows(self, tensors: Iterable[Any]) -> Any:
        """Of each, whether it is a tensor whose uses are noted."""
        return tuple(type(t) is Tensor and t.node is not None and t.node in (self.records or ()) for t in tensors)

    def note_read(self, variable: Any, value: Tensor) -> None:
        """A variable has been read: follow its value if it is trainable."""
        if variable.trainable and self.watch_accessed_variables and self.records is not None:
            self.follow(value)


class Taping(Handing):
    """A tape is open: it notes what the interpreter below has made of a call."""

    def __init__(self, tape: Tape, outer: Interpreter):
        super().__init__(outer)
        self.tape, self.tapes = tape, (tape, *outer.tapes)
        self._below = outer.untaped()  # tapes one upon another note a call together
        self._replaces = outer.replaces()

    def apply(self, op: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        out = self._below.apply(op, args, params)
        for a in args:
            if type(a) is Tensor and a.node is not None:
                record(op, self._as_below(args), params, out, self.tapes)
                break
        return out

    def read(self, variable: Any) -> Tensor:
        t = self.outer.read(variable)
        self.tape.note_read(variable, t)
        return t

    def note(self, op: Any, args: tuple[Any, ...], out: Any) -> None:
        record(op, self._as_below(args), {}, out, self.tapes)
        self._below.note(op, args, out)

    def _as_below(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments as the interpreters below take them, tapes among them."""
        return tuple(map(self.outer.replaced, args)) if self._replaces else args

    def untaped(self) -> Interpreter:
        return self._below
