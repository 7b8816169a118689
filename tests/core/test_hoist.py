"""What depends on unchanging variables only is computed once; scales and shifts by channel move into weights and biases."""

import numpy as np
import pytest

import mlkit
from mlkit import Variable, layers, ops
from mlkit.compiler.passes.fold_scales import fold_scales
from mlkit.compiler.passes.hoist import hoist
from mlkit.core import debug
from tests.core.programs import array

pytestmark = [pytest.mark.usefixtures("all_passes"), pytest.mark.native("a pass"), pytest.mark.compiled("a pass")]


def program_of(f):
    return next(iter(f.programs.values()))[0].run


def names(graph):
    return [c.op.name for c in graph.calls]


def steps(graph):
    """The names of all ops, those within chains among them."""
    chains = (call.params.get("chain") for call in graph.calls)
    return names(graph) + [op.name for chain in chains if chain is not None for op, _, _ in chain.steps]


class TestHoist:
    def test_only_what_depends_on_unchanging_variables(self):
        v, moving = Variable(array(4)), Variable(array(4))

        def f(x):
            moving.assign(moving + 1.0)
            return x * ops.exp(v) + ops.exp(moving)

        graph = mlkit.function(f).graph(array(3, 4))
        first, rest = hoist(graph)
        assert names(first) == ["exp"]
        assert "exp" in names(rest)
        assert len(rest.inputs) == len(graph.inputs) + 1
        first.check(), rest.check()

    def test_views_and_large_results_stay(self):
        v = Variable(array(4, 4))
        f = mlkit.function(lambda x: x + ops.reshape(v, (16,)) + ops.sum(ops.broadcast_to(v, (4096, 4, 4)) * 1.0))
        assert hoist(f.graph(array(16)))[0] is None

    def test_results_follow_the_variables(self):
        v = Variable(array(4))
        f = mlkit.function(lambda x: x * ops.exp(v))
        step = mlkit.function(lambda: v.assign(v * 2.0))
        x = array(3, 4)
        for _ in range(3):
            np.testing.assert_allclose(f(x), x * np.exp(v.numpy()), rtol=1e-6)
            np.testing.assert_allclose(f(x), x * np.exp(v.numpy()), rtol=1e-6)
            step()  # writes where the old value lay
        assert program_of(f).prologue is not None

    def test_programs_share_results(self):
        v = Variable(array(4))
        f = mlkit.function(lambda x: x * ops.exp(v))
        f(array(3, 4)), f(array(5, 4))
        first, second = (p[0].run.prologue._current for p in f.programs.values())
        assert first is second

    def test_switch(self, monkeypatch):
        monkeypatch.setattr(debug, "PASSES_OFF", {"hoist"})
        v = Variable(array(4))
        f = mlkit.function(lambda x: x * ops.exp(v))
        f(array(3, 4))
        assert program_of(f).prologue is None


class TestFold:
    @pytest.mark.parametrize("bias", [False, True])
    @pytest.mark.parametrize(
        "make",
        [
            lambda b: layers.Conv2D(6, 3, padding="same", use_bias=b),
            lambda b: layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=b),
            lambda b: layers.Conv2D(6, 3, groups=3, use_bias=b),
            lambda b: layers.Conv2D(6, 3, use_bias=b, data_format="channels_first"),
        ],
    )
    def test_normalization_after_convolution(self, make, bias):
        layer = make(bias)
        axis = 1 if getattr(layer, "data_format", None) == "channels_first" else -1
        net = mlkit.Sequential([mlkit.Input((6, 6, 6)), layer, layers.BatchNormalization(axis=axis), layers.ReLU()])
        for i, w in enumerate(net.weights):
            w.assign(np.abs(array(*w.shape)) + 0.1 * i)
        f, x = mlkit.function(lambda x: net(x, training=False)), array(2, 6, 6, 6)
        np.testing.assert_allclose(f(x), net(x), rtol=1e-4, atol=1e-4)
        if axis == -1:
            assert [n for n in names(program_of(f).plan.graph) if n != "reshape"] == ["conv_bias_act"]

    def test_normalization_after_dense(self):
        net = mlkit.Sequential([mlkit.Input((6,)), layers.Dense(5), layers.BatchNormalization()])
        f, x = mlkit.function(lambda x: net(x, training=False)), array(3, 6)
        np.testing.assert_allclose(f(x), net(x), rtol=1e-5, atol=1e-5)
        assert [n for n in names(program_of(f).plan.graph) if n != "reshape"] == ["matmul_bias_act"]

    @pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
    @pytest.mark.parametrize("center", [False, True])
    @pytest.mark.parametrize(
        "make",
        [
            lambda **p: layers.Conv2D(6, 3, **p),
            lambda **p: layers.Conv2D(6, 3, use_bias=False, **p),
            lambda **p: layers.DepthwiseConv2D(3, **p),
            lambda **p: layers.Dense(6, **p),
        ],
    )
    def test_normalization_of_half_floats(self, make, center, policy):
        """No further from float32 than without the pass."""

        def net(dtype):
            parts = [make(dtype=dtype), layers.BatchNormalization(center=center, dtype=dtype), layers.ReLU(dtype=dtype)]
            made = mlkit.Sequential([mlkit.Input((6, 6, 6)), *parts])
            for i, w in enumerate(made.weights):
                w.assign(np.abs(array(*w.shape, seed=i)) + 0.1)
            return made

        half, wide, x = net(policy), net("float32"), array(2, 6, 6, 6)
        for a, b in zip(wide.weights, half.weights):
            a.assign(b.numpy().astype("float32"))
        f, exact = mlkit.function(lambda x: half(x, training=False)), wide(x).numpy()
        error = np.abs(f(x).numpy().astype("float32") - exact).max()
        assert error <= max(np.abs(half(x).numpy().astype("float32") - exact).max() * 1.2, 2**-7 * np.abs(exact).max())
        left = steps(program_of(f).plan.graph)
        assert not {"mul", "add"} & set(left), left

    def test_a_half_float_product_that_is_needed_elsewhere_stays(self):
        w, s = Variable(array(4, 4)), Variable(array(4))

        def f(x):
            y = ops.matmul(x, ops.cast(w, "bfloat16"))
            return ops.cast(ops.cast(y, "float32") * s, "bfloat16"), y

        graph = mlkit.function(f).graph(ops.cast(array(3, 4), "bfloat16"))
        assert names(fold_scales(graph)) == names(graph)

    def test_nothing_moves_where_others_need_the_product(self):
        w, s = Variable(array(4, 4)), Variable(array(4))

        def f(x):
            y = ops.matmul(x, w)
            return y * s, y

        graph = mlkit.function(f).graph(array(3, 4))
        assert names(fold_scales(graph)) == names(graph)

    def test_what_changes_is_left_alone(self):
        w, s = Variable(array(4, 4)), Variable(array(4))

        def f(x):
            y = ops.matmul(x, w) * s
            w.assign(w * 2.0)
            return y

        graph = mlkit.function(f).graph(array(3, 4))
        assert names(fold_scales(graph)) == names(graph)
