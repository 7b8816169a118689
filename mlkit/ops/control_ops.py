"""Control flow inside graphs: ops whose parameters are graphs. A backend's executor runs them.

What a graph takes from outside is among the op's operands. All three return tuples.
"""

from mlkit.core import dtypes
from mlkit.core.autograd import vjp_of
from mlkit.core.body import trace_body
from mlkit.core.graph import spec_of
from mlkit.core.op import OPS, Op
from mlkit.core.spec import Spec
from mlkit.core.tensor import Tensor


def _outputs(graph):
    return tuple(map(spec_of, graph.outputs))


def _is_float(x):
    return dtypes.is_float(x.dtype) or dtypes.is_complex(x.dtype)


def _zeros(x):
    return OPS["full"](shape=x.shape, value=0, dtype=x.dtype)


def _gradients(graph, xs, gs):
    """Inside a body: gradients of a graph's outputs (weighted by gs, which may be None) for each of xs that is a float."""
    found = vjp_of(lambda *inputs: tuple(graph.run(*inputs)), xs, tuple(gs))
    return [_zeros(x) if g is None else g for x, g in zip(xs, found) if _is_float(x)]


def _some(values, like):
    """The next of `values` for each that is not None in `like`."""
    values = iter(values)
    return [None if x is None else next(values) for x in like]


def _at_floats(found, xs):
    """Gradients of the float ones among xs -> one gradient or None for each."""
    return _some(found, [x if type(x) is Tensor and _is_float(x) else None for x in xs])


# ---- cond ------------------------------------------------------------------------------------------------------------


def _cond_spec(predicate, *operands, then, orelse):
    if predicate.shape != () or predicate.dtype != "bool":
        raise ValueError(f"cond: the predicate must be a bool scalar, but is {predicate}.")
    return _outputs(then)


def _cond_vjp(g, out, predicate, *operands, then, orelse):
    """Each branch of the gradient runs its branch again and differentiates it; what only the other uses gets zeros."""
    n = len(then.inputs)
    parts = operands[:n], operands[n:]
    seeds = [h for h in g if h is not None]
    bodies = []
    for i, graph in enumerate((then, orelse)):
        own, other = parts[i], parts[1 - i]

        def body(*args, graph=graph, own=own, other=other, first=i == 0):
            mine = _gradients(graph, args[: len(own)], _some(args[len(own) :], g))
            rest = [_zeros(x) for x in other if _is_float(x)]
            return mine + rest if first else rest + mine

        bodies.append(trace_body(body, [t.spec for t in (*own, *seeds)]))
    extra = [b.close(b.out) for b in bodies]
    operands_of_grad = (*parts[0], *seeds, *extra[0], *parts[1], *seeds, *extra[1])
    found = cond_op(predicate, *operands_of_grad, then=bodies[0].graph, orelse=bodies[1].graph)
    return None, *_at_floats(found, operands)


# predicate bool (), then the inputs of graph `then`, then those of graph `orelse` -> the outputs of the one that is run; both
# have outputs of the same specs.
cond_op = Op("cond", _cond_spec, _cond_vjp, "x")


# ---- while -----------------------------------------------------------------------------------------------------------


def _while_vjp(*_, **__):
    raise NotImplementedError(
        "while_loop has no gradient: how often it runs is known only when it runs. Use ops.fori_loop with Python integers as "
        "bounds, or ops.scan; or stop the gradient with ops.stop_gradient."
    )


# operands: n values of the loop's state, then what graph `test` takes besides, then what graph `body` takes besides; n =
# `state`. test(state, ...) -> bool (); body(state, ...) -> state. The body runs as long as the test is true. -> the last state
while_op = Op("while", lambda *operands, test, body, state: tuple(operands[:state]), _while_vjp, "")


# ---- scan ------------------------------------------------------------------------------------------------------------


def _scan_spec(*operands, body, xs, carry, length, reverse, save):
    state = operands[xs : xs + carry]
    for s, after in zip(state, _outputs(body)):
        if s != after:
            raise ValueError(f"scan: the carry must keep its shape and dtype, but {s} became {after}.")
    ys = (Spec((length, *y.shape), y.dtype) for y in _outputs(body)[carry:])
    saved = (Spec((length, *s.shape), s.dtype) for s in state) if save else ()
    return *state, *ys, *saved


def _scan_vjp(g, out, *operands, body, xs, carry, length, reverse, save):
    """A scan in the other direction over the saved carries; each step runs the body again and differentiates it."""
    steps, state, shared = operands[:xs], operands[xs : xs + carry], operands[xs + carry :]
    if not save:
        out = scan_op(*operands, body=body, xs=xs, carry=carry, length=length, reverse=reverse, save=True)
        g = (*g, *[None] * carry)
    n_ys = len(body.outputs) - carry
    g_state, g_ys, g_saved = g[:carry], g[carry : carry + n_ys], g[carry + n_ys :]
    floats = [x for x in state if _is_float(x)]
    shared_floats = [x for x in shared if _is_float(x)]
    start = [_zeros(x) if h is None else h for x, h in zip(state, g_state) if _is_float(x)] + [_zeros(x) for x in shared_floats]
    along = [*steps, *out[len(out) - carry :], *(h for h in (*g_ys, *g_saved) if h is not None)]

    def one_step(*args):
        at, dstate, constants = args[: len(along)], list(args[len(along) :][: len(start)]), args[len(along) + len(start) :]
        x, before, gs = at[:xs], at[xs : xs + carry], _some(at[xs + carry :], (*g_ys, *g_saved))
        seeds = [*_at_floats(dstate, state), *gs[:n_ys]]
        found = _gradients(body, (*x, *before, *constants), seeds)
        n = len(found) - len(floats) - len(shared_floats)
        late = [d if h is None else d + h for d, h in zip(found[n:], _floats_of(gs[n_ys:], state))]
        total = [d + c for d, c in zip(dstate[len(floats) :], found[n + len(floats) :])]
        return [*late, *total, *found[:n]]

    specs = [Spec(t.shape[1:], t.dtype) for t in along] + [t.spec for t in (*start, *shared)]
    step = trace_body(one_step, specs)
    extra = step.close(step.out)
    found = scan_op(
        *along, *start, *shared, *extra,
        body=step.graph, xs=len(along), carry=len(start), length=length, reverse=not reverse, save=False,
    )  # fmt: skip
    d_state, d_shared, d_steps = found[: len(floats)], found[len(floats) : len(start)], found[len(start) :]
    return tuple(_at_floats([*d_steps, *d_state, *d_shared], operands))


def _floats_of(values, like):
    return [v for v, x in zip(values, like) if _is_float(x)]


# operands: `xs` tensors that are sliced along axis 0, `carry` values of the state, then what the body takes besides.
# body(slices, state, ...) -> state, ys; it runs `length` times, from the last slice to the first if `reverse`.
# -> the last state, the ys of all steps stacked in the slices' order, and with `save` also the states before each step.
scan_op = Op("scan", _scan_spec, _scan_vjp, "xy")
