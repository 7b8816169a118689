"""Recurrent ops and attention keep for their gradients what these would compute again."""

from typing import Any

from mlkit.compiler.contract import Pass, Target
from mlkit.core.graph import Call, Graph
from mlkit.core.spec import Spec
from mlkit.core.tensor import Value
from mlkit.primitives.fused import attention_grad, gru_grad, lstm_grad, rnn_grad


def forward_of(call: Call) -> Call | None:
    """The forward call whose gradients a call computes, without results; None if it is no such gradient."""
    kept = call.op.traits.kept
    return Call(call.op.base, call.args[kept.gradients :][: kept.arguments], call.params, ()) if kept else None


def without_kept(call: Call) -> Call:
    """The call as it would be without this pass."""
    kept = call.op.traits.kept
    if kept:
        return call.with_args(call.args[: kept.gradients + kept.arguments])
    if "keep" not in call.params:
        return call
    outs = call.outs[:-1]
    return Call(call.op, call.args, {k: v for k, v in call.params.items() if k != "keep"}, outs, len(outs) > 1, call.place)


def keep_for_gradients(graph: Graph, target: Target) -> Graph:
    """The graph in which each gradient gets results of the forward call of the same arguments, and what that one kept."""
    keeping = {call.op.base for call in graph.calls if call.op.traits.kept}
    makers, keepers, calls = {}, {}, []
    for call in graph.calls:
        if call.op in keeping:
            makers[_key(call)] = call
        forward = forward_of(call)
        maker = forward and makers.get(_key(forward))
        if maker and id(maker) not in keepers:
            keepers[id(maker)] = _keeper(maker, target.keeps(maker))
        keeper = maker and keepers[id(maker)]
        kept = call.op.traits.kept
        calls.append(call.with_args((*call.args, *keeper.outs[kept.results :])) if kept and keeper else call)
    return graph.like([keepers.get(id(call)) or call for call in calls], graph.outputs)


def _key(call: Call) -> tuple[Any, ...]:
    return call.op, *map(id, call.args), *call.params.items()


def _keeper(call: Call, spec: Spec | None) -> Call | None:
    """The call with one result more, what it keeps; None where there is no Spec of that."""
    if spec is None:
        return None
    return Call(call.op, call.args, {**call.params, "keep": spec}, (*call.outs, Value(spec)), True, call.place)


PASS = Pass("keep_for_gradients", keep_for_gradients, needs=(lstm_grad, gru_grad, rnn_grad, attention_grad))
