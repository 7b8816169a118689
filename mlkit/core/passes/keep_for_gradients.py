"""Recurrent ops keep for their gradients what these would compute again."""

from mlkit.core.graph import Call
from mlkit.core.tensor import Value

FORWARD = {"lstm_grad": "lstm", "gru_grad": "gru"}


def keep_for_gradients(graph, keeps):
    """The graph in which each gradient gets the results of the forward call of the same arguments, and what that one kept.

    keeps: a function from a call to the Spec of what its kernel can keep, or None
    """
    makers, keepers, calls = {}, {}, []
    for call in graph.calls:
        if call.op.name in FORWARD.values():
            makers[call.op.name, *map(id, call.args)] = call
        calls.append(_with_results(call, makers, keepers, keeps) if call.op.name in FORWARD else call)
    if not keepers:
        return graph
    return graph.like([keepers.get(id(call), call) for call in calls], graph.outputs)


def _with_results(call, makers, keepers, keeps):
    """A gradient's call with the results of its forward call, which becomes a keeper."""
    gradients = len(call.args) - len(call.outs)
    maker = makers.get((FORWARD[call.op.name], *map(id, call.args[gradients:])))
    if maker is None:
        return call
    if id(maker) not in keepers:
        spec = keeps(maker)
        if spec is None:
            return call
        params, outs = {**maker.params, "keep": spec}, (*maker.outs, Value(spec))
        keepers[id(maker)] = Call(maker.op, maker.args, params, outs, True, maker.place)
    return call.with_args((*call.args, *keepers[id(maker)].outs))
