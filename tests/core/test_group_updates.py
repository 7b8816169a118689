"""The pass by which small variables are updated together: every bit is what it is where each is updated by itself."""

import numpy as np
import pytest

import mlkit
from mlkit import ops, optimizers
from mlkit.compiler.passes import group_updates
from mlkit.core import debug
from mlkit.core.state import swapped
from mlkit.primitives.collectives import all_reduce
from mlkit.primitives.fused.pack import pack, unpack
from tests.core.slow_ranks import Slow

pytestmark = [
    pytest.mark.usefixtures("all_passes"),
    pytest.mark.native("a pass"),
    pytest.mark.cpu("a GPU updates all variables by one launch, where they lie"),
]
SHAPES = (5, 3), (7,), (4, 2, 3), (1,), (32, 32), (1, 1), (33,), (2, 5)
SCALARS = ((),)
LARGE = ((50, 60),)


def variables(dtype="float32", shapes=SHAPES, frozen=(), **options):
    rng = np.random.default_rng(3)
    made = [mlkit.Variable(rng.standard_normal(s).astype("float32"), dtype=dtype, name=f"v{i}") for i, s in enumerate(shapes)]
    for i in frozen:
        made[i].trainable = False
    return made


def stepping(optimizer, weights):
    """A compiled step of training, a function of a factor, and the names of the ops that it runs."""

    @mlkit.function
    def step(factor):
        trained = [v for v in weights if v.trainable]
        with mlkit.GradientTape() as tape:
            values = [ops.cast(v, "float32") for v in trained]
            loss = sum(ops.sum(ops.square(v) * factor + ops.sin(v * 3)) for v in values)
            loss = optimizer.scale_loss(loss)
        optimizer.apply(tape.gradient(loss, trained), trained)
        return loss

    return step


def trained(optimizer, dtype="float32", shapes=SHAPES, frozen=(), steps=5, off=False, saved=None):
    """(bytes of all that a training leaves, in the order of the variables; names of the ops of a step)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(debug, "PASSES_OFF", {"group_updates"} if off else set())
        weights = variables(dtype, shapes, frozen)
        optimizer = optimizer()
        optimizer.build([v for v in weights if v.trainable])
        step = stepping(optimizer, weights)
        for k in range(steps):
            step(ops.convert_to_tensor(np.float32(1 + k)))
            if saved is not None and k == saved:
                store = {}
                optimizer.save_own_variables(store)
                optimizer.load_own_variables(store)
        names = [c.op.name for c in step.program(ops.convert_to_tensor(np.float32(1))).plan.graph.calls]
        return [np.asarray(v.numpy()).tobytes() for v in [*weights, *optimizer.variables]], names


RULES = {
    "sgd": lambda **o: optimizers.SGD(0.1, **o),
    "momentum": lambda **o: optimizers.SGD(0.1, momentum=0.9, **o),
    "nesterov": lambda **o: optimizers.SGD(0.1, momentum=0.9, nesterov=True, **o),
    "adam": lambda **o: optimizers.Adam(0.01, **o),
    "amsgrad": lambda **o: optimizers.Adam(0.01, amsgrad=True, **o),
    "adamw": lambda **o: optimizers.AdamW(0.01, **o),
    "adamax": lambda **o: optimizers.Adamax(0.01, **o),
    "nadam": lambda **o: optimizers.Nadam(0.01, **o),
    "rmsprop": lambda **o: optimizers.RMSprop(0.01, **o),
    "rmsprop centered": lambda **o: optimizers.RMSprop(0.01, momentum=0.5, centered=True, **o),
    "adagrad": lambda **o: optimizers.Adagrad(0.1, **o),
    "adadelta": lambda **o: optimizers.Adadelta(0.5, **o),
    "ftrl": lambda **o: optimizers.Ftrl(0.1, l1_regularization_strength=0.01, **o),
    "lion": lambda **o: optimizers.Lion(0.01, **o),
    "schedule free": lambda **o: optimizers.ScheduleFreeAdamW(0.01, **o),
    "schedule": lambda **o: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.01, 2, 0.5), **o),
}
OPTIONS = {
    "none": {},
    "clipvalue": dict(clipvalue=0.5),
    "clipnorm": dict(clipnorm=0.5),
    "global_clipnorm": dict(global_clipnorm=0.5),
    "decay": dict(weight_decay=0.01),
    "averages": dict(use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2),
    "accumulation": dict(gradient_accumulation_steps=2),
    "loss scale": dict(loss_scale_factor=16.0),
    "all": dict(clipvalue=0.5, weight_decay=0.01, use_ema=True, gradient_accumulation_steps=2, loss_scale_factor=8.0),
}


def check(make, **settings):
    together, names = trained(make, **settings)
    apart, others = trained(make, off=True, **settings)
    assert pack.name in names
    assert unpack.name in names
    assert pack.name not in others
    assert len(names) < len(others)
    assert together == apart


@pytest.mark.parametrize("rule", RULES)
def test_each_rule(rule):
    check(RULES[rule])


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("rule", ["momentum", "adam", "adagrad"])
def test_options(rule, option):
    check(lambda: RULES[rule](**OPTIONS[option]))


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
@pytest.mark.parametrize("rule", ["momentum", "adam", "lion"])
def test_dtypes(rule, dtype):
    check(lambda: RULES[rule](weight_decay=0.01), dtype=dtype)


def test_large_tensors_and_numbers_stay_by_themselves():
    check(RULES["adam"], shapes=SHAPES + SCALARS + LARGE)
    _, names = trained(RULES["adam"], shapes=SHAPES + SCALARS + LARGE)
    assert names.count("adam_update") == 3


def test_frozen_variables():
    check(RULES["adam"], frozen=(0, 4))


def test_a_state_that_is_saved_and_loaded():
    check(RULES["amsgrad"], saved=2)


def test_exclusions_from_weight_decay_and_rates_of_their_own():
    def make():
        adam = RULES["adamw"]()
        adam.exclude_from_weight_decay(var_names=["v[0-3]"])
        adam.rate_factors = lambda v: 0.5 if v.name in ("v0", "v5") else 1.0
        return adam

    check(make, shapes=SHAPES * 2)


def test_many_are_cut_into_vectors_that_a_cache_holds():
    _, names = trained(RULES["momentum"], shapes=((40, 50),) * 20)
    assert names.count("sgd_update") == 2


def test_few_stay_by_themselves():
    _, names = trained(RULES["adam"], shapes=SHAPES[: group_updates.FEWEST - 1])
    assert pack.name not in names


def test_values_that_something_else_reads_are_not_waited_for():
    """New values that are read within the step, by the norm of a constraint, say."""
    weights = variables(shapes=((4, 4),) * 6)
    for v in weights[:2]:
        v.constraint = mlkit.constraints.UnitNorm()
    step = stepping(optimizers.SGD(0.1), weights)
    step(ops.convert_to_tensor(np.float32(1)))
    calls = step.program(ops.convert_to_tensor(np.float32(1))).plan.graph.calls
    assert [c.op.name for c in calls].count("sgd_update") == 3
    np.testing.assert_allclose(np.linalg.norm(weights[0].numpy(), axis=0), 1, rtol=1e-6)


def test_new_values_lie_where_the_old_ones_lay():
    weights = variables()
    adam = optimizers.Adam(0.1)
    step, factor = stepping(adam, weights), ops.convert_to_tensor(np.float32(1))
    step(factor)
    before = [v.value.data.ctypes.data for v in [*weights, *adam.variables]]
    step(factor)
    assert [v.value.data.ctypes.data for v in [*weights, *adam.variables]] == before
    kept = weights[0].value
    old = kept.numpy().copy()
    step(factor)
    np.testing.assert_array_equal(kept.numpy(), old)
    assert not np.array_equal(weights[0].numpy(), old)


def test_memory_grows_by_the_vectors_at_most():
    def peak(off):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(debug, "PASSES_OFF", {"group_updates"} if off else set())
            step = stepping(optimizers.Adam(0.1), variables(shapes=((40, 40),) * 60))
            return step.program(ops.convert_to_tensor(np.float32(1))).plan.peak_bytes

    assert peak(off=False) <= peak(off=True) + 4 * 4 * group_updates.TOGETHER


def test_gradients_that_travel_in_two_messages():
    """Their sums are parts of two vectors."""

    def run(off):
        with pytest.MonkeyPatch.context() as patch, swapped(communicator=Slow(0.0)):
            patch.setattr(debug, "PASSES_OFF", {"group_updates"} if off else set())
            weights, adam = variables(), optimizers.Adam(0.1)

            @mlkit.function
            def step(factor):
                with mlkit.GradientTape() as tape:
                    loss = sum(ops.sum(ops.sin(v * factor)) for v in weights)
                grads = tape.gradient(loss, weights)
                first, second = (all_reduce(*part, scale=0.5, label="part") for part in (grads[:3], grads[3:]))
                adam.apply([*first, *second], weights)

            factor = ops.convert_to_tensor(np.float32(2))
            for _ in range(3):
                step(factor)
            assert off != (pack.name in [c.op.name for c in step.program(factor).plan.graph.calls])
            return [v.numpy().tobytes() for v in [*weights, *adam.variables]]

    assert run(off=False) == run(off=True)


def test_exact_programs_group_too_and_keep_every_bit():
    weights, alone = variables(), variables()
    adam, eager = optimizers.Adam(0.1, weight_decay=0.1), optimizers.Adam(0.1, weight_decay=0.1)
    step, factor = stepping(adam, weights), ops.convert_to_tensor(np.float32(2))
    mlkit.config.set_exact(True)
    try:
        step(factor)
        assert pack.name in [c.op.name for c in step.program(factor).plan.graph.calls]
    finally:
        mlkit.config.set_exact(False)
    with mlkit.GradientTape() as tape:
        loss = sum(ops.sum(ops.square(v) * factor + ops.sin(v * 3)) for v in alone)
    eager.apply(tape.gradient(loss, alone), alone)
    for a, b in zip([*weights, *adam.variables], [*alone, *eager.variables]):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
