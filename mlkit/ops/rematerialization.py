"""remat: what a function computes on the way is computed again for its gradient, rather than kept."""

import weakref
from collections.abc import Callable
from typing import Any

from mlkit.core import tree
from mlkit.core.autograd import CustomVjp, record, vjp_of
from mlkit.core.interpreter import Interpreter, Values
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor
from mlkit.core.variable import BaseVariable
from mlkit.primitives.movement import after

__all__ = ["remat"]


def remat(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that does what `f` does, and keeps for its gradient nothing but its arguments.

    In training the memory of intermediate results is traded for the time of a second run of `f`. Variables read in it have gradients as
    usual; what it assigns, random states among it, is assigned once. `model.memory_report` shows what is won.

    Args:
        f: A function of tensors and of structures of tensors, or a layer.

    Returns:
        A function of the same arguments.

    Chen, Xu, Zhang and Guestrin, "Training deep nets with sublinear memory cost", arXiv:1604.06174.

    >>> import mlkit
    >>> from mlkit import ops
    >>> block = mlkit.remat(lambda x: ops.tanh(ops.exp(x) * 2.0))
    >>> float(mlkit.grad(lambda x: ops.sum(block(x)))(ops.convert_to_tensor(-3.0))) > 0
    True
    """

    def run(*args, **kwargs):
        tapes, context = state.top.tapes, state.call
        if not tapes:
            return f(*args, **kwargs)
        leaves = list(map(_value, tree.flatten((args, kwargs))))
        tensors = [x for x in leaves if type(x) is Tensor]
        reading = Reading(state.top.untaped())
        with swapped(top=reading):
            out = f(*args, **kwargs)
        variables, values = list(reading.first), list(reading.first.values())
        for tape in tapes:
            for v, t in reading.first.items():
                tape.note_read(v, t)
        fresh = [Tensor(x.data) if type(x) is Tensor else x for x in map(_value, tree.flatten(out))]
        results = tuple(x for x in fresh if type(x) is Tensor)

        def again(*xs):
            """The results for these tensors, and values of the variables."""
            given = iter(xs[: len(tensors)])
            a, k = tree.pack_sequence_as((args, kwargs), [next(given) if type(x) is Tensor else x for x in leaves])
            with Values(dict(zip(variables, xs[len(tensors) :]))), swapped(call=context, losses=weakref.WeakKeyDictionary()):
                out = f(*a, **k)
            return tuple(x for x in map(_value, tree.flatten(out)) if type(x) is Tensor)

        def vjp(g, y, *xs):
            gs = g if type(g) is tuple else (g,)
            arrived = next(h for h in gs if h is not None)
            n = len(tensors)
            return vjp_of(again, (*(after(x, arrived) for x in xs[:n]), *xs[n:]), gs)

        if results:
            record(CustomVjp(vjp), (*tensors, *values), {}, results if len(results) > 1 else results[0], tapes)
        return tree.pack_sequence_as(out, fresh)

    return run


def _value(x):
    return x.tracked_value() if isinstance(x, BaseVariable) else x


class Reading(Interpreter):
    """Notes the values that variables have when they are read first."""

    def __init__(self, outer):
        self.outer, self.first = outer, {}
        self.trace, self.keeper, self.assigns, self.has_values = outer.trace, outer.keeper, outer.assigns, outer.has_values

    def apply(self, op, args, params):
        return self.outer.apply(op, args, params)

    def read(self, variable):
        t = self.outer.read(variable)
        self.first.setdefault(variable, t)
        return t

    def write(self, variable, tensor):
        self.outer.write(variable, tensor)
