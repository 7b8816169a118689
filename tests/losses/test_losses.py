"""Every loss against Keras: values, gradients, reductions, weights, masks, configs; and the same when traced."""

import inspect
import itertools

import jax
import numpy as np
import pytest

from mlkit import losses, ops
from mlkit.core.function import function
from mlkit.objects.variable import Variable
from mlkit.ops.gradients import grad
from tests.losses.against_keras import assert_close, data, keras, softmax

# class, function, kind of data, options
LOSSES = [
    ("MeanSquaredError", "mean_squared_error", "real", {}),
    ("MeanAbsoluteError", "mean_absolute_error", "real", {}),
    ("MeanAbsolutePercentageError", "mean_absolute_percentage_error", "real", {}),
    ("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", "positive", {}),
    ("Huber", "huber", "real", {}),
    ("Huber", "huber", "real", {"delta": 0.3}),
    ("LogCosh", "log_cosh", "real", {}),
    ("CosineSimilarity", "cosine_similarity", "real", {}),
    ("CosineSimilarity", "cosine_similarity", "real", {"axis": 0}),
    ("KLDivergence", "kl_divergence", "distributions", {}),
    ("Poisson", "poisson", "counts", {}),
    ("Hinge", "hinge", "signs", {}),
    ("Hinge", "hinge", "bits", {}),
    ("SquaredHinge", "squared_hinge", "bits", {}),
    ("CategoricalHinge", "categorical_hinge", "categorical_logits", {}),
    ("BinaryCrossentropy", "binary_crossentropy", "binary", {}),
    ("BinaryCrossentropy", "binary_crossentropy", "bits", {"from_logits": True, "label_smoothing": 0.2}),
    ("BinaryCrossentropy", "binary_crossentropy", "binary", {"axis": 0}),
    ("BinaryFocalCrossentropy", "binary_focal_crossentropy", "binary", {"gamma": 1.5}),
    (
        "BinaryFocalCrossentropy",
        "binary_focal_crossentropy",
        "bits",
        {"apply_class_balancing": True, "alpha": 0.3, "from_logits": True, "label_smoothing": 0.1},
    ),
    ("CategoricalCrossentropy", "categorical_crossentropy", "categorical", {"label_smoothing": 0.1}),
    ("CategoricalCrossentropy", "categorical_crossentropy", "categorical_logits", {"from_logits": True}),
    ("CategoricalCrossentropy", "categorical_crossentropy", "distributions", {}),
    ("CategoricalFocalCrossentropy", "categorical_focal_crossentropy", "categorical", {"label_smoothing": 0.1}),
    (
        "CategoricalFocalCrossentropy",
        "categorical_focal_crossentropy",
        "categorical_logits",
        {"from_logits": True, "gamma": 1.0},
    ),
    ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", "sparse", {}),
    ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", "sparse_logits", {"from_logits": True}),
    ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", "sparse", {"ignore_class": 2}),
    (
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        "sparse_logits",
        {"ignore_class": 2, "from_logits": True},
    ),
    ("CategoricalGeneralizedCrossEntropy", "categorical_generalized_cross_entropy", "sparse", {"q": 0.7}),
    ("Dice", "dice", "binary", {}),
    ("Dice", "dice", "binary", {"axis": (1,)}),
    ("Tversky", "tversky", "binary", {"alpha": 0.3, "beta": 0.8}),
    ("Tversky", "tversky", "binary", {"axis": -1}),
    ("Circle", "circle", "embeddings", {}),
    ("Circle", "circle", "embeddings", {"gamma": 20.0, "margin": 0.2, "remove_diagonal": False}),
]
IDS = [f"{c}-{k}-{'-'.join(map(str, o.values()))}" for c, _, k, o in LOSSES]
every_loss = pytest.mark.parametrize("cls, fn, kind, options", LOSSES, ids=IDS)


@every_loss
def test_function_and_its_gradient(cls, fn, kind, options):
    y_true, y_pred = data(kind)
    ours, theirs = getattr(losses, fn), getattr(keras.losses, fn)
    assert_close(ours(y_true, y_pred, **options), theirs(y_true, y_pred, **options), rtol=2e-5)
    ours_grad = grad(lambda p: ops.sum(ours(y_true, p, **options)))(ops.convert_to_tensor(y_pred))
    theirs_grad = jax.grad(lambda p: theirs(y_true, p, **options).sum())(y_pred)
    assert_close(ours_grad, theirs_grad, rtol=1e-4, atol=1e-5)


@every_loss
def test_reductions_and_weights(cls, fn, kind, options):
    y_true, y_pred = data(kind)
    samples = getattr(keras.losses, fn)(y_true, y_pred, **options).shape
    weights = [None, np.linspace(0, 2, *samples, dtype="float32") if samples else np.float32(0.5)]
    for reduction, weight in itertools.product(("sum_over_batch_size", "mean_with_sample_weight", "sum", "none"), weights):
        ours = getattr(losses, cls)(reduction=reduction, **options)(y_true, y_pred, sample_weight=weight)
        theirs = getattr(keras.losses, cls)(reduction=reduction, **options)(y_true, y_pred, sample_weight=weight)
        assert ours.shape == theirs.shape
        assert ours.dtype == "float32"
        assert_close(ours, theirs, rtol=2e-5, message=f"{reduction} {weight}")


@every_loss
def test_config(cls, fn, kind, options):
    ours, theirs = getattr(losses, cls)(**options), getattr(keras.losses, cls)(**options)
    forgotten = {"Huber": {"delta"}, "CosineSimilarity": {"axis"}}.get(cls, set()) & {
        k for k, v in options.items() if v not in (1.0, -1)
    }  # Keras leaves these out of the config, and a reloaded loss is another one
    config = ours.get_config()
    assert {k: v for k, v in config.items() if k not in forgotten} == theirs.get_config()
    again = type(ours).from_config(config)
    assert again.get_config() == config
    y_true, y_pred = data(kind)
    assert_close(again(y_true, y_pred), ours(y_true, y_pred))


@every_loss
def test_traced(cls, fn, kind, options):
    y_true, y_pred = map(ops.convert_to_tensor, data(kind))
    loss = getattr(losses, cls)(**options)
    assert_close(function(lambda t, p: loss(t, p))(y_true, y_pred), loss(y_true, y_pred))


CHANNELS = [
    ("CategoricalCrossentropy", "channels", {"axis": 1}),
    ("CategoricalFocalCrossentropy", "channels", {"axis": 1}),
    ("Dice", "channels", {"axis": (1, 2)}),
]


@pytest.mark.parametrize("cls, kind, options", CHANNELS)
def test_images(cls, kind, options):
    y_true, y_pred = data(kind, shape=(2, 3, 5, 4))
    for reduction in ("sum", "none"):
        options = {**options, "reduction": reduction}
        assert_close(getattr(losses, cls)(**options)(y_true, y_pred), getattr(keras.losses, cls)(**options)(y_true, y_pred))


def test_class_axis_of_sparse_crossentropy():
    """Keras cannot do this on JAX; the same with the class axis last is the judge."""
    y_true, y_pred = data("sparse_channels", shape=(2, 3, 5, 4))
    last = losses.sparse_categorical_crossentropy(y_true, np.moveaxis(y_pred, 1, -1), ignore_class=1)
    assert_close(losses.sparse_categorical_crossentropy(y_true, y_pred, axis=1, ignore_class=1), last)
    assert_close(losses.sparse_categorical_crossentropy(y_true[:, None], y_pred, axis=1, ignore_class=1), last)


def test_label_smoothing_follows_the_class_axis():
    """Keras divides by the size of the last axis whatever `axis` is, and the smoothed targets do not sum to 1."""
    y_true, y_pred = data("categorical", shape=(2, 3, 5, 4))
    last = losses.categorical_crossentropy(y_true, y_pred, label_smoothing=0.3)
    moved = [np.moveaxis(y, -1, 1) for y in (y_true, y_pred)]
    assert_close(losses.categorical_crossentropy(*moved, label_smoothing=0.3, axis=1), last)


# shapes of y_true, y_pred, sample_weight, mask
SHAPES = [
    ((6,), (6, 1), None, None),
    ((6, 1), (6,), (6,), None),
    ((6, 3, 1), (6, 3), None, None),
    ((6, 4), (6, 4), (6, 1), None),
    ((6, 3, 4), (6, 3, 4), (6, 3), None),
    ((6, 3, 4), (6, 3, 4), (6, 3, 1), None),
    ((6, 3, 4), (6, 3, 4), (6, 1), None),
    ((6, 3, 4), (6, 3, 4), (), None),
    ((6, 4), (6, 4), None, (6,)),
    ((6, 3, 4), (6, 3, 4), None, (6, 3)),
    ((6, 3, 4), (6, 3, 4), (6, 3), (6, 3)),
    ((6, 3, 4), (6, 3, 4), (6, 1), (6, 3)),
    ((0, 3), (0, 3), None, None),
    ((6, 0, 3), (6, 0, 3), None, None),
]


@pytest.mark.parametrize("true, pred, weight, mask", SHAPES, ids=str)
def test_shapes_weights_and_masks(true, pred, weight, mask):
    rng = np.random.default_rng(1)
    y_true, y_pred = rng.normal(size=true).astype("float32"), rng.normal(size=pred).astype("float32")
    weight = None if weight is None else rng.uniform(size=weight).astype("float32")
    for reduction in ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None):
        ours_pred, theirs_pred = ops.convert_to_tensor(y_pred), keras.ops.convert_to_tensor(y_pred)
        if mask is not None:
            valid = rng.uniform(size=mask) > 0.4
            ours_pred._keras_mask, theirs_pred._keras_mask = ops.convert_to_tensor(valid), keras.ops.convert_to_tensor(valid)
        ours = losses.MeanSquaredError(reduction=reduction)(y_true, ours_pred, sample_weight=weight)
        theirs = keras.losses.MeanSquaredError(reduction=reduction)(y_true, theirs_pred, sample_weight=weight)
        assert_close(ours, theirs, message=str(reduction))


def test_weights_of_samples_reach_all_their_steps():
    """(batch,) weights of (batch, time) losses; Keras multiplies the wrong axis, or fails."""
    rng = np.random.default_rng(2)
    y_true, y_pred = rng.normal(size=(2, 3, 3, 4)).astype("float32")
    weight = np.array([0.0, 1.0, 2.0], "float32")
    expected = losses.MeanSquaredError()(y_true, y_pred, sample_weight=weight[:, None])
    assert_close(losses.MeanSquaredError()(y_true, y_pred, sample_weight=weight), expected)


def test_all_masked_is_zero():
    y_pred = ops.ones((3, 2))
    y_pred._keras_mask = ops.zeros((3,), dtype="bool")
    assert float(losses.MeanSquaredError()(np.zeros((3, 2)), y_pred)) == 0


def test_ignored_entries_leave_no_trace():
    y_true = np.array([0, -1, 1])
    logits = np.array([[1.0, 2.0], [np.nan, np.inf], [0.5, 0.5]], "float32")
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    assert_close(loss(y_true, logits), loss(y_true[[0, 2]], logits[[0, 2]]))
    slope = grad(lambda x: loss(y_true, x))(ops.convert_to_tensor(logits)).numpy()
    assert np.isfinite(slope).all()
    assert (slope[1] == 0).all()


def test_class_numbers_are_not_rounded():
    """A loss in float16 still tells class 2049 from class 2048."""
    logits = np.zeros((1, 2050), "float32")
    logits[0, 2049] = 10.0
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float16")
    assert float(loss([2049], logits)) < 1.0 < float(loss([2048], logits))


def test_ctc():
    y_true, y_pred = data("sequences", shape=(3, 7, 5))
    assert_close(losses.ctc(y_true, y_pred), keras.losses.ctc(y_true, y_pred), rtol=1e-4)
    assert_close(losses.CTC()(y_true, y_pred), keras.losses.CTC()(y_true, y_pred), rtol=1e-4)
    y_true = np.array([[1, 2, 0, 2], [0, 1, 0, 0], [3, 3, 3, 0]])  # a blank among the labels is a label like others
    assert_close(losses.ctc(y_true, y_pred), keras.losses.ctc(y_true, y_pred), rtol=1e-4)
    with pytest.raises(ValueError, match=r"\(batch, length, classes\)"):
        losses.ctc(y_true, y_pred[0])


def test_circle_with_references():
    y_true, y_pred = data("embeddings", shape=(6, 4))
    labels, references = data("embeddings", shape=(9, 4), seed=5)
    options = dict(ref_labels=labels, ref_embeddings=references, remove_diagonal=False)
    assert_close(losses.circle(y_true, y_pred, **options), keras.losses.circle(y_true, y_pred, **options), rtol=2e-5)


def test_circle_without_pairs_has_a_clean_gradient():
    y_pred = ops.convert_to_tensor(data("embeddings")[1])
    slope = grad(lambda p: losses.Circle()(np.arange(6), p))(y_pred).numpy()
    assert (slope == 0).all()


def test_structures():
    rng = np.random.default_rng(3)
    y_true, y_pred = rng.normal(size=(2, 5, 1)).astype("float32")

    class Sum(losses.Loss):
        def call(self, y_true, y_pred):
            return ops.square(y_true["a"] - y_pred["a"]) + ops.square(y_true["b"] - y_pred["b"])

    value = Sum()({"a": y_true, "b": y_pred}, {"a": y_pred, "b": y_pred})
    assert_close(value, np.mean((y_true - y_pred) ** 2))
    assert_close(losses.MeanSquaredError()([0.0, 1.0], [1.0, 1.0]), 0.5)


def test_dtype():
    y_true, y_pred = data("real")
    assert losses.MeanSquaredError(dtype="float16")(y_true, y_pred).dtype == "float16"
    assert losses.MeanSquaredError(dtype="mixed_bfloat16").dtype == "bfloat16"
    assert losses.MeanSquaredError(dtype="float16").get_config()["dtype"] == "float16"
    assert losses.MeanSquaredError()(y_true.astype("float64"), y_pred.astype("float64")).dtype == "float32"
    assert losses.mean_squared_error(y_true.astype("float64"), y_pred.astype("float64")).dtype == "float64"


def test_variables_as_predictions():
    v = Variable([1.0, 2.0])
    assert_close(losses.mean_squared_error([0.0, 0.0], v), 2.5)


def test_get_and_serialize():
    assert losses.get(None) is None
    assert losses.get("mse") is losses.get("MSE") is losses.mean_squared_error
    assert isinstance(losses.get("KLDivergence"), losses.KLDivergence)
    assert isinstance(losses.get(losses.Huber), losses.Huber)
    config = {"class_name": "Huber", "config": {"delta": 2.0}}
    assert losses.get(config).delta == 2.0
    assert losses.serialize(losses.Dice()) == keras.losses.serialize(keras.losses.Dice())
    assert losses.serialize(losses.huber) == keras.losses.serialize(keras.losses.huber)
    again = losses.deserialize(losses.serialize(losses.BinaryCrossentropy(from_logits=True)))
    assert again.from_logits
    for name in ("poisson", "Poisson"):
        assert losses.deserialize(losses.serialize(losses.get(name))) == losses.get(name) or name == "Poisson"
    with pytest.raises(ValueError, match="Did you mean 'categorical_crossentropy'"):
        losses.get("categorical_crossentrop")


def test_every_name_and_signature_of_keras():
    def arguments(thing):
        parameters = inspect.signature(thing.__init__ if inspect.isclass(thing) else thing).parameters.values()
        return [(p.name, p.default) for p in parameters]

    names = [n for n in dir(keras.losses) if not n.startswith("_")]
    assert set(names) <= set(losses.__all__)
    assert {n: arguments(getattr(losses, n)) for n in names} == {n: arguments(getattr(keras.losses, n)) for n in names}


def test_bad_arguments():
    with pytest.raises(ValueError, match="Invalid value for argument `reduction`"):
        losses.MeanSquaredError(reduction="average")
    with pytest.raises(ValueError, match="`q` must be between"):
        losses.CategoricalGeneralizedCrossEntropy(q=1.5)
    with pytest.raises(ValueError, match="`axis` must be an int"):
        losses.categorical_crossentropy([[1.0]], [[1.0]], axis=True)
    with pytest.warns(SyntaxWarning, match="binary_crossentropy"):
        losses.categorical_crossentropy([[1.0]], [[1.0]])
    with pytest.raises(NotImplementedError, match="call"):
        losses.Loss()([1.0], [1.0])


class Spec:
    def __init__(self, *shape):
        self.shape = shape


IMAGES = np.zeros((4, 3))
# loss, targets, shape of predictions, what the message must say
WRONG_TARGETS = [
    (
        "sparse_categorical_crossentropy",
        np.array([0, 10]),
        (2, 10),
        r"y_true\[1\] is 10, .* 10 classes.*\[0, 10\).*at least 11 units",
    ),
    ("sparse_categorical_crossentropy", np.array([0, -1]), (2, 10), r"is -1, .*ignore_class=-1"),
    ("sparse_categorical_crossentropy", np.array([0, 0.5]), (2, 10), r"is 0.5, .*whole numbers.*regression"),
    ("sparse_categorical_crossentropy", np.array([0, np.nan]), (2, 10), r"is nan"),
    ("sparse_categorical_crossentropy", np.full((2, 4), 7), (2, 4, 5), r"y_true\[0, 0\] is 7.*8 such values"),
    ("sparse_categorical_crossentropy", np.eye(3), (3, 3), r"shape \(3, 3\) .*use categorical_crossentropy"),
    ("sparse_categorical_crossentropy", np.zeros(3), (2, 4), r"shape \(3,\) and y_pred has shape \(2, 4\)"),
    ("categorical_crossentropy", np.array([0, 1]), (2, 3), r"sparse_categorical_crossentropy.*num_classes=3"),
    ("categorical_crossentropy", np.array([[0], [1]]), (2, 3), r"sparse_categorical_crossentropy"),
    ("binary_crossentropy", np.array([[0], [2]]), (2, 1), r"y_true\[1, 0\] is 2, .*\[0, 1\]"),
    ("binary_crossentropy", np.array([[0], [np.nan]]), (2, 1), r"is nan"),
    ("mean_squared_error", np.zeros((4, 3)), (4, 2), r"\(4, 3\) and y_pred has shape \(4, 2\).*last layer"),
    ("mean_squared_error", np.zeros((4,)), (4, 2), r"\(4,\) and y_pred has shape \(4, 2\)"),
    ("mean_squared_error", np.zeros((5, 2)), (4, 2), r"number of samples"),
    ("circle", np.array([0.5, 1.0]), (2, 8), r"whole"),
    ("circle", np.zeros((2, 8)), (2, 8), r"one class number a row"),
    ("ctc", np.zeros(3), (3, 4, 5), r"\(batch, length\)"),
    ("categorical_generalized_cross_entropy", np.array([3]), (1, 3), r"is 3"),
]


@pytest.mark.parametrize("name, y_true, shape, message", WRONG_TARGETS)
def test_wrong_targets_are_named(name, y_true, shape, message):
    options = {"q": 0.5} if "generalized" in name else {}
    with pytest.raises(ValueError, match=f"(?s){name}.*{message}"):
        losses.LossFunctionWrapper(losses.get(name), **options).check_targets(y_true, Spec(*shape))


RIGHT_TARGETS = [
    ("sparse_categorical_crossentropy", np.array([0, 9]), (2, 10), {}),
    ("sparse_categorical_crossentropy", np.array([[0], [9.0]]), (None, 10), {}),
    ("sparse_categorical_crossentropy", np.array([0, 255], "uint8"), (2, 10), {"ignore_class": 255}),
    ("sparse_categorical_crossentropy", np.array([True, False]), (2, 2), {}),
    ("sparse_categorical_crossentropy", np.zeros((2, 5, 5)), (2, 3, 5, 5), {"axis": 1}),
    ("sparse_categorical_crossentropy", np.zeros((2, 1, 5, 5)), (2, 3, 5, 5), {"axis": 1}),
    ("categorical_crossentropy", np.eye(3), (3, 3), {}),
    ("binary_crossentropy", np.array([True, False]), (2, 1), {}),
    ("mean_squared_error", np.zeros(4), (4, 1), {}),
    ("mean_squared_error", np.zeros((4, 1)), (4,), {}),
    ("circle", np.arange(4), (4, 8), {}),
]


@pytest.mark.parametrize("name, y_true, shape, options", RIGHT_TARGETS)
def test_right_targets_pass(name, y_true, shape, options):
    losses.LossFunctionWrapper(losses.get(name), **options).check_targets(y_true, Spec(*shape))


def test_softmax_of_the_judge():
    assert_close(softmax(np.zeros((2, 4))), 0.25)
