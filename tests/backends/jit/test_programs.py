"""Random programs of the fuzz as native code, against what they give op by op."""

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the extra `jit` is not installed")

from mlkit.backends.native.jit.places import DTYPES
from mlkit.core.graph import Graph
from mlkit.core.tensor import Tensor
from tests.backends.jit.as_native import combined, lowered, reason_of, results
from tests.fuzz import compare
from tests.fuzz.draw import draw

AT_ONCE = 8  # programs of one module


@pytest.fixture(autouse=True)
def nothing_in_the_background(monkeypatch):
    monkeypatch.setattr("mlkit.backends.native.jit.loop.want", lambda code: None)


def cases(seeds):
    """(seed, program, its eager run, graph, arrays) of those that native code takes."""
    for seed in seeds:
        program = draw(seed).without_slopes()
        graph, arrays = compare.graph_of(program)
        arrays = [np.asarray(a) for a in arrays]
        if any(str(a.dtype) not in DTYPES for a in arrays) or len(graph.inputs) != len(arrays):
            continue
        graph = lowered(Graph(graph.inputs, graph.calls, graph.outputs))
        if any(not hasattr(v, "spec") for v in graph.outputs) or reason_of(graph):
            continue
        yield program, compare.run("eager", program, [np.array(a) for a in program.inputs]), graph, arrays


def agree(program, eager, graph, found):
    """Raise Disagreement where native code gives something else, NaN that relu hides included."""
    named = [what.split()[0] for what, _ in eager.named()]
    tensors = [Tensor(a) for a in found]
    outputs = named.count("output")
    compare.agree(program, eager, compare.Run(tensors[:outputs], [], tensors[outputs:]), False)


@pytest.mark.parametrize("first", [0, pytest.param(100, marks=pytest.mark.slow), pytest.param(1100, marks=pytest.mark.slow)])
def test_programs(first):
    seeds = range(first, first + (100 if not first else 1000))
    given, compared = list(cases(seeds)), 0
    for start in range(0, len(given), AT_ONCE):
        part = given[start : start + AT_ONCE]
        found = iter(results(combined([g for *_, g, _ in part]), [a for *_, arrays in part for a in arrays]))
        for program, eager, graph, _ in part:
            agree(program, eager, graph, [next(found) for _ in graph.outputs])
            compared += 1
    assert compared > len(seeds) // 10
