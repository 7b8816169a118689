"""Several elementwise ops as one program."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mlkit.core.graph import Call
from mlkit.core.op import Op
from mlkit.core.tensor import Value


class Chain:
    """A small program of elementwise ops.

    steps: tuple of (op, args, params). An argument is a number (operands come first, then results in order) or (scalar,).
    outs: numbers of the results that are returned.
    """

    __slots__ = ("operands", "steps", "outs")

    def __init__(self, operands: int, steps: Iterable[tuple[Op, tuple[Any, ...], dict[str, Any]]], outs: Iterable[int]) -> None:
        self.operands, self.steps, self.outs = operands, tuple(steps), tuple(outs)

    @classmethod
    def of(cls, calls: Iterable[Call], operands: Sequence[Any], outs: Iterable[Value]) -> "Chain":
        """The chain of a graph's calls, each of one result. operands, outs: Values (or constants) that come in and go out."""
        number = {id(a): i for i, a in enumerate(operands)}
        steps = []
        for c in calls:
            steps.append((c.op, tuple(number[id(a)] if hasattr(a, "shape") else (a,) for a in c.args), c.params))
            number[id(c.outs[0])] = len(operands) + len(steps) - 1
        return cls(len(operands), steps, [number[id(v)] for v in outs])

    def run(self, values: Iterable[Any], apply: Callable[..., Any]) -> tuple[Any, ...]:
        """The outputs for the values of the operands; ``apply(op, args, params)`` makes a step."""
        env = list(values)
        for op, args, params in self.steps:
            env.append(apply(op, [a[0] if type(a) is tuple else env[a] for a in args], params))
        return tuple(env[i] for i in self.outs)

    def __repr__(self) -> str:
        def show(a: Any) -> str:
            return repr(a[0]) if type(a) is tuple else f"%{a}"

        parts = []
        for i, (op, args, params) in enumerate(self.steps):
            inside = ", ".join([*map(show, args), *(f"{k}={v!r}" for k, v in params.items())])
            parts.append(f"%{i + self.operands} = {op.name}({inside})")
        return f"{{{'; '.join(parts)}; return {', '.join(f'%{i}' for i in self.outs)}}}"
