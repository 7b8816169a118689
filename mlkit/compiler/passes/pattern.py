"""Patterns of calls, for passes that look for them and put something else in their place."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.graph import Call, Graph
from mlkit.core.op import Op


class Pattern:
    """Calls of an op whose arguments are made by calls of certain ops.

    ops    an op, a tuple of them, or a function that tells whether an op is one of them
    args   what the first arguments are: a name, by which an argument is found; a Pattern of the call that makes it, as its first
           result; or ... for anything. Those of ops that commute may stand in either order.
    call   a name by which the call itself is found
    alone  whether its result must be used once, so that it need not be computed where something stands for the whole
    """

    __slots__ = ("takes", "number", "names", "inner", "call", "alone")

    def __init__(
        self, ops: Op | Iterable[Op] | Callable[[Op], Any], *args: Any, call: str | None = None, alone: bool = False
    ) -> None:
        ops = (ops,) if type(ops) is Op else ops
        self.takes = ops if callable(ops) else frozenset(ops).__contains__
        self.number, self.call, self.alone = len(args), call, alone
        self.names = [(i, a) for i, a in enumerate(args) if type(a) is str]
        self.inner = [(i, a) for i, a in enumerate(args) if type(a) is Pattern]

    def matches(self, rewriter: Rewriter, call: Call) -> Sequence[dict[str, Any]]:
        """What is found in a call, name -> argument or Call, for each way in which it fits."""
        if not self.takes(call.op) or self.number > len(call.args):
            return ()
        found = self._found(rewriter, call, call.args)
        if self.number == 2 and call.op.traits.commutes:
            return [*found, *self._found(rewriter, call, call.args[::-1])]
        return found

    def _found(self, rewriter: Rewriter, call: Call, args: Sequence[Any]) -> Sequence[dict[str, Any]]:
        """The matches with the arguments in this order."""
        ways: list[dict[str, Any]] = [{}]
        for i, pattern in self.inner:
            within = pattern._makers(rewriter, args[i])
            if not within:
                return ()
            ways = [{**way, **more} for way in ways for more in within]
        for way in ways:
            way.update((name, args[i]) for i, name in self.names)
            if self.call is not None:
                way[self.call] = call
        return ways

    def _makers(self, rewriter: Rewriter, a: Any) -> Sequence[dict[str, Any]]:
        """The matches of what makes an argument."""
        maker = rewriter.made_by.get(id(a))
        if maker is None or not self.takes(maker.op) or a is not maker.outs[0]:
            return ()
        return () if self.alone and rewriter.uses.get(id(a)) != 1 else self.matches(rewriter, maker)


def replaced(rewriter: Rewriter, call: Call, pattern: Pattern, by: Callable[..., Any]) -> Any:
    """What ``by(rewriter, call, **found)`` puts in the place of a call that fits a pattern; None where it does not fit or `by` says so."""
    for found in pattern.matches(rewriter, call):
        new = by(rewriter, call, **found)
        if new is not None:
            return new
    return None


def rewritten(graph: Graph, *rules: tuple[Pattern, Callable[..., Any]]) -> Graph:
    """The graph with calls replaced by rules, pairs (pattern, by), of which the first that fits counts."""
    rewriter = Rewriter(graph)

    def rule(call: Call) -> Any:
        for pattern, by in rules:
            if pattern.takes(call.op):  # of most calls that is all that is asked
                new = replaced(rewriter, call, pattern, by)
                if new is not None:
                    return new
        return None

    return rewriter.run(rule)
