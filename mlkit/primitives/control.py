"""Control flow inside graphs: ops whose parameters are graphs. A backend's executor runs them.

What a graph takes from outside is among the op's operands. All three return tuples.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NoReturn

from mlkit.core import dtypes
from mlkit.core.autograd import vjp_of
from mlkit.core.body_trace import Body, trace_body
from mlkit.core.graph import Graph, spec_of
from mlkit.core.op import Op
from mlkit.core.spec import Size, Spec
from mlkit.core.state import swapped
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives.movement import full


def _outputs(graph: Graph) -> tuple[Spec, ...]:
    return tuple(map(spec_of, graph.outputs))


def _is_float(x: Tensor) -> bool:
    return dtypes.is_float(x.dtype) or dtypes.is_complex(x.dtype)


def _zeros(x: Tensor) -> Tensor:
    return full(shape=x.shape, value=0, dtype=x.dtype)


def _gradients(graph: Graph, xs: tuple[Tensor, ...], gs: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Inside a body: gradients of a graph's outputs (weighted by gs, which may be None) for each of xs; None for what is no float
    and where no gradient arrives. A gradient that is known to be zero must not become an array of zeros: behind it a derivative
    may be infinite, and zero times that is NaN."""
    found = vjp_of(lambda *inputs: tuple(graph.run(*inputs)), xs, tuple(gs))
    return [g if _is_float(x) else None for x, g in zip(xs, found)]


def _some(values: Iterable[Tensor], like: Sequence[Any]) -> list[Tensor | None]:
    """The next of `values` for each that is not None in `like`."""
    values = iter(values)
    return [None if x is None else next(values) for x in like]


def _present(values: Iterable[Tensor | None]) -> list[Tensor]:
    return [v for v in values if v is not None]


def _either(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return _either(a, b) if a is None or b is None else a + b


def _with_zeros(trace: Body, values: Sequence[Tensor | None], like: Sequence[Tensor | None]) -> list[Any]:
    """Inside a traced body: its values, and zeros for each that is None where `like` is not."""
    with swapped(top=trace):
        return [_zeros(x) if v is None and x is not None else v for v, x in zip(values, like)]


# ---- cond ------------------------------------------------------------------------------------------------------------


def _cond_spec(predicate: Spec, *operands: Spec, then: Graph, orelse: Graph) -> tuple[Spec, ...]:
    if predicate.shape != () or predicate.dtype != "bool":
        raise ValueError(f"cond: the predicate must be a bool scalar, but is {predicate}.")
    return _outputs(then)


def _cond_vjp(
    g: Sequence[Tensor | None], out: tuple[Tensor, ...], predicate: Tensor, *operands: Tensor, then: Graph, orelse: Graph
) -> tuple[Tensor | None, ...]:
    """Each branch of the gradient runs its branch again and differentiates it; what only the other's gradient reaches gets zeros."""
    n, seeds = len(then.inputs), _present(g)

    def gradient_of(graph: Graph, own: Sequence[Tensor]) -> Body:
        body = lambda *args: _gradients(graph, args[: len(own)], _some(args[len(own) :], g))
        return trace_body(body, [t.spec for t in (*own, *seeds)])

    first, second = gradient_of(then, operands[:n]), gradient_of(orelse, operands[n:])
    outs = [*first.out, *[None] * len(second.out)], [*[None] * len(first.out), *second.out]
    reached = list(map(_either, *outs))
    extra = [b.close(_present(_with_zeros(b, out, reached))) for b, out in zip((first, second), outs)]
    operands_of_grad = (*operands[:n], *seeds, *extra[0], *operands[n:], *seeds, *extra[1])
    return None, *_some(cond_op(predicate, *operands_of_grad, then=first.graph, orelse=second.graph), reached)


# predicate bool (), then the inputs of graph `then`, then those of graph `orelse` -> the outputs of the one that is run; both
# have outputs of the same specs.
cond_op = Op(
    "cond",
    _cond_spec,
    _cond_vjp,
    "x",
    traits=Traits(body_flops=lambda params, cost: max(cost(params["then"]), cost(params["orelse"]))),
)


# ---- while -----------------------------------------------------------------------------------------------------------


def _while_vjp(*_: Any, **__: Any) -> NoReturn:
    raise NotImplementedError(
        "while_loop has no gradient: how often it runs is known only when it runs. Use ops.fori_loop with Python integers as "
        "bounds, or ops.scan; or stop the gradient with ops.stop_gradient."
    )


def _flops_of_one_turn(params: dict[str, Any], cost: Callable[[Graph], int]) -> int:
    """How many turns there are only the run knows."""
    return cost(params["test"]) + cost(params["body"])


# operands: n values of the loop's state, then what graph `test` takes besides, then what graph `body` takes besides; n =
# `state`. test(state, ...) -> bool (); body(state, ...) -> state. The body runs as long as the test is true. -> the last state
while_op = Op(
    "while",
    lambda *operands, test, body, state: tuple(operands[:state]),
    _while_vjp,
    "",
    traits=Traits(body_flops=_flops_of_one_turn),
)


# ---- scan ------------------------------------------------------------------------------------------------------------


def _scan_spec(*operands: Spec, body: Graph, xs: int, carry: int, length: Size, reverse: bool, save: bool) -> tuple[Spec, ...]:
    state = operands[xs : xs + carry]
    for s, after in zip(state, _outputs(body)):
        if s != after:
            raise ValueError(f"scan: the carry must keep its shape and dtype, but {s} became {after}.")
    ys = (Spec((length, *y.shape), y.dtype) for y in _outputs(body)[carry:])
    saved = (Spec((length, *s.shape), s.dtype) for s in state) if save else ()
    return *state, *ys, *saved


def _scan_vjp(
    g: Sequence[Tensor | None],
    out: tuple[Tensor, ...],
    *operands: Tensor,
    body: Graph,
    xs: int,
    carry: int,
    length: Size,
    reverse: bool,
    save: bool,
) -> tuple[Tensor | None, ...]:
    """A scan in the other direction over the saved carries; each step runs the body again and differentiates it.

    It carries the gradients of the state and of what all steps share, but only of those that a gradient reaches: which these are
    is found by tracing the step until it hands a gradient to no others."""
    steps, state, shared = operands[:xs], operands[xs : xs + carry], operands[xs + carry :]
    if not save:
        out = scan_op(*operands, body=body, xs=xs, carry=carry, length=length, reverse=reverse, save=True)
        g = (*g, *[None] * carry)
    n_ys = len(body.outputs) - carry
    g_state, g_along = g[:carry], g[carry:]  # along: of the ys, and of the saved states
    along = [*steps, *out[len(out) - carry :], *_present(g_along)]
    held = [*state, *shared]
    start = [h if _is_float(x) else None for x, h in zip(state, g_state)] + [None] * len(shared)

    def one_step(*args: Tensor) -> list[Tensor | None]:
        given = iter(args)
        x, before = list(islice(given, xs)), list(islice(given, carry))
        gs, held_gs, constants = _some(given, g_along), _some(given, start), list(given)
        found = _gradients(body, (*x, *before, *constants), (*held_gs[:carry], *gs[:n_ys]))
        late = [h if _is_float(x) else None for x, h in zip(state, gs[n_ys:])] + held_gs[carry:]
        return [*map(_sum, late, found[xs:]), *found[:xs]]

    while True:
        slices = [Spec(t.shape[1:], t.dtype) for t in along]
        step = trace_body(one_step, slices + [t.spec for t in (*_present(start), *shared)])
        d_held, d_steps = step.out[: len(held)], step.out[len(held) :]
        more = [d is not None and s is None for d, s in zip(d_held, start)]
        if not any(more):
            break
        start = [_zeros(x) if m else s for x, m, s in zip(held, more, start)]
    carried = _present(start)
    extra = step.close([*_present(_with_zeros(step, d_held, start)), *_present(d_steps)])
    found = scan_op(
        *along, *carried, *shared, *extra,
        body=step.graph, xs=len(along), carry=len(carried), length=length, reverse=not reverse, save=False,
    )  # fmt: skip
    total, d_steps = _some(found, start), _some(found[len(carried) :], d_steps)
    d_held = [None if d is None and length else t for d, t in zip(d_held, total)]
    return *d_steps, *d_held


# operands: `xs` tensors that are sliced along axis 0, `carry` values of the state, then what the body takes besides.
# body(slices, state, ...) -> state, ys; it runs `length` times, from the last slice to the first if `reverse`.
# -> the last state, the ys of all steps stacked in the slices' order, and with `save` also the states before each step.
scan_op = Op(
    "scan",
    _scan_spec,
    _scan_vjp,
    "xy",
    traits=Traits(body_flops=lambda params, cost: params["length"] * cost(params["body"])),
)
