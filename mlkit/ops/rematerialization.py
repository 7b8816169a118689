"""remat: what a function computes on the way is computed again for its gradient, rather than kept."""

from collections.abc import Callable
from typing import Any

from mlkit.core import tree
from mlkit.core.autograd import CustomVjp, record, vjp_of
from mlkit.core.interpreter import Reading, Replacing, Rerun, Values
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure
from mlkit.core.variable import value_of
from mlkit.primitives.movement import after

__all__ = ["remat"]


def remat(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that does what `f` does, and keeps for its gradient nothing but its arguments.

    In training the memory of intermediate results is traded for the time of a second run of `f`. Variables and tensors that it uses from
    outside have gradients as usual; what it assigns, random states among it, is assigned once. `model.memory_report` shows what is won.

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

    def run(*args: Any, **kwargs: Any) -> Structure:
        tapes = state.top.tapes
        if not tapes:
            return f(*args, **kwargs)
        context = state.call.apart()  # a copy: a layer changes its own behind its call
        leaves = tree.flatten((args, kwargs))
        tensors = [x for x in leaves if type(x) is Tensor]
        reading = Reading(state.top.untaped(), tapes)
        a, k = tree.map_structure(lambda x: Tensor(x.data) if type(x) is Tensor else x, (args, kwargs))
        with swapped(top=reading):
            out = f(*a, **k)
            ends = list(map(value_of, tree.flatten(out)))
            reading.see(ends)
        for t in reading.first.values():  # these are the variables' own
            reading.captured.pop((t.node, t.slot), None)
        variables, values = list(reading.first), list(reading.first.values())
        captured = list(reading.captured)
        n, m = len(tensors), len(tensors) + len(values)
        block = Rerun if type(state.top.keeper) in (type(None), Rerun) else Values
        for tape in tapes:
            for v, t in reading.first.items():
                tape.note_read(v, t)
        fresh = [Tensor(x.data) if type(x) is Tensor else x for x in ends]
        results = tuple(x for x in fresh if type(x) is Tensor)

        def again(*xs: Any) -> tuple[Any, ...]:
            """The results for these tensors, and values of the variables."""
            given = iter(xs[:n])
            replacing = Replacing(state.top, dict(zip(captured, xs[m:])))
            a, k = tree.pack_sequence_as((args, kwargs), [next(given) if type(x) is Tensor else x for x in leaves])
            with swapped(top=replacing, call=context.apart()), block(dict(zip(variables, xs[n:m]))):
                ends = map(value_of, tree.flatten(f(*a, **k)))
                return tuple(replacing.replaced(x) for x in ends if type(x) is Tensor)

        def vjp(g: Structure, y: Structure, *xs: Any) -> tuple[Tensor | None, ...]:
            gs = g if type(g) is tuple else (g,)
            arrived = next(h for h in gs if h is not None)
            return vjp_of(again, (*(after(x, arrived) for x in xs[:n]), *xs[n:]), gs)

        if results:
            used = (*tensors, *values, *reading.captured.values())
            record(CustomVjp(vjp), used, {}, results if len(results) > 1 else results[0], tapes)
        return tree.pack_sequence_as(out, fresh)

    return run
