"""Rows for control flow: the bodies, which are graphs, run inside lax.cond, lax.while_loop and lax.scan."""

from jax import lax


def make(evaluate):
    """Op name -> row. evaluate: (graph, arrays) -> the list of its outputs."""

    def cond(predicate, *operands, then, orelse):
        n = len(then.inputs)
        return lax.cond(predicate, lambda *a: run(then, a[:n]), lambda *a: run(orelse, a[n:]), *operands)

    def while_(*operands, test, body, state):
        n = len(test.inputs) - state
        start, of_test, of_body = operands[:state], operands[state : state + n], operands[state + n :]
        return lax.while_loop(lambda s: run(test, (*s, *of_test))[0], lambda s: run(body, (*s, *of_body)), tuple(start))

    def scan(*operands, body, xs, carry, length, reverse, save):
        slices, start, shared = operands[:xs], operands[xs : xs + carry], operands[xs + carry :]

        def step(state, x):
            out = run(body, (*x, *state, *shared))
            return out[:carry], (*out[carry:], *(state if save else ()))

        state, stacked = lax.scan(step, tuple(start), tuple(slices), length=length, reverse=reverse)
        return *state, *stacked

    def run(graph, arrays):
        return tuple(evaluate(graph, arrays))

    return {"cond": cond, "while": while_, "scan": scan}
