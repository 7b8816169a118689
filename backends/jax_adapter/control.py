"""Rows for control flow: the bodies, which are graphs, run inside lax.cond, lax.while_loop and lax.scan."""

from jax import lax


def _run(graph, arrays):
    from mlkit.backends.jax_adapter.backend import evaluate

    return tuple(evaluate(graph, arrays))


def _cond(predicate, *operands, then, orelse):
    n = len(then.inputs)
    return lax.cond(predicate, lambda *a: _run(then, a[:n]), lambda *a: _run(orelse, a[n:]), *operands)


def _while(*operands, test, body, state):
    n = len(test.inputs) - state
    start, of_test, of_body = operands[:state], operands[state : state + n], operands[state + n :]
    return lax.while_loop(lambda s: _run(test, (*s, *of_test))[0], lambda s: _run(body, (*s, *of_body)), tuple(start))


def _scan(*operands, body, xs, carry, length, reverse, save):
    slices, start, shared = operands[:xs], operands[xs : xs + carry], operands[xs + carry :]

    def step(state, x):
        out = _run(body, (*x, *state, *shared))
        return out[:carry], (*out[carry:], *(state if save else ()))

    state, stacked = lax.scan(step, tuple(start), tuple(slices), length=length, reverse=reverse)
    return *state, *stacked


ROWS = {"cond": _cond, "while": _while, "scan": _scan}
