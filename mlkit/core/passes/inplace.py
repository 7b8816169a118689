"""In place: a call writes its result where an argument lies that nobody needs any more."""

from mlkit.core.tensor import Value


def share(plan):
    """Join storages of a plan: those of results with those of arguments that die in the same call."""
    for i, (call, choice) in enumerate(zip(plan.graph.calls, plan.choices)):
        taken = set()
        for out, k in choice.inplace:
            result = plan.place(call.outs[out]).storage
            argument = call.args[k]
            if result.owner is call.outs[out] and result.merged is None and k not in taken and out not in taken:
                if _may_take(plan, call, i, argument, result):
                    storage = plan.place(argument).storage
                    storage.last = max(storage.last, result.last)
                    result.merged = storage
                    taken |= {k, out}


def _may_take(plan, call, i, argument, result):
    """Whether `result` of call i may lie where `argument` lies."""
    v = result.owner
    if type(argument) is not Value or argument.shape != v.shape or argument.dtype != v.dtype:
        return False
    place = plan.place(argument)
    storage = place.storage
    if storage.last != i or storage.kind == "input" or (storage.kind == "arena" and result.kind != "arena"):
        return False
    if storage.kind == "made" and (storage.owner is not argument or not v.shape):
        return False  # a part of what a kernel returned; or perhaps a scalar, which cannot be written
    if storage.nbytes != result.nbytes:
        return False
    if storage.kind == "arena" and (place.offset or place.strides != plan.place(v).strides):
        return False  # a transposed view, say
    return all(a is argument or type(a) is not Value or plan.place(a).storage is not storage for a in call.args)
