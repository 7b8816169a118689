"""Updates of all weights in one launch: kernels with a table of pointers, run on the host, and the passes that make them."""

import ctypes

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.backends.native import tiled_chain
from mlkit.backends.native.cuda import multi_chain
from mlkit.backends.native.cuda.multi_chain import AT_ONCE, LaunchedChains
from mlkit.backends.native.update import as_chain
from mlkit.compiler.chain import Chain
from mlkit.core import debug, dtypes
from mlkit.core.graph import spec_of
from mlkit.core.spec import Spec
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.elementwise_chain import multi_tensor_apply
from mlkit.primitives.fused.update import adam_update, rmsprop_update, sgd_update
from tests.cuda import fake_cupy
from tests.cuda.double import DoubleOfGpu, make_reference
from tests.cuda.host_compiler import COMPILER, HostModules
from tests.cuda.test_kernels import Collecting

ADAM = dict(beta_1=0.9, beta_2=0.999, epsilon=1e-7)
SIZES = [(), (1,), (3, 5), (0, 4), (AT_ONCE + 3,), (2 * AT_ONCE,)]


def arrays_of(shape, count, dtype="float32"):
    rng = np.random.default_rng(len(shape) + count)
    return [np.abs(rng.normal(size=shape)).astype(dtypes.as_numpy(dtype)) for _ in range(count)]


def jobs():
    """(chain, operands) of several rules, dtypes and sizes."""
    rate, found = np.float32(0.1).reshape(()), []
    for shape in SIZES:
        for op, slots, params in (
            (sgd_update, 1, dict(momentum=0.9, nesterov=True)),
            (adam_update, 2, ADAM),
            (rmsprop_update, 1, dict(rho=0.9, epsilon=1e-7, momentum=0.0, centered=False)),
        ):
            for dtype in ("float32", "bfloat16"):
                args = [*arrays_of(shape, 1 + slots), *arrays_of(shape, 1, dtype), rate]
                found.append((as_chain(op, args, params), args))
    found.append((Chain(1, [(el.add, (0, (1,)), {})], [1]), [np.array(3, "int64")]))
    return found


def launched(device, found):
    chains = [tiled_chain.in_single(chain, [spec_of(a) for a in args]) for chain, args in found]
    specs = [spec_of(a) for _, args in found for a in args]
    run = LaunchedChains(device, chains, specs)
    operands = [fake_cupy.module.asarray(a) for _, args in found for a in args]
    wanted = [by_numpy(chain, args) for chain, (_, args) in zip(chains, found)]
    outs = [fake_cupy.module.empty(w.shape, w.dtype) for group in wanted for w in group]
    run(*operands, out=tuple(outs))
    return run, [o.get() for o in outs], [w for group in wanted for w in group]


def by_numpy(chain, args):
    table = make_reference().table
    return [np.asarray(x) for x in chain.run(args, lambda op, xs, params: np.asarray(table[op.name](*xs, **params)))]


@pytest.mark.skipif(COMPILER is None, reason="compiles kernels with g++, which is not there")
@pytest.mark.parametrize("order", [0, 1, 5])
@pytest.mark.parametrize("parameter_bytes, launches", [(32000, 1), (2000, 2)])
def test_chains_of_several_rules_and_sizes_are_one_launch(order, parameter_bytes, launches):
    device = DoubleOfGpu(HostModules(order))
    device.parameter_bytes = parameter_bytes
    fake_cupy.counts.clear()
    run, got, wanted = launched(device, jobs())
    assert run.launches == launches == fake_cupy.counts.launches
    for a, b in zip(got, wanted):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a.astype("float64"), b.astype("float64"), rtol=2e-6, atol=1e-6)


def kernels_of_chains():
    """The kernels of those jobs, for the compiler of GPUs."""
    device = DoubleOfGpu(Collecting())
    LaunchedChains(device, [c for c, _ in jobs()], [spec_of(a) for _, args in jobs() for a in args])
    return device.modules.kernels


def test_a_table_lies_in_memory_as_c_has_it():
    (kernel,) = kernels_of_chains().values()
    entry = kernel.dtype["tensors"].base

    class Tensor(ctypes.Structure):
        _fields_ = [("size", ctypes.c_longlong), ("first", ctypes.c_uint), ("at", ctypes.c_ushort)] + [
            (n, ctypes.c_ubyte) for n in ("rule", "wide")
        ]

    assert entry.itemsize == ctypes.sizeof(Tensor)
    assert [entry.fields[n][1] for n, _ in Tensor._fields_] == [getattr(Tensor, n).offset for n, _ in Tensor._fields_]
    assert kernel.dtype.fields["pointers"][1] % 8 == 0


def test_tensors_without_elements_are_left_alone():
    specs = [Spec((0, 4), "float32"), Spec((), "float32")]
    assert multi_chain._size(specs) == 0
    assert [multi_chain.rule(Chain(2, [(el.mul, (0, 1), {})], [2]), specs).moves(k) for k in (0, 1)] == [True, False]


def test_rules_are_the_same_for_all_sizes_and_kept_within_bounds(monkeypatch):
    monkeypatch.setattr(multi_chain, "_rules", rules := {})
    chain = Chain(2, [(el.mul, (0, 1), {})], [2])
    first = multi_chain.rule(chain, [Spec((7,), "float32"), Spec((), "float32")])
    assert multi_chain.rule(chain, [Spec((2, 9), "float32"), Spec((1, 1), "float32")]) is first
    assert multi_chain.rule(chain, [Spec((7,), "float32")] * 2) is not first
    rules.update((i, None) for i in range(1001))
    multi_chain.rule(chain, [Spec((7,), "float64")] * 2)
    assert len(rules) == 1


def test_operands_of_other_shapes_are_refused():
    add = Chain(2, [(el.add, (0, 1), {})], [2])
    x, row, number = (Spec(s, "float32") for s in ((2, 3), (3,), (1,)))
    assert [o.shape for o in multi_tensor_apply.spec(x, number, row, row, chains=(add, add))] == [(2, 3), (3,)]
    with pytest.raises(ValueError, match="multi_tensor_apply: operands .* must have the shape .2, 3. or be numbers"):
        multi_tensor_apply.spec(x, row, chains=(add,))


# ---- in training steps ---------------------------------------------------------------------------------------------------


def program_of(model, x, y):
    model.train_on_batch(x, y)
    (programs, *_) = model._training.program(model, "train").programs.values()
    return programs[0].run


def model_of(**options):
    mlkit.utils.set_random_seed(0)
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dense(3)])
    model.compile(mlkit.optimizers.Adam(0.01, **options), "mse")
    return model, np.random.default_rng(0).normal(size=(6, 4)).astype("float32"), np.ones((6, 3), "float32")


def names_of(run):
    return [call.op.name for call in run.plan.graph.calls]


@pytest.mark.parametrize(
    "options", [{}, dict(global_clipnorm=0.1), dict(clipvalue=0.01), dict(weight_decay=0.01), dict(use_ema=True)], ids=str
)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_all_updates_are_one_launch_with_clipped_gradients_and_casts(policy, options, gpu, reference, use):
    mlkit.config.set_dtype_policy(policy)
    try:
        found = {}
        for backend in (reference, gpu):
            use(backend)
            model, x, y = model_of(**options)
            losses = [model.train_on_batch(x, y) for _ in range(5)]
            found[backend] = losses, [w.numpy() for w in model.weights]
        run = program_of(model, x, y)
    finally:
        mlkit.config.set_dtype_policy("float32")
    tolerance = 1e-5 if policy == "float32" else 3e-2
    np.testing.assert_allclose(found[gpu][0], found[reference][0], rtol=tolerance)
    for a, b in zip(found[gpu][1], found[reference][1]):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    names = names_of(run)
    assert "adam_update" not in names
    updates = [c for c in run.plan.graph.calls if c.op is multi_tensor_apply and len(c.params["chains"]) >= 6]
    assert len(updates) == 1, names
    weights = [tuple(v.shape) for v in updates[0].outs if v.dtype == "bfloat16"]
    assert sorted(weights) == ([] if policy == "float32" else [(3,), (4, 8), (8,), (8, 3)])  # not those of the normalization


@pytest.mark.parametrize("name", ["Ftrl", "Adafactor", "Lion", "Nadam", "Lamb", "RMSprop", "Muon"])
def test_updates_of_any_optimizer_are_as_on_the_cpu(name, gpu, reference, use):
    """Some of their chains have results that nobody reads."""
    found = []
    for backend in (reference, gpu):
        use(backend)
        model, x, y = model_of()
        model.compile(getattr(mlkit.optimizers, name)(0.01, use_ema=True, ema_overwrite_frequency=2), "mse")
        losses = [model.train_on_batch(x, y) for _ in range(4)]
        found.append([np.array(losses), *(w.numpy() for w in model.weights)])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_copies_of_weights_are_those_of_the_weights_that_count(gpu, reference, use):
    """Set, loaded, restored or changed by another program, weights are cast anew."""
    mlkit.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = []
        for backend in (gpu, reference):
            use(backend)
            model, x, y = model_of()
            other = mlkit.function(lambda model=model: [w.assign(w * 0.5) for w in model.trainable_variables])
            losses = []
            for step in range(10):
                if step == 3:
                    model.set_weights([np.full(w.shape, 0.1, "float32") for w in model.weights])
                if step in (5, 7):
                    other()  # writes in place
                if step == 8:
                    model.layers[0].kernel.assign(model.layers[0].kernel + 1)
                losses.append(model.train_on_batch(x, y))
            found.append(losses)
    finally:
        mlkit.config.set_dtype_policy("float32")
    np.testing.assert_allclose(*found, rtol=2e-2)


def test_each_pass_may_be_left_out(gpu, use, monkeypatch):
    use(gpu)
    mlkit.config.set_dtype_policy("mixed_bfloat16")
    try:
        losses = {}
        for off in ("", "carry", "fuse_horizontally"):
            monkeypatch.setattr(debug, "PASSES_OFF", frozenset({off} - {""}))
            model, x, y = model_of()
            losses[off] = [model.train_on_batch(x, y) for _ in range(4)]
            run = program_of(model, x, y)
            assert (run.copies is None) == (off == "carry")
            assert ("multi_tensor_apply" in names_of(run)) == (off != "fuse_horizontally")
    finally:
        mlkit.config.set_dtype_policy("float32")
    np.testing.assert_allclose(losses["carry"], losses[""], rtol=1e-6)
    np.testing.assert_allclose(losses["fuse_horizontally"], losses[""], rtol=1e-6)


def test_what_waits_for_an_update_is_not_joined_with_it(gpu, use):
    use(gpu)
    a, b = mlkit.Variable(np.ones(5, "float32")), mlkit.Variable(np.ones((2, 3), "float32"))

    @mlkit.function
    def step(x):
        a.assign(a + x)
        b.assign(b * ops.sum(a))
        return a * 2, b - 1

    for i in range(4):
        out = step(ops.convert_to_tensor(np.float32(i)))
    np.testing.assert_allclose(a.numpy(), np.full(5, 7.0))
    np.testing.assert_allclose(b.numpy(), np.full((2, 3), 5.0 * 10 * 20 * 35))
    np.testing.assert_allclose(out[0].numpy(), a.numpy() * 2)
