"""Control flow: the bodies are compiled as programs of their own and run from Python."""

from mlkit.backends.native.device import device_of
from mlkit.core import debug, dtypes
from mlkit.core.graph import spec_of


def make(xp):
    """Op name -> kernel."""
    device = device_of(xp)

    def compiled(body):
        return program(device.backend, body)

    def cond(predicate, *operands, then, orelse):
        n = len(then.inputs)
        return tuple(compiled(then)(list(operands[:n])) if predicate else compiled(orelse)(list(operands[n:])))

    def while_(*operands, test, body, state):
        n = len(test.inputs) - state
        values, of_test, of_body = list(operands[:state]), list(operands[state : state + n]), list(operands[state + n :])
        test, body, turned = compiled(test), compiled(body), False
        while test(values + of_test)[0]:
            values, turned = body(values + of_body), True
        return tuple(values) if turned else tuple(map(xp.array, values))  # the operands' memory is not ours to return

    def scan(*operands, body, xs, carry, length, reverse, save):
        slices, state, shared = operands[:xs], list(operands[xs : xs + carry]), list(operands[xs + carry :])
        ys = [xp.empty((length, *v.shape), dtypes.as_numpy(v.dtype)) for v in map(spec_of, body.outputs[carry:])]
        saved = [xp.empty((length, *s.shape), s.dtype) for s in state] if save else []
        run = compiled(body)
        for t in range(length - 1, -1, -1) if reverse else range(length):
            for all_, s in zip(saved, state):
                all_[t] = s
            out = run([x[t, ...] for x in slices] + state + shared)
            state = out[:carry]
            for y, value in zip(ys, out[carry:]):
                y[t] = value
        return *(state if length else map(xp.array, state)), *ys, *saved

    return {"cond": cond, "while": while_, "scan": scan}


def program(backend, graph):
    """The compiled form of a body, made once for each way of computing (`mlkit.config.set_exact`)."""
    found = graph.programs.get((backend, debug.EXACT))
    if found is None:
        found = graph.programs[backend, debug.EXACT] = backend.compile(graph, inner=True)
    return found
