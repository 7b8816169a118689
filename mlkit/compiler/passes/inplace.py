"""In place: a call writes its result where an argument lies that nobody needs any more."""

from collections.abc import Sequence
from typing import Any

from mlkit.core.graph import Call
from mlkit.core.tensor import Value


def share(plan: Any) -> None:
    """Join storages of a plan: those of results with those of arguments that die in the same call, and those of the new values
    of variables with those of the old ones where nobody reads these any more."""
    old = _predecessors(plan)
    for i, (call, choice) in enumerate(zip(plan.graph.calls, plan.choices)):
        if not choice.writes:
            continue
        taken = set()
        for out, v in enumerate(call.outs):
            result = plan.place(v).storage
            if result.owner is not v:
                continue  # a view
            partners = [k for o, k in choice.inplace if o == out and k not in taken]
            before = old.get(id(v))
            fitting = (k for k in partners if may_take(plan, i, call.args[k], result, before))
            k = next((k for k in fitting if is_read_in_time(plan, call, k, partners)), None)
            if k is not None:
                _join(result, plan.place(call.args[k]).storage)
                taken.add(k)
            elif before is not None and before.last < i and not before.reused:
                _join(result, before)


def _join(result: Any, storage: Any) -> None:
    storage.last = max(storage.last, result.last)
    result.merged, storage.reused = storage, True


def _predecessors(plan: Any) -> dict[int, Any]:
    """id of the Value that is a variable's new value -> storage of the old value, where memory may be handed on."""
    graph = plan.graph
    found: dict[int, Any] = {}
    for i, o in graph.successors.items():
        v, old = graph.outputs[o], graph.inputs[i]
        if type(v) is Value and plan.place(v).storage.kind == "fresh" and plan.place(old).storage.last < len(graph.calls):
            if plan.place(v).storage.owner is v and (v.shape, v.dtype) == (old.shape, old.dtype):
                found.setdefault(id(v), plan.place(old).storage)
    return found


def is_read_in_time(plan: Any, call: Call, k: int, partners: Sequence[int]) -> bool:
    """Whether what lies where argument k does is read before a result is written over it. An argument that is given twice is, where the
    only result may lie where either lies; else a kernel may write a first result before it reads the argument again."""
    storage = plan.place(call.args[k]).storage
    there = [j for j, a in enumerate(call.args) if type(a) is Value and plan.place(a).storage is storage]
    if len(there) == 1:
        return True
    same = all(call.args[j] is call.args[k] for j in there)
    return same and len(call.outs) == 1 and set(there) <= set(partners)


def may_take(plan: Any, i: int, argument: Any, result: Any, before: Any) -> bool:
    """Whether `result` of call i may lie where `argument` lies; `before`: storage of the old value it replaces, or None."""
    v = result.owner
    if type(argument) is not Value or argument.shape != v.shape or argument.dtype != v.dtype:
        return False
    place = plan.place(argument)
    storage = place.storage
    if storage.last != i or storage.kind == "constant" or (storage.kind == "arena" and result.kind != "arena"):
        return False
    if storage.kind == "input" and (storage is not before or storage.owner is not argument):
        return False
    if before is not None and storage is not before:
        return False  # better in the old value's memory, now or once it is dead
    if storage.kind == "made" and (storage.owner is not argument or not v.shape or plan.choices[i].prepared is not None):
        return False  # a part of what a kernel returned; or perhaps a scalar, which cannot be written; or of unknown strides
    if storage.nbytes != result.nbytes:
        return False
    if storage.kind == "arena" and (place.offset or place.strides != plan.place(v).strides):
        return False  # a transposed view, say
    return True
