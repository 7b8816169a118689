"""A student trained by its teacher: the losses and weights that Keras gets."""

import keras
import numpy as np
import pytest

import mlkit

X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 16)


def net(k, units, name):
    layers = [k.layers.Dense(units, activation="relu", name="hidden"), k.layers.Dense(3, name="logits")]
    return k.Sequential([k.Input((4,)), *layers], name=name)


LOSSES = {
    "logits": lambda k: k.distillation.LogitsDistillation(temperature=2.0, loss=k.losses.KLDivergence()),
    "mse of logits": lambda k: k.distillation.LogitsDistillation(loss="mse"),
    "features": lambda k: k.distillation.FeatureDistillation("mse", "hidden", "hidden"),
    "outputs": lambda k: k.distillation.FeatureDistillation("mae"),
    "several": lambda k: [LOSSES["logits"](k), LOSSES["features"](k)],
}


def distiller(k, losses, weights, **options):
    teacher, student = net(k, 5, "teacher"), net(k, 5, "student")
    teacher.set_weights(weights[0])
    student.set_weights(weights[1])
    model = k.distillation.Distiller(teacher, student, LOSSES[losses](k), **options)
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(k.optimizers.SGD(0.1), loss, metrics=["sparse_categorical_accuracy"])
    return model


@pytest.mark.parametrize("losses", LOSSES)
def test_training_as_keras(losses):
    weights = [net(mlkit, 5, n).get_weights() for n in ("teacher", "student")]
    found = []
    for k in (keras, mlkit):
        model = distiller(k, losses, weights, student_loss_weight=0.3)
        history = model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
        found.append((history, model.student.get_weights(), model.teacher.get_weights()))
    assert set(found[0][0]) == set(found[1][0])
    for name in found[0][0]:
        np.testing.assert_allclose(found[1][0][name], found[0][0][name], rtol=1e-4, atol=1e-5)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for a, b in zip(weights[0], found[1][2], strict=True):
        np.testing.assert_array_equal(a, b)  # the teacher learns nothing


def test_the_name_of_a_loss_is_the_loss():
    """Keras takes "kl_divergence", its default, for a function of the logits themselves."""
    a, b = mlkit.ops.array([[1.0, 2.0, -1.0]]), mlkit.ops.array([[0.5, 1.0, 3.0]])
    by_name, by_class = (
        mlkit.distillation.LogitsDistillation(loss=loss).compute_loss(a, b)
        for loss in ("kl_divergence", mlkit.losses.KLDivergence())
    )
    assert float(by_name) == pytest.approx(float(by_class))


def test_files(tmp_path):
    weights = [net(mlkit, 5, n).get_weights() for n in ("teacher", "student")]
    model = distiller(mlkit, "several", weights, distillation_loss_weights=[0.5, 2.0])
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.keras")
    again = mlkit.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert again.distillation_loss_weights == [0.5, 2.0]
    one, two = (m.evaluate(X, Y, verbose=0, return_dict=True) for m in (model, again))
    assert one == pytest.approx(two)


def test_a_loss_of_ones_own():
    class Far(mlkit.distillation.DistillationLoss):
        def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
            return mlkit.ops.max(mlkit.ops.abs(teacher_outputs - student_outputs))

    model = mlkit.distillation.Distiller(net(mlkit, 5, "t"), net(mlkit, 2, "s"), Far(), student_loss_weight=0.0)
    model.compile("sgd", "mse")
    before = model.evaluate(X, np.zeros((16, 3)), verbose=0, return_dict=True)["distillation_loss"]
    model.fit(X, np.zeros((16, 3)), epochs=5, verbose=0)
    assert model.evaluate(X, np.zeros((16, 3)), verbose=0, return_dict=True)["distillation_loss"] < before


@pytest.mark.parametrize("make", [
    lambda k: k.distillation.LogitsDistillation(temperature=0.0),
    lambda k: k.distillation.LogitsDistillation(temperature="warm"),
    lambda k: k.distillation.FeatureDistillation(loss=[None, None]),
    lambda k: k.distillation.Distiller(net(k, 2, "a"), net(k, 2, "b"), None),
    lambda k: k.distillation.Distiller(net(k, 2, "a"), "b", LOSSES["logits"](k)),
    lambda k: k.distillation.Distiller(net(k, 2, "a"), net(k, 2, "b"), LOSSES["logits"](k), student_loss_weight=2.0),
    lambda k: k.distillation.Distiller(net(k, 2, "a"), net(k, 2, "b"), LOSSES["several"](k), distillation_loss_weights=[1.0]),
    lambda k: k.distillation.Distiller(net(k, 2, "a"), k.Sequential([k.Input((5,)), k.layers.Dense(3)]), LOSSES["logits"](k)),
    lambda k: k.distillation.Distiller(
        net(k, 2, "a"), net(k, 2, "b"), k.distillation.FeatureDistillation("mse", "none", "hidden")
    ),
    lambda k: k.distillation.Distiller(net(k, 2, "a"), net(k, 2, "b"), LOSSES["logits"](k)).compile("sgd"),
])  # fmt: skip
def test_arguments(make):
    for k in (keras, mlkit):
        with pytest.raises(ValueError):
            make(k)
