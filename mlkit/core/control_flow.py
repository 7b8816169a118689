"""Control flow for backends that have none of their own: bodies are compiled one by one, and run from Python, as functions of other
libraries are."""

from collections.abc import Callable
from typing import Any

from mlkit.core import dtypes
from mlkit.core.graph import spec_of


def control_flow(backend: Any) -> dict[str, Callable[..., Any]]:
    """Kernels of the ops `cond`, `while`, `scan` and `foreign_call`, made of a backend's `compile` and its kernels for moving elements.

    Args:
        backend: The `mlkit.core.backend.Backend`.

    Returns:
        Dict of op name -> kernel.
    """

    def program(graph):
        if backend not in graph.programs:
            graph.programs[backend] = backend.compile(graph)
        return graph.programs[backend]

    def holds(condition):
        return bool(backend.to_numpy(condition))

    def cond(predicate, *operands, then, orelse):
        n = len(then.inputs)
        return tuple(program(then)(list(operands[:n])) if holds(predicate) else program(orelse)(list(operands[n:])))

    def while_(*operands, test, body, state):
        n = len(test.inputs) - state
        values, of_test, of_body = list(operands[:state]), list(operands[state : state + n]), list(operands[state + n :])
        while holds(program(test)(values + of_test)[0]):
            values = program(body)(values + of_body)
        return tuple(values)

    def scan(*operands, body, xs, carry, length, reverse, save):
        slices, state, shared = operands[:xs], list(operands[xs : xs + carry]), list(operands[xs + carry :])
        specs = [*map(spec_of, body.outputs[carry:]), *(map(spec_of, state) if save else ())]
        steps = []
        for t in reversed(range(length)) if reverse else range(length):
            out = program(body)([*(at(x, t) for x in slices), *state, *shared])
            steps.append([*out[carry:], *(state if save else ())])
            state = out[:carry]
        if reverse:
            steps.reverse()
        return *state, *(stacked([step[i] for step in steps], spec) for i, spec in enumerate(specs))

    def at(x, t):
        """Slice t along the first axis."""
        shape, kernels = x.shape, backend.kernels
        part = kernels["slice"](
            x, starts=(t, *(0 for _ in shape[1:])), stops=(t + 1, *shape[1:]), strides=tuple(1 for _ in shape)
        )
        return kernels["reshape"](part, shape=tuple(shape[1:]))

    def stacked(arrays, spec):
        """The arrays, of that spec, along a new first axis."""
        kernels = backend.kernels
        if not arrays:
            return kernels["full"](shape=(0, *spec.shape), value=0, dtype=spec.dtype)
        return kernels["concat"](*(kernels["reshape"](a, shape=(1, *spec.shape)) for a in arrays), axis=0)

    def foreign_call(*arrays, function):
        results = function.run(*map(backend.to_numpy, arrays))
        return tuple(backend.asarray(result, dtypes.name_of(result.dtype)) for result in results)

    return {"cond": cond, "while": while_, "scan": scan, "foreign_call": foreign_call}
