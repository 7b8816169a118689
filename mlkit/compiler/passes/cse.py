"""Common subexpressions: of calls with the same op, arguments and parameters only the first is kept."""

from typing import Any

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.rewrite import Rewriter, is_scalar, param_key
from mlkit.core.graph import Call, Graph


def cse(graph: Graph, target: Target | None = None) -> Graph:
    """The graph without repeated calls. Ops are functions of their arguments, random numbers too: their key is an argument."""
    rewriter = Rewriter(graph)
    seen: dict[Any, Call] = {}

    def rule(call: Call) -> Any:
        args = tuple(param_key(a) if is_scalar(a) else id(a) for a in call.args)
        try:
            key = call.op, args, *((k, param_key(p)) for k, p in sorted(call.params.items()))
            first = seen.setdefault(key, call)
        except TypeError:  # a parameter that cannot be hashed
            return None
        if first is call:
            return None
        return first.outs if call.is_tuple else first.outs[0]

    return rewriter.run(rule)


PASS = Pass("cse", cse, exact=True)
