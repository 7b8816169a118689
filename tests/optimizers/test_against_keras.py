"""Every optimizer and every option against Keras: numbers over several steps, state, configs and signatures."""

import numpy as np
import pytest

from mlkit import optimizers
from tests.optimizers.against_keras import both, gradients, keras, keras_step, run, to_numpy
from tests.signatures import untyped

# within Keras, of its own variables
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# class, own options
OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("RMSprop", {}),
    ("RMSprop", {"rho": 0.8, "momentum": 0.5, "epsilon": 1e-3}),
    ("RMSprop", {"centered": True, "momentum": 0.5}),
    ("Adam", {}),
    ("Adam", {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3, "amsgrad": True}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.1}),
    ("Adamax", {}),
    ("Nadam", {}),
    ("Adagrad", {}),
    ("Adagrad", {"initial_accumulator_value": 0.5, "epsilon": 1e-2}),
    ("Adadelta", {"rho": 0.9, "epsilon": 1e-3}),
    ("Ftrl", {}),
    (
        "Ftrl",
        {
            "learning_rate_power": -0.6,
            "l1_regularization_strength": 0.1,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.05,
            "beta": 0.3,
        },
    ),
    ("Lion", {}),
    ("Lamb", {}),
    ("Adafactor", {}),
    ("Adafactor", {"beta_2_decay": -0.6, "epsilon_2": 0.1, "clip_threshold": 0.5, "relative_step": False}),
    ("Muon", {}),
    ("Muon", {"nesterov": False, "rms_rate": None, "exclude_layers": ["wide"], "adam_lr_ratio": 0.5, "ns_steps": 3}),
    ("ScheduleFreeAdamW", {}),
    ("ScheduleFreeAdamW", {"warmup_steps": 4, "beta_1": 0.8}),
]
IDS = [f"{cls}-{'-'.join(map(str, options.values()))}" for cls, options in OPTIMIZERS]
CLASSES = sorted({cls for cls, _ in OPTIMIZERS})

# options that all optimizers have
COMMON = {
    "weight_decay": {"weight_decay": 0.05},
    "clipnorm": {"clipnorm": 0.7},
    "clipvalue": {"clipvalue": 0.3},
    "global_clipnorm": {"global_clipnorm": 0.7},
    "loss_scale_factor": {"loss_scale_factor": 8.0},
    "accumulation": {"gradient_accumulation_steps": 3, "weight_decay": 0.05, "clipnorm": 1.5},
    "ema": {"use_ema": True, "ema_momentum": 0.8},
    "ema_overwrite": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 2},
    "ema_accumulation": {"use_ema": True, "ema_overwrite_frequency": 2, "gradient_accumulation_steps": 2},
    "schedule": {"learning_rate": lambda module: module.schedules.ExponentialDecay(0.1, 2, 0.5)},
    "callable": {"learning_rate": lambda module: lambda: 0.2},
}


@pytest.mark.parametrize("cls, options", OPTIMIZERS, ids=IDS)
def test_steps(cls, options):
    run(lambda: both(cls, {"learning_rate": 0.1, **options}))


@pytest.mark.parametrize("options", COMMON.values(), ids=list(COMMON))
@pytest.mark.parametrize("cls", ["SGD", "Adam", "Nadam"])
def test_common_options(cls, options):
    run(lambda: both(cls, {"learning_rate": 0.1, **options}), steps=7)


@pytest.mark.parametrize("cls", sorted(set(CLASSES) - {"SGD", "Adam", "Nadam"}))
def test_accumulation_and_averages(cls):
    run(lambda: both(cls, COMMON["ema_accumulation"]), steps=5)


def test_constraints():
    limits = [
        ("NonNeg", {}),
        ("MaxNorm", {"max_value": 0.5}),
        ("UnitNorm", {"axis": (0, 1, 2)}),
        ("MinMaxNorm", {"rate": 0.5}),
        None,
    ]

    def prepare(optimizer, variables, constraints):
        for v, limit in zip(variables, limits):
            v.constraint = limit and getattr(constraints, limit[0])(**limit[1])

    run(lambda: both("SGD", {"learning_rate": 0.1}, prepare))


@pytest.mark.parametrize("cls", ["AdamW", "Muon", "SGD"])
@pytest.mark.parametrize("how", ["names", "variables"])
def test_exclude_from_weight_decay(cls, how):
    def prepare(optimizer, variables, _):
        chosen = {"var_names": ["^b", "gai"]} if how == "names" else {"var_list": variables[1:3]}
        optimizer.exclude_from_weight_decay(**chosen)

    run(lambda: both(cls, {"weight_decay": 0.5}, prepare), steps=3)


def test_missing_gradients():
    (optimizer, variables), (judge, judged) = both("Adam", {"learning_rate": 0.1})
    grads = [None if i % 2 else g for i, g in enumerate(gradients(0))]
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        optimizer.apply(grads, variables)
    with pytest.warns(UserWarning):
        judge.apply(grads, judged)
    for a, b in zip(variables, judged):
        np.testing.assert_allclose(a.numpy(), to_numpy(b), rtol=1e-5)


@pytest.mark.parametrize("steps", [None, 3])
def test_overwrite_with_gradient(steps):
    flags = [False, True, False, False, True]
    options = {"learning_rate": 0.1, "gradient_accumulation_steps": steps, "momentum": 0.5}
    run(lambda: both("SGD", options, overwrite_with_gradient=flags))


@pytest.mark.parametrize("cls, options", OPTIMIZERS, ids=IDS)
def test_config(cls, options):
    (optimizer, _variables), (judge, _judged) = both(cls, options)
    config = optimizer.get_config()
    assert config == judge.get_config()
    again = type(optimizer).from_config(config)
    assert again.get_config() == config
    assert optimizers.get(optimizers.serialize(optimizer)).get_config() == config
    assert getattr(keras.optimizers, cls).from_config(dict(config)).get_config() == config


@pytest.mark.parametrize("cls", [*CLASSES, "Optimizer", "MultiOptimizer", "LossScaleOptimizer", "OptimizerMap"])
def test_signature(cls):
    ours, theirs = (untyped(getattr(m, cls).__init__) for m in (optimizers, keras.optimizers))
    assert ours == theirs


@pytest.mark.parametrize("cls", CLASSES)
def test_state_is_exchanged(cls):
    """What Keras saved in the middle of training is read here, and training goes on in the same way."""
    options = {"use_ema": True, "gradient_accumulation_steps": 2}
    (optimizer, variables), (judge, judged) = both(cls, options)
    judge.build(judged)
    for step in range(3):
        keras_step(judge, judged, step)
    store = {}
    judge.save_own_variables(store)
    optimizer.build(variables)
    optimizer.load_own_variables(store)
    for v, w in zip(variables, judged):
        v.assign(to_numpy(w))
    for step in range(3, 6):
        keras_step(judge, judged, step)
        optimizer.apply(gradients(step))
    for a, b in zip(variables + optimizer.variables, judged + judge.variables):
        np.testing.assert_allclose(a.numpy(), to_numpy(b), rtol=2e-5, atol=1e-5, err_msg=b.path)
    written = {}
    optimizer.save_own_variables(written)
    assert {k: v.shape for k, v in written.items()} == {k: v.shape for k, v in store.items()}
    judge.load_own_variables(written)


@pytest.mark.parametrize("cls", CLASSES)
def test_paths(cls):
    (optimizer, variables), (judge, judged) = both(cls, {"use_ema": True})
    optimizer.build(variables)
    judge.build(judged)
    if cls not in ("Adafactor", "Nadam"):  # Keras leaves some of theirs unnamed
        assert [v.path for v in optimizer.variables] == [v.path for v in judge.variables]
    assert [(v.shape, v.dtype) for v in optimizer.variables] == [(v.shape, v.dtype) for v in judge.variables]
