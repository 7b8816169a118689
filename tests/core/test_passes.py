"""Each pass does what it says and keeps the results; all of them together do, and so do all but any one."""

import sys

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.compiler.contract import KernelTarget, Target
from mlkit.compiler.passes import PASSES, optimize
from mlkit.compiler.passes.cse import cse
from mlkit.compiler.passes.fold import fold
from mlkit.compiler.passes.fuse_products import fuse_products
from mlkit.compiler.passes.keep_wide import keep_wide
from mlkit.compiler.passes.lower import lower
from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.simplify import RULES, simplify
from mlkit.core import debug, tree
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.primitives import elementwise as el
from mlkit.primitives import movement as mv
from mlkit.primitives import shape as sh
from mlkit.primitives.catalogue import OPS
from mlkit.primitives.fused import batch_norm, gelu, relu, softmax
from tests.core.programs import Mlp, array, control_flow, convolution_step, elementwise

pytestmark = [pytest.mark.usefixtures("all_passes"), pytest.mark.native("passes"), pytest.mark.compiled("passes")]


@pytest.fixture(autouse=True)
def checked_graphs(monkeypatch):
    monkeypatch.setattr(debug, "CHECK_GRAPHS", True)


@pytest.fixture
def small_chains(monkeypatch):
    """Chains of however small arrays, in blocks of a few elements."""
    from mlkit.backends.native import tiled_chain

    monkeypatch.setattr(sys.modules["mlkit.compiler.passes.fuse_chains"], "SMALLEST", 0)
    monkeypatch.setattr(tiled_chain, "BLOCK", 7)


def graph_of(fn, *args):
    return mlkit.function(fn).graph(*args)


def names(graph):
    return [c.op.name for c in graph.calls]


def same_results(before, after, *args):
    for a, b in zip(before.run(*args), after.run(*args)):
        np.testing.assert_array_equal(a, b)
        assert a.spec == b.spec


def simplified(fn, *args):
    """Names of the ops left by simplify and prune; the results stay the same."""
    before = graph_of(fn, *args)
    after = prune(simplify(before)).check()
    same_results(before, after, *args)
    return names(after)


X, Y, N = array(2, 3), array(2, 3, seed=1), ops.convert_to_tensor(np.arange(6, dtype="int32").reshape(2, 3))


def full(value, dtype="float32", shape=(2, 3)):
    return mv.full(shape=shape, value=value, dtype=dtype)


class TestSimplify:
    @pytest.mark.parametrize(
        "fn,left",
        [
            (lambda x: x + 0, []),
            (lambda x: 0 + x, []),
            (lambda x: x * 1.0, []),
            (lambda x: x - 0.0, []),
            (lambda x: x / 1.0, []),
            (lambda x: x**1, []),
            (lambda x: x**2, ["mul"]),
            (lambda x: abs(x) ** 0.5, ["abs", "sqrt"]),
            (lambda x: ops.negative(-x), []),
            (lambda x: x + -Y, ["sub"]),
            (lambda x: x - -x, ["add"]),
            (lambda x: -x + exp(x), ["exp", "sub"]),
            (lambda x: x * full(1), []),
            (lambda x: x + full(0), []),
            (lambda x: x + full(2), ["add"]),
            (lambda x: el.where(x > 0, x, full(0)), ["less", "where"]),
            (lambda x: el.where(x > 0, x, x), []),
            (lambda x: el.where(full(True, "bool"), x, 0.0), []),
            (lambda x: el.where(full(False, "bool"), x, 2.0), ["full"]),
            (lambda x: el.maximum(x, x), []),
            (lambda x: x * sh.broadcast_to(x[0], shape=(2, 3)), ["slice", "reshape", "mul"]),
            (lambda x: el.stop_gradient(x) * 2, ["mul"]),
            (lambda x: relu(relu(x)), ["relu"]),
            (lambda x: el.cast(el.cast(x, dtype="float64"), dtype="float32"), []),
            (lambda x: el.cast(el.cast(x, dtype="float16"), dtype="float32"), ["cast", "cast"]),
            (lambda x: el.cast(el.cast(x, dtype="float64"), dtype="float16"), ["cast"]),
            (lambda x: sh.reshape(sh.reshape(x, shape=(6,)), shape=(3, 2)), ["reshape"]),
            (lambda x: sh.reshape(sh.reshape(x, shape=(6,)), shape=(2, 3)), []),
            (lambda x: sh.transpose(sh.transpose(x, perm=(1, 0)), perm=(1, 0)), []),
            (lambda x: sh.transpose(sh.reshape(x, shape=(2, 1, 3)), perm=(1, 0, 2)), ["reshape", "transpose"]),
            (lambda x: mv.flip(mv.flip(x, axes=(0,)), axes=(0,)), []),
            (lambda x: sh.broadcast_to(x, shape=(2, 3)), []),
            (lambda x: mv.slice_(x, starts=(0, 0), stops=(2, 3), strides=(1, 1)), []),
            (lambda x: mv.slice_(x, starts=(0, 0), stops=(2, 2), strides=(1, 1)), ["slice"]),
            (lambda x: mv.pad(x, value=0.0, low=(0, 0), high=(0, 0), interior=(0, 0)), []),
            (lambda x: mv.concat(x, axis=0), []),
            (lambda x: sh.sum_(sh.reshape(x, shape=(2, 1, 3)), axes=(1,), keepdims=False), []),
            (lambda x: sh.sum_(x, axes=(), keepdims=False), []),
            (lambda x: sh.sum_(x, axes=(0,), keepdims=False), ["sum"]),
            (lambda x: el.cast(full(2, "int32"), dtype="float32") * x, ["mul"]),
            (lambda x: sh.reshape(full(2, shape=(6,)), shape=(2, 3)) * x, ["mul"]),
            (lambda x: -full(1) * x, ["mul"]),
        ],
    )
    def test_floats(self, fn, left):
        assert simplified(fn, X) == left

    @pytest.mark.parametrize("scale,last", [(1.25, ["mul", "relu_grad"]), (0.5, ["masked_scale", "relu_grad"])])
    def test_gradient_of_dropped(self, scale, last):
        keep = ops.convert_to_tensor(np.array([[True, False, True], [False, True, True]]))

        def dropped(x, g):
            drop = lambda t: OPS["masked_scale"](t, keep, scale=scale)
            y = relu(x)
            return drop(y), OPS["relu_grad"](drop(g), y)

        assert simplified(dropped, X, Y) == ["relu", "masked_scale", *last]

    @pytest.mark.parametrize(
        "fn,left",
        [
            (lambda n: el.floor(n), []),
            (lambda n: ~~n, []),
            (lambda n: n * full(1, "int32"), []),
            (lambda n: el.cast(el.cast(n, dtype="int64"), dtype="int32"), []),
            (lambda n: el.cast(el.cast(n, dtype="float32"), dtype="int32"), ["cast", "cast"]),
            (lambda n: el.cast(el.cast(n, dtype="float64"), dtype="float32"), ["cast"]),
            (lambda n: el.cast(full(2.5), dtype="int32") + n, ["full", "cast", "add"]),
        ],
    )
    def test_integers(self, fn, left):
        assert simplified(fn, N) == left

    def test_shapes_are_not_lost(self):
        row = X[0]
        assert simplified(lambda r: r + full(0), row) == ["full", "add"]
        assert simplified(lambda r: sh.broadcast_to(r, shape=(2, 3)) * 1.0, row) == ["broadcast_to"]
        assert simplified(lambda r: sh.broadcast_to(r, shape=(2, 3)) * sh.broadcast_to(r, shape=(2, 3)), row)[-1] == "mul"

    def test_weak_scalars_keep_the_dtype(self):
        half = ops.cast(X, "float16")
        assert simplified(lambda x: x * full(3, "float16"), half) == ["mul"]
        assert simplified(lambda c: el.where(c, full(1, "float64"), full(0, "float64")), X > 0)[-1] == "where"

    def test_two_numbers_to_choose_from(self):
        fn = lambda c: el.where(c, full(1), full(0))
        assert simplified(fn, X > 0) == ["where"]
        assert simplified(lambda: el.where(ops.array([True]), full(1, shape=(1,)), 0.0)) == ["where"]
        np.testing.assert_array_equal(mlkit.function(fn)(X > 0), X.numpy() > 0)

    def test_rules_are_for_ops_there_are(self):
        assert all(any(map(takes, OPS.values())) for takes, _ in RULES)


def exp(x):
    return el.exp(x)


def test_a_target_that_says_nothing_gets_ops_as_they_are():
    """Without fused ops of passes, chains and layouts: what is left are the ops of the graph, tidied."""
    x, w, b = (ops.convert_to_tensor(np.ones(shape, "float32")) for shape in ((256, 64), (64, 64), (64,)))
    before = graph_of(lambda x, w, b: ops.silu(ops.tanh(ops.relu(ops.matmul(x, w) + b)) * 2.0) + (1.0 + el.exp(b)), x, w, b)
    after = optimize(before, Target()).check()
    assert names(after) == names(before)
    assert optimize(after, state.backend.target) is not after


def test_prune():
    before = graph_of(lambda x: (x * 2, exp(x))[0], X)
    assert names(before) == ["mul", "exp"]
    assert names(prune(before)) == ["mul"]
    same_results(before, prune(before), X)


class TestCse:
    def test_repeated_calls(self):
        before = graph_of(lambda x: exp(x) * exp(x) + sh.sum_(exp(x), axes=(0,), keepdims=False), X)
        after = prune(cse(before))
        assert names(after) == ["exp", "mul", "sum", "add"]
        same_results(before, after, X)

    def test_numbers_of_different_kind_or_sign_differ(self):
        before = graph_of(lambda x, n: (x * 0.0, x * -0.0, n + 1, el.cast(n, dtype="float32") + 1), X, N)
        assert len(cse(before).calls) == len(before.calls)

    def test_parameters_count(self):
        before = graph_of(lambda x: (ops.sum(x, 0), ops.sum(x, 1), ops.sum(x, 1, keepdims=True), ops.sum(x, 1)), X)
        assert len(cse(before).calls) == 3

    def test_several_outputs(self):
        before = graph_of(lambda x: (ops.moments(x, 0), ops.linalg.qr(x), ops.linalg.qr(x)), X)
        assert names(cse(before)).count("qr") == 1


def test_fold():
    before = graph_of(lambda x: x + el.exp(el.cast(mv.iota(size=3, dtype="int32"), dtype="float32")) * 2, X)
    after = fold(before, KernelTarget(state.kernels))
    assert names(after) == ["add"]
    same_results(before, after, X)
    large = graph_of(lambda x: x + mv.iota(size=100_000, dtype="float32"), array(100_000))
    assert len(fold(large, KernelTarget(state.kernels)).calls) == 2


class TestLower:
    def test_absent_fused_ops_become_their_fallback(self):
        before = graph_of(lambda x: gelu(softmax(x, axis=1), approximate=True), X)
        kernels = {k: v for k, v in state.kernels.items() if OPS[k].fallback is None}
        after = lower(before, KernelTarget(kernels)).check()
        assert not {"gelu", "softmax", "relu"} & set(names(after))
        for a, b in zip(before.run(X), after.run(X)):
            np.testing.assert_allclose(a, b, rtol=1e-5)

    def test_places_are_kept(self):
        class Doubler(mlkit.layers.Layer):
            def call(self, x):
                return softmax(x, axis=1)

        layer = Doubler(name="doubler")
        layer(X)
        before = graph_of(lambda x: layer(x), X)
        after = lower(before, KernelTarget({k: v for k, v in state.kernels.items() if k != "softmax"}))
        assert {c.place for c in before.calls} == {c.place for c in after.calls} == {("doubler",)}

    def test_nothing_to_do(self):
        before = graph_of(lambda x: softmax(x, axis=1), X)
        assert lower(before, KernelTarget(state.kernels)) is before


class TestFuseProducts:
    def fused(self, fn, *args):
        before = graph_of(fn, *args)
        after = prune(fuse_products(simplify(before), KernelTarget(state.kernels))).check()
        for a, b in zip(before.run(*args), after.run(*args)):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        return [(c.op.name, c.params.get("act")) for c in after.calls]

    w, b = array(3, 4), array(4)

    @pytest.mark.parametrize(
        "act,name",
        [
            (relu, "relu"),
            (el.tanh, "tanh"),
            (el.sigmoid, "sigmoid"),
            (ops.relu6, "relu6"),
            (ops.silu, "silu"),
            (ops.gelu, "gelu"),
        ],
    )
    def test_activations(self, act, name):
        assert self.fused(lambda x: act(ops.matmul(x, self.w) + self.b), X)[-1][1].startswith(name)
        assert len(self.fused(lambda x: act(ops.matmul(x, self.w) + self.b), X)) == 1

    def test_parts(self):
        assert self.fused(lambda x: self.b + ops.matmul(x, self.w), X) == [("matmul_bias_act", None)]
        assert self.fused(lambda x: relu(ops.matmul(x, self.w)), X) == [("matmul_bias_act", "relu")]

    def test_convolution(self):
        k = array(3, 3, 2, 4)
        assert self.fused(lambda x: relu(ops.conv(x, k) + self.b), array(1, 5, 5, 2)) == [("conv_bias_act", "relu")]

    def test_not_where_the_product_is_needed_too(self):
        def both(x):
            y = ops.matmul(x, self.w)
            return y, relu(y)

        assert self.fused(both, X) == [("matmul", None), ("relu", None)]

    def test_not_a_bias(self):
        assert self.fused(lambda x: ops.matmul(x, self.w) + array(2, 4), X) == [("matmul", None), ("add", None)]


class TestKeepWide:
    def kept(self, fn, dtype="bfloat16"):
        args = [ops.cast(array(*shape), dtype) for shape in ((2, 3), (3, 4))]
        before = graph_of(fn, *args)
        after = prune(keep_wide(before, KernelTarget(state.kernels))).check()
        wanted = fn(*(ops.cast(a, "float32") for a in args))
        for a, b in zip(after.run(*args), wanted if type(wanted) is tuple else (wanted,)):
            tolerance = 1e-6 if after.calls[0].op.name.endswith("_wide") else 1e-1
            np.testing.assert_allclose(ops.cast(a, "float32"), ops.cast(b, "float32"), rtol=tolerance)
        return names(after)

    def test_casts_behind_products_and_sums(self):
        single = lambda x: el.cast(x, dtype="float32")
        assert self.kept(lambda x, w: single(ops.matmul(x, w))) == ["matmul_wide"]
        assert self.kept(lambda x, w: single(sh.reshape(ops.matmul(x, w), shape=(8,)))) == ["matmul_wide", "reshape"]
        assert self.kept(lambda x, w: single(sh.sum_(w, axes=(0,), keepdims=False))) == ["sum_wide"]

    def test_not_where_the_rounded_result_is_used(self):
        def both(x, w):
            y = ops.matmul(x, w)
            return el.cast(y, dtype="float32"), y

        assert self.kept(both) == ["matmul", "cast"]
        assert self.kept(lambda x, w: el.cast(ops.matmul(x, w), dtype="float32"), "float16") == ["matmul", "cast"]


class TestFuseChains:
    def chains(self, fn, *args):
        before = graph_of(fn, *args)
        after = optimize(before, state.backend.target).check()
        return [str(c.params["chain"]).count("=") for c in after.calls if c.op.name == "fused_elementwise"], names(after)

    def test_one_chain_of_several_outputs(self, small_chains):
        sizes, left = self.chains(lambda x, y: (exp(x) * y, exp(x) * y + 1), X, Y)
        assert sizes == [3]
        assert left == ["fused_elementwise"]

    def test_a_chain_does_not_wait_for_itself(self, small_chains):
        """exp -> sum -> mul: the last may not join the first, for the sum between needs it."""
        _sizes, left = self.chains(lambda x: (exp(x) + 1) * ops.sum(exp(x) + 1, axis=0, keepdims=True), X)
        assert left[0] == "fused_elementwise"
        assert left[1:] == ["sum", "mul"]

    def test_cheap_part_joins_late(self, small_chains):
        """m * b is ready early, but belongs to the chain of the gradient."""
        sizes, _left = self.chains(lambda m, x: m * 0.9 + ops.matmul(x, ops.transpose(x)) * 0.1, array(2, 2), X)
        assert sizes == [3]

    @pytest.mark.cpu("on a GPU each launch that is saved counts")
    def test_small_ones_are_left_alone(self):
        assert self.chains(lambda x, y: exp(x) * y, X, Y) == ([], ["exp", "mul"])

    @pytest.mark.parametrize(
        "shapes",
        [((6, 5), (5,), (6, 1)), ((2, 3, 4), (3, 1), (4,)), ((7,), (1,), ()), ((3, 50), (3, 1), (50,)), ((0, 3), (3,), ())],
    )
    def test_broadcasting_and_blocks(self, small_chains, shapes):
        args = [array(*s, seed=i) for i, s in enumerate(shapes)]
        fn = lambda x, y, z: (ops.where(x * y > z, x - y, ops.exp(z * x)), ops.cast(x + z, "int32") + 1)
        for a, b in zip(fn(*args), mlkit.function(fn)(*args)):
            np.testing.assert_allclose(a, b, rtol=1e-6)

    def test_bfloat16_is_rounded_once(self, small_chains):
        x, v = ops.cast(array(6, 5), "bfloat16"), ops.cast(array(5, seed=1), "bfloat16")
        fn = lambda x, v: (ops.exp(ops.tanh(x * v)) * 3 + v, x * v > 0)
        wanted, above = fn(ops.cast(x, "float32"), ops.cast(v, "float32"))
        found, mask = mlkit.function(fn)(x, v)
        assert found.dtype == "bfloat16"
        assert bool(ops.all(ops.equal(mask, above)))
        np.testing.assert_allclose(found.numpy().astype("float32"), wanted, rtol=2**-8)

    def test_arrays_that_are_not_dense(self, small_chains):
        x = ops.convert_to_tensor(np.arange(24, dtype="float32").reshape(4, 6).T)
        fn = lambda x: ops.exp(-x) * 2 + x
        np.testing.assert_allclose(mlkit.function(fn)(x), fn(x), rtol=1e-6)


# ---- all together --------------------------------------------------------------------------------------------------------

PROGRAMS = dict(convolution=convolution_step, control=control_flow, elementwise=elementwise)


def compare(eager, staged):
    for a, b in zip(tree.flatten(eager), tree.flatten(staged)):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("off", [None, *PASSES, "inplace"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_all_but_one(name, off, monkeypatch, small_chains):
    monkeypatch.setattr(debug, "PASSES_OFF", {off})
    fn, args = PROGRAMS[name]()
    compare(fn(*args), mlkit.function(fn)(*args))


@pytest.mark.parametrize("off", [None, *PASSES, "inplace"])
def test_training_without_one_pass(off, monkeypatch, small_chains):
    monkeypatch.setattr(debug, "PASSES_OFF", {off})
    eager, staged = Mlp(), Mlp()
    step = mlkit.function(staged)
    for _ in range(4):
        compare(eager(eager.x, eager.y), step(staged.x, staged.y))
    compare(eager.state(), staged.state())


def test_debug_output(monkeypatch, capsys):
    monkeypatch.setattr(debug, "LEVEL", 4)
    mlkit.function(lambda x: exp(x) + 0)(X)
    text = capsys.readouterr().err
    for part in ("traced", "after simplify", "float32[2, 3] = exp(%0)", "source of the plan", "def run(inputs)"):
        assert part in text


def test_lists_of_graphs_hold_tensors_or_constants():
    graph = graph_of(lambda x: (ops.ones((2,)) * 2, x), X)
    outs = mlkit.function(lambda x: (ops.ones((2,)) * 2, x))(X)
    assert type(outs[0]) is Tensor
    assert outs[0].tolist() == [2, 2]
    assert len(graph.outputs) == 2


class TestResiduals:
    w, b, r = array(3, 4), array(4), mlkit.Variable(array(2, 4))

    def names(self, fn):
        found = optimize(mlkit.function(fn).graph(X), state.backend.target)
        np.testing.assert_allclose(mlkit.function(fn)(X), fn(X), rtol=1e-5, atol=1e-6)
        return [(c.op.name, c.params.get("act"), len(c.args)) for c in found.calls]

    def test_sum_and_activation(self):
        assert self.names(lambda x: relu(ops.matmul(x, self.w) + self.b + self.r)) == [("matmul_bias_act", "relu", 4)]
        assert self.names(lambda x: self.r + ops.matmul(x, self.w)) == [("matmul_bias_act", None, 4)]

    def test_two_products(self):
        found = self.names(lambda x: ops.matmul(x, self.w) + ops.matmul(x, self.w * 2.0))
        assert sorted(n for n, *_ in found if n != "mul") == ["matmul", "matmul_bias_act"]

    def test_not_after_an_activation(self):
        assert self.names(lambda x: relu(ops.matmul(x, self.w)) + self.r)[-1][0] == "add"


class TestFuseNormRelu:
    params = dict(axes=(0,), epsilon=0.1)

    def step(self, x, offset, g, biased=False):
        """y and the gradients of x and offset, or of a bias before the normalization."""
        bias = ops.zeros((16,))
        with mlkit.GradientTape() as tape:
            for t in (x, offset, bias):
                tape.watch(t)
            y, mean, _variance = batch_norm(x + bias if biased else x, ops.ones((16,)), offset, **self.params)
            y = relu(y)
            loss = ops.sum(y * g)
        return y, mean, *tape.gradient(loss, [bias if biased else x, offset])

    args = array(24, 16), array(16, seed=1), array(24, 16, seed=2)

    def test_both_ways(self):
        found = names(optimize(mlkit.function(self.step).graph(*self.args), state.backend.target))
        assert "batch_norm_relu" in found
        assert "batch_norm_relu_grad" in found
        assert not {"batch_norm", "batch_norm_grad", "relu", "relu_grad"} & set(found)
        compare(self.step(*self.args), mlkit.function(self.step)(*self.args))

    def test_not_where_what_lies_between_is_needed(self):
        def both(x):
            y, *_ = batch_norm(x, None, None, **self.params)
            return y, relu(y)

        assert "batch_norm" in names(optimize(mlkit.function(both).graph(self.args[0]), state.backend.target))
        compare(both(self.args[0]), mlkit.function(both)(self.args[0]))

    def test_a_bias_before_a_normalization_has_no_gradient(self):
        step = lambda *args: self.step(*args, biased=True)
        found = optimize(mlkit.function(step).graph(*self.args), state.backend.target)
        assert [c.op.name for c in found.calls if c.outs[0] is found.outputs[2]] == ["full"]
        compare(step(*self.args), mlkit.function(step)(*self.args))


class TestBlockChannels:
    """Inverted residual blocks with squeeze and excitation, as MobileNetV3 has them, train and predict the same numbers."""

    def net(self):
        layers = mlkit.layers
        inputs = mlkit.Input((16, 16, 3))
        x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(16, 3, strides=2, padding="same")(inputs)))
        for filters in (16, 20, 32):
            h = layers.BatchNormalization()(layers.Conv2D(2 * filters - 2 * filters % 16, 1, use_bias=False)(x))
            h = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(layers.ReLU(6.0)(h))
            h = layers.ReLU()(layers.BatchNormalization()(h))
            weight = layers.GlobalAveragePooling2D(keepdims=True)(h)
            h = layers.Multiply()([h, layers.Conv2D(h.shape[-1], 1, activation="sigmoid")(weight)])
            h = layers.BatchNormalization()(layers.Conv2D(filters, 1, use_bias=False)(h))
            x = layers.Add()([x, h]) if x.shape[-1] == filters else h
        x = layers.Conv2D(32, 3, padding="same", activation="silu")(layers.MaxPooling2D()(x))
        x = layers.GlobalAveragePooling2D()(layers.AveragePooling2D()(x))
        model = mlkit.Model(inputs, layers.Dense(5, activation="softmax")(x))
        model.compile(mlkit.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        return model

    def trained(self, monkeypatch, off):
        monkeypatch.setattr(debug, "PASSES_OFF", {off})
        mlkit.utils.set_random_seed(1)
        x, y = np.random.default_rng(0).random((8, 16, 16, 3), "float32"), np.arange(8) % 5
        model = self.net()
        losses = [float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(3)]
        return model, (x, y), [losses, model.predict(x, verbose=0), *(w.numpy() for w in model.weights)]

    def test_same_numbers(self, monkeypatch):
        module = sys.modules["mlkit.compiler.passes.block_channels"]
        monkeypatch.setattr(module, "MEDIUM", 0)
        _, _, wanted = self.trained(monkeypatch, "block_channels")
        for large in (0, 1 << 15):  # all groups, and the neighbours of some
            monkeypatch.setattr(module, "LARGE", large)
            model, batch, found = self.trained(monkeypatch, None)
            for a, b in zip(found, wanted):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
            if state.backend.target.channel_block:
                step = mlkit.function(lambda data, model=model: model.train_step(data)).graph(batch)
                assert {"conv_in_blocks", "conv_kernel_in_blocks"} <= set(names(optimize(step, state.backend.target)))

    def test_small_images_stay_as_they_are(self):
        model = self.net()
        step = mlkit.function(lambda x: model(x, training=False)).graph(array(2, 16, 16, 3))
        assert not any("in_blocks" in n for n in names(optimize(step, state.backend.target)))
