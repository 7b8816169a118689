"""Mapping: the interpreter of functions that are mapped over an axis, all elements at once.

Inside, a tensor that has another value for each element looks like one of them. Its data, `Batched`, is a tensor with the axis in front,
and each call becomes one on these: by the rule that the op's record has (the trait `batch`), by that of ops that broadcast, by the composed
form of a fused op, or, where there is no such way, once for each element.
"""

from collections.abc import Sequence
from typing import Any

from mlkit.core.autograd import CustomVjp
from mlkit.core.interpreter import Composed, Handing, Interpreter, wrap
from mlkit.core.op import Op
from mlkit.core.spec import ShapesDiffer, Size, Spec
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor, Wrapped
from mlkit.primitives.batching import aligned, pointwise
from mlkit.primitives.movement import element, full, stacked
from mlkit.primitives.shape import broadcast_to, sum_to, transpose


class Batched(Wrapped):
    """The values of one tensor for all elements: a Tensor with the elements along its first axis. owner: the Mapping they belong to."""

    __slots__ = ("tensor", "owner")

    def __init__(self, tensor: Tensor, owner: "Mapping"):
        self.tensor, self.owner = tensor, owner
        self.spec = Spec(tensor.shape[1:], tensor.dtype)


class Mapping(Handing):
    """A function is called once for `size` elements."""

    def __init__(self, size: Size, outer: Interpreter, owner: "Mapping | None" = None):
        super().__init__(outer)
        self.size, self.owner = size, owner or self  # owner: whose Batched are its own
        self.tapes = ()  # those below see the calls that it makes
        self.assigns = self.has_values = False

    # ---- what goes in and comes out ----------------------------------------------------------------------------------

    def enter(self, tensor: Tensor, axis: int) -> Tensor:
        """A tensor as the function sees it, which is called for the parts along an axis."""
        return self._batched(moved(tensor, axis, 0))

    def leave(self, tensor: Tensor, axis: int | None) -> Tensor:
        """A result of the function for all elements, along an axis; without one the result, if it is the same for all."""
        if axis is None:
            if self._has(tensor):
                raise ValueError(
                    "vmap: a result differs between the elements, so it must have an axis in `out_axes`, not None."
                )
            return tensor
        if self._has(tensor):
            return moved(tensor.data.tensor, 0, axis)
        return moved(self._spread(tensor), 0, axis)

    def _has(self, a: Tensor | float) -> bool:
        return type(a) is Tensor and type(a.data) is Batched and a.data.owner is self.owner

    def _batched(self, tensor: Tensor) -> Tensor:
        return Tensor(Batched(tensor, self.owner))

    def _spread(self, tensor: Tensor) -> Tensor:
        return broadcast_to(tensor, shape=(self.size, *tensor.shape))

    # ---- as an interpreter -------------------------------------------------------------------------------------------

    def apply(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        has = list(map(self._has, args))
        if True not in has:
            return self.outer.apply(op, args, params)
        try:
            specs = op.infer(args, params)
        except ShapesDiffer as refusal:
            raise Composed(refusal) from None
        if any(type(a) is Tensor and type(a.data) is Spec for a in args):
            return wrap(specs)
        inner = [a.data.tensor if h else a for a, h in zip(args, has)]
        with swapped(top=self.outer):
            out = self._by_rule(op, inner, has, params)
            if out is None and op.fallback is not None:
                raise Composed
            if out is None:
                out = self._one_by_one(op, inner, has, params, specs)
        return tuple(map(self._batched, out)) if type(out) is tuple else self._batched(out)

    def _by_rule(self, op: Op, args: list[Any], has: list[bool], params: dict[str, Any]) -> Any:
        rule = op.traits.batch or (aligned if op.traits.broadcasts else pointwise if op.traits.elementwise else None)
        if rule is None:
            return None
        out = rule(op, args, has, self.size, params)
        if out is None and not all(has):
            args = [self._spread(a) if type(a) is Tensor and not h else a for a, h in zip(args, has)]
            out = rule(op, args, [type(a) is Tensor for a in args], self.size, params)
        return out

    def _one_by_one(self, op: Op, inner: Sequence[Any], has: Sequence[bool], params: dict[str, Any], specs: Any) -> Any:
        if not self.size:
            several = specs if type(specs) is tuple else (specs,)
            zeros = tuple(full(shape=(0, *s.shape), value=0, dtype=s.dtype) for s in several)
            return zeros if type(specs) is tuple else zeros[0]
        outs = [op(*(element(a, i) if h else a for a, h in zip(inner, has)), **params) for i in range(self.size)]
        return tuple(map(stacked, zip(*outs))) if type(specs) is tuple else stacked(outs)

    def note(self, op: Any, args: tuple[Any, ...], out: Any) -> None:
        has, outs = list(map(self._has, args)), out if type(out) is tuple else (out,)
        if True not in has:
            self.outer.note(op, args, out)
            return
        inner = tuple(a.data.tensor if h else a for a, h in zip(args, has))
        made = tuple(Tensor((o.data.tensor if self._has(o) else self._spread(o)).data) for o in outs)
        for o, t in zip(outs, made):
            o.data = Batched(t, self.owner)

        def vjp(g: Any, y: Any, *xs: Any) -> tuple[Tensor | None, ...]:
            mapping = Mapping(self.size, state.top, self.owner)
            gs, ys = ([t if t is None else mapping._batched(t) for t in ts] for ts in (_several(g), _several(y)))
            g, y = (tuple(gs), tuple(ys)) if type(out) is tuple else (gs[0], ys[0])
            with swapped(top=mapping):
                found = op.vjp(g, y, *(mapping._batched(x) if h else x for x, h in zip(xs, has)))
            return tuple(
                t if t is None else mapping.leave(t, 0) if h else sum_to(mapping.leave(t, 0), x.shape)
                for t, x, h in zip(found, xs, has)
            )

        self.outer.note(CustomVjp(vjp, keep="xy"), inner, made if type(out) is tuple else made[0])

    def write(self, variable: Any, tensor: Tensor) -> None:
        if self._has(tensor):
            raise ValueError(
                f"Variable {variable.path!r} cannot be assigned in a mapped function: there would be one value for each of its "
                f"{self.size} elements. Return the values instead, and assign what you make of them outside."
            )
        self.outer.write(variable, tensor)


def moved(x: Tensor, source: int, target: int) -> Tensor:
    """The tensor with one axis moved to another place."""
    if source == target:
        return x
    others = [a for a in range(x.ndim) if a != source]
    others.insert(target, source)
    return transpose(x, perm=tuple(others))


def _several(x: Any) -> tuple[Any, ...]:
    return x if type(x) is tuple else (x,)
