"""Native code of every op that has some, against the op itself: the samples of all ops, and numbers where shortcuts would show."""

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the extra `jit` is not installed")

from mlkit.backends.native.jit.places import DTYPES
from mlkit.core.function import function
from mlkit.core.tensor import Tensor
from tests.backends.jit.as_native import combined, lowered, reason_of, results
from tests.ops.checks import call_of, host
from tests.ops.sample import gather

AT_ONCE = 150  # calls of one module
LONGEST = 12  # calls of a row: what takes more takes long to compile, and is made of the others
ROWS = [r for r in gather("SAMPLES") if not r.option("eager_only", False)]


@pytest.fixture(autouse=True)
def nothing_in_the_background(monkeypatch):
    monkeypatch.setattr("mlkit.backends.native.jit.loop.want", lambda code: None)


def cases(rows, dtype):
    """(row, call, graph) for each row that native code takes."""
    for row in rows:
        call = call_of(row, dtype)
        tensors = call.tensors()
        if dtype not in row.option("dtype", (dtype,)) or not tensors or any(t.dtype not in DTYPES for t in tensors):
            continue
        graph = lowered(function(call.flat_call).graph(*tensors))
        if len(graph.calls) <= LONGEST and graph.outputs and len(graph.inputs) == len(tensors) and not reason_of(graph):
            yield row, call, graph


def parts(cases):
    """Lists of cases that make one module each."""
    part, calls = [], 0
    for case in cases:
        part.append(case)
        calls += len(case[2].calls)
        if calls > AT_ONCE:
            yield part
            part, calls = [], 0
    if part:
        yield part


def compare(rows, dtype):
    """The number of rows that were compared."""
    number, tolerance = 0, 2e-6 if dtype == "float32" else 1e-12
    for part in parts(cases(rows, dtype)):
        number += len(part)
        found = iter(results(combined([g for *_, g in part]), [a for _, call, _ in part for a in call.arrays]))
        for row, call, _ in part:
            atol = row.option("atol", tolerance)
            for wanted in (t for t in call.eager if type(t) is Tensor):
                got = next(found)
                assert str(got.dtype) == wanted.dtype, row
                np.testing.assert_allclose(got, host(wanted), rtol=atol, atol=atol, err_msg=repr(row))
    return number


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_of_ops(dtype):
    assert compare([r for r in ROWS if r.op], dtype) > 180


@pytest.mark.slow
@pytest.mark.parametrize("share", range(8))
def test_samples_of_functions(share):
    assert compare([r for r in ROWS if not r.op][share::8], "float32") > 40
