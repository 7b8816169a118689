"""The boundary between ops and backends is complete: no op without kernel, none without sample."""

import inspect

import pytest

import mlkit.ops
from mlkit.core.backend import backends, get_backend
from mlkit.primitives.catalogue import OPS
from tests.ops.sample import gather

ROWS = gather("SAMPLES")

BY_PUBLIC = {"cond": "cond", "scan": "scan", "while": "while_loop"}  # parameters of these ops are graphs, made by tracing


@pytest.mark.parametrize("backend", backends())
def test_every_op_has_a_kernel_or_a_fallback(backend):
    kernels = get_backend(backend).kernels
    missing = [name for name, op in OPS.items() if name not in kernels and op.fallback is None]
    assert not missing, f"{backend} has no kernel for {missing}"


@pytest.mark.parametrize("backend", backends())
def test_every_kernel_is_that_of_an_op(backend):
    unknown = [name for name in get_backend(backend).kernels if name not in OPS]
    assert not unknown, f"{backend} has kernels of no op: {unknown}"


def test_every_op_has_a_sample():
    sampled = {r.name for r in ROWS if r.op or r.fn is not None}
    sampled |= {op for op, public in BY_PUBLIC.items() if public in {r.name for r in ROWS}}
    assert not sorted(set(OPS) - sampled)


def test_every_public_function_has_a_sample():
    sampled = {r.name.split(".")[-1] for r in ROWS if not r.op}
    public = {n for n in mlkit.ops.__all__ if inspect.isfunction(getattr(mlkit.ops, n))}
    assert not sorted(public - sampled)
