"""Large pieces of memory: whose they are, and pages that come in before they are used."""

import numpy as np
import pytest

import mlkit
from mlkit.backends.native import memory_pages, threads
from mlkit.backends.native.arena import Arena
from mlkit.backends.native.cpu import CPU
from mlkit.compiler.liveness import most_alive
from mlkit.core.backend import get_backend

LARGE = memory_pages.LARGE


@pytest.mark.parametrize("shape", [(3, 5), (LARGE // 16, 8), (0, 4), ()])
def test_an_empty_array_is_its_own(shape):
    a = memory_pages.empty(shape, "float32")
    assert a.shape == shape
    assert a.dtype == "float32"
    assert memory_pages.borrowed([a], [0]) == []
    a[...] = 2.0
    assert a.sum() == 2.0 * a.size
    assert memory_pages.borrowed([a, a[...]], [0, 1]) == [1]


@pytest.mark.parametrize("size", [LARGE, 3 * LARGE + 8])
def test_expected_memory_gets_the_size_it_turns_out_to_need(size):
    arena = Arena(CPU)
    arena.expect(2 * LARGE)
    block = arena.at_least(size)
    assert block.nbytes == size
    assert not block.any()
    block[:] = 7
    assert arena.at_least(LARGE) is block  # it is large enough
    assert arena.current() is block


def test_small_memory_is_not_expected():
    arena = Arena(CPU)
    arena.expect(1024)
    assert arena.at_least(4096).nbytes == 4096


@pytest.mark.parametrize("size", [0, 1, 1000, 4096])
def test_parts_cover_the_whole_once(size):
    seen = np.zeros(size, int)

    def count(start, stop):
        assert start % 32 == 0
        seen[start:stop] += 1

    threads.in_parts(count, size, least=100, step=32)
    assert (seen == 1).all()


@pytest.mark.parametrize("value, dtype", [(0, "float32"), (-3, "int64"), (True, "bool"), (1.5, "bfloat16")])
def test_large_tensors_of_one_number(value, dtype):
    a = get_backend("native").kernels["full"](shape=(LARGE // 4, 3), value=value, dtype=dtype)
    assert a.shape == (LARGE // 4, 3)
    assert mlkit.core.dtypes.name_of(a.dtype) == dtype
    assert (a == a.dtype.type(value)).all()


def test_a_program_writes_into_a_large_variable_in_place(all_passes):
    v = mlkit.Variable("zeros", shape=(LARGE // 4,), dtype="float32")
    add = mlkit.function(lambda x: v.assign_add(x).value[0])
    one = np.ones(LARGE // 4, "float32")
    add(one)
    where = v.value.data.ctypes.data
    assert float(add(one)) == 2.0
    assert v.value.data.ctypes.data == where


def test_what_is_alive_together_is_about_the_arena():
    def f(x):
        a = mlkit.ops.exp(x)
        b = mlkit.ops.reshape(mlkit.ops.sin(a), (-1,))  # a view takes no memory
        return mlkit.ops.sum(a) + mlkit.ops.sum(b)

    traced = mlkit.function(f)
    x = np.ones((64, 1024), "float32")
    graph, plan = traced.graph(x), traced.program(x).plan
    assert 2 * x.nbytes <= most_alive(graph) <= 2 * x.nbytes + 1024
    assert plan.arena_bytes <= most_alive(graph) + 4096


def test_only_programs_that_are_run_get_their_memory_ahead(monkeypatch):
    expected = []
    monkeypatch.setattr(Arena, "expect", lambda self, nbytes: expected.append(nbytes))
    traced, x = mlkit.function(lambda x: mlkit.ops.sum(mlkit.ops.exp(x))), np.ones((64, 1024), "float32")
    traced.memory_report(x)
    assert not expected
    traced(x[:32])
    assert expected == [x.nbytes // 2]
