"""Patterns of calls, for passes that look for them and put something else in their place."""

from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.op import Op


class Pattern:
    """Calls of an op whose arguments are made by calls of certain ops.

    ops    an op, a tuple of them, or a function that tells whether an op is one of them
    args   what the first arguments are: a name, by which an argument is found; a Pattern of the call that makes it, as its first
           result; or ... for anything. Those of ops that commute may stand in either order.
    call   a name by which the call itself is found
    alone  whether its result must be used once, so that it need not be computed where something stands for the whole
    """

    __slots__ = ("takes", "args", "call", "alone")

    def __init__(self, ops, *args, call=None, alone=False):
        ops = (ops,) if type(ops) is Op else ops
        self.takes = ops if callable(ops) else frozenset(ops).__contains__
        self.args, self.call, self.alone = args, call, alone

    def matches(self, rewriter, call):
        """What is found in a call, name -> argument or Call, for each way in which it fits."""
        if not self.takes(call.op) or len(self.args) > len(call.args):
            return
        either = call.op.traits.commutes and len(self.args) == 2
        for args in (call.args, call.args[::-1]) if either else (call.args,):
            yield from self._found(rewriter, call, args)

    def _found(self, rewriter, call, args):
        ways = [{self.call: call} if self.call else {}]
        for wanted, a in zip(self.args, args):
            if type(wanted) is Pattern:
                ways = [{**way, **inner} for inner in wanted._makers(rewriter, a) for way in ways]
            elif wanted is not ...:
                ways = [{**way, wanted: a} for way in ways]
        return ways

    def _makers(self, rewriter, a):
        """The matches of what makes an argument."""
        maker = rewriter.maker(a)
        if maker is None or a is not maker.outs[0] or (self.alone and rewriter.uses.get(id(a)) != 1):
            return ()
        return self.matches(rewriter, maker)


def replaced(rewriter, call, pattern, by):
    """What ``by(rewriter, call, **found)`` puts in the place of a call that fits a pattern; None where it does not fit or `by` says so."""
    for found in pattern.matches(rewriter, call):
        new = by(rewriter, call, **found)
        if new is not None:
            return new
    return None


def rewritten(graph, *rules):
    """The graph with calls replaced by rules, pairs (pattern, by), of which the first that fits counts."""
    rewriter = Rewriter(graph)

    def rule(call):
        for pattern, by in rules:
            new = replaced(rewriter, call, pattern, by)
            if new is not None:
                return new
        return None

    return rewriter.run(rule)
