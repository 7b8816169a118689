"""Products, sums and extremes of all sizes and layouts: what blocks, rests of blocks and partial sums could get wrong."""

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the extra `jit` is not installed")

from mlkit.core.dtypes import as_numpy
from mlkit.core.graph import Graph
from mlkit.core.spec import Spec
from mlkit.core.tensor import Value
from mlkit.primitives.linear import matmul
from mlkit.primitives.reduction import max_, min_, prod
from mlkit.primitives.shape import sum_, transpose
from tests.backends.jit.as_native import reason_of, results

SIZES = [
    (1, 1, 1),
    (1, 37, 5),
    (5, 1, 37),
    (6, 3, 16),
    (7, 8, 33),
    (13, 2, 127),
    (32, 32, 96),
    (12, 96, 32),
    (3, 17, 64),
    (19, 4, 2),
    (7, 257, 3),
    (2, 1000, 33),
    (1, 9216, 1),
]  # rows, inner, columns


@pytest.fixture(autouse=True)
def nothing_in_the_background(monkeypatch):
    monkeypatch.setattr("mlkit.backends.native.jit.loop.want", lambda code: None)


@pytest.fixture(autouse=True)
def tensors_of_any_size(monkeypatch):
    monkeypatch.setattr("mlkit.backends.native.jit.body.LARGEST", 1 << 20)


def drawn(rng, shape, dtype):
    return (rng.integers(-99, 99, shape) if "int" in dtype else rng.normal(size=shape)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_products(dtype):
    rng, graph, arrays = np.random.default_rng(0), Graph(), []
    for m, k, n in SIZES:
        shapes = [(m, k), (k, n), (n, k), (k, m), (2, 1, m, k), (3, k, n)]
        arrays += [drawn(rng, s, dtype) for s in shapes]
        a, b, turned_b, turned_a, many_a, many_b = given = [Value(Spec(s, dtype)) for s in shapes]
        graph.inputs += given
        other = graph.add(transpose, (turned_b,), {"perm": (1, 0)}), graph.add(transpose, (turned_a,), {"perm": (1, 0)})
        pairs = [(a, b), (a, other[0]), (other[1], b), (many_a, many_b), (a, many_b)]
        graph.outputs += [graph.add(matmul, pair, {}) for pair in pairs]
    assert not reason_of(graph)
    found, given = iter(results(graph, arrays)), iter(arrays)
    for _ in SIZES:
        a, b, turned_b, turned_a, many_a, many_b = (next(given) for _ in range(6))
        for x, y in [(a, b), (a, turned_b.T), (turned_a.T, b), (many_a, many_b), (a, many_b)]:
            got = next(found)
            if "int" in dtype:
                np.testing.assert_array_equal(got, x @ y)
            else:
                error = np.abs(got - x.astype("longdouble") @ y.astype("longdouble"))
                assert (error <= 4 * np.finfo(dtype).eps * min(np.sqrt(x.shape[-1]), 20) * (np.abs(x) @ np.abs(y))).all(), (
                    x.shape
                )


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_reductions(dtype):
    rng, shape = np.random.default_rng(1), (3, 4, 33)
    array = drawn(rng, shape, dtype) if dtype != "bool" else rng.random(shape) < 0.1
    if "float" in dtype:
        array[1, 2, 3] = np.nan
    cases = []
    for op in [max_, min_] if dtype == "bool" else [sum_, prod, max_, min_]:
        cases += [
            (op, axes, keep) for axes in [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)] for keep in (False, True)
        ]
    graph = Graph([Value(Spec(shape, dtype)), Value(Spec(shape[::-1], dtype))])
    view = graph.add(transpose, (graph.inputs[1],), {"perm": (2, 1, 0)})
    for op, axes, keep in cases:
        graph.outputs += [graph.add(op, (x,), dict(axes=axes, keepdims=keep)) for x in (graph.inputs[0], view)]
    found = results(graph, [array, np.ascontiguousarray(array.T)])
    numpy = {sum_: np.sum, prod: np.prod, max_: np.max, min_: np.min}
    for k, (op, axes, keep) in enumerate(cases):
        options = dict(dtype=as_numpy(dtype)) if op in (sum_, prod) else {}
        with np.errstate(all="ignore"):
            wanted = numpy[op](array, axis=axes, keepdims=keep, **options)
        for got in found[2 * k : 2 * k + 2]:
            what = f"{op.name} over {axes}"
            assert got.shape == np.shape(wanted), what
            np.testing.assert_allclose(got, wanted, rtol=1e-4 if dtype == "float32" else 1e-12, atol=1e-4, err_msg=what)
