"""Costs of calls: known counts. (That no op is forgotten is among the tests of traits.)"""

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.compiler.cost import call_bytes, call_flops, graph_flops
from mlkit.primitives.linear import matmul


def calls(fn, *arrays):
    return mlkit.function(fn).graph(*arrays).calls


def f(*shape):
    return np.ones(shape, "float32")


@pytest.mark.parametrize(
    "fn, arrays, flops, nbytes",
    [
        (lambda a, b: ops.matmul(a, b), (f(5, 2, 3), f(5, 3, 4)), 2 * 5 * 2 * 3 * 4, 4 * 5 * (6 + 12 + 8)),
        (lambda x, w: ops.conv(x, w), (f(1, 5, 5, 2), f(3, 3, 2, 7)), 2 * 9 * 9 * 2 * 7, 4 * (50 + 126 + 63)),
        (lambda x: ops.exp(x), (f(3, 4),), 12, 4 * 24),
        (lambda x: ops.sum(x, axis=1), (f(3, 4),), 12, 4 * (12 + 3)),
        (lambda x: ops.transpose(x), (f(3, 4),), 0, 4 * 24),
        (lambda x: x[1:2], (f(100, 4),), 0, 4 * 8),
        (lambda x: ops.cholesky(x), (f(6, 6),), 72, 4 * 72),
        (lambda x: ops.max_pool(x, 2), (f(1, 4, 4, 3),), 48, 4 * (48 + 12)),
    ],
)
def test_single_calls(fn, arrays, flops, nbytes):
    (call,) = calls(fn, *arrays)
    assert (call_flops(call), call_bytes(call)) == (flops, nbytes)


def test_a_fused_op_costs_what_it_stands_for():
    (call,) = [c for c in calls(lambda x: ops.softmax(x), f(2, 10)) if c.op.name == "softmax"]
    assert call_flops(call) == 2 * (10 + 10 + 10 + 10 + 10)  # maximum, difference, exp, sum, quotient


def test_a_loop_costs_its_turns():
    def loop(x):
        return mlkit.ops.scan(lambda carry, row: (ops.matmul(carry, x), row), x, x)[0]

    graph = mlkit.function(loop).graph(f(3, 3))
    assert graph_flops(graph, only=(matmul,)) == 3 * 2 * 27
    assert graph_flops(graph) >= 3 * 2 * 27


def test_gradients_of_a_convolution_cost_as_much_as_the_convolution():
    def gradients(x, w):
        return mlkit.grad(lambda x, w: ops.sum(ops.conv(x, w, strides=2)), argnums=(0, 1))(x, w)

    found = {c.op.name: call_flops(c) for c in calls(gradients, f(2, 9, 9, 3), f(3, 3, 3, 5)) if "conv" in c.op.name}
    assert len(set(found.values())) == 1
    assert {"conv_input", "conv_kernel"} <= set(found)
