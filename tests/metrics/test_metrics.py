"""Every metric against Keras: streams of batches, weights, masks, resets, configs; and the same in a traced function."""

import inspect
import warnings

import numpy as np
import pytest

from mlkit import metrics, ops
from mlkit.core.function import function
from mlkit.objects.variable import Variable
from tests.losses.against_keras import assert_close, data, keras, softmax

pytestmark = pytest.mark.filterwarnings("ignore:Explicitly requested dtype")  # Keras's IoU on JAX

# class, kind of data, options
MEANS = [
    ("Accuracy", "labels", {}),
    ("BinaryAccuracy", "binary", {}),
    ("BinaryAccuracy", "binary", {"threshold": 0.7}),
    ("CategoricalAccuracy", "categorical", {}),
    ("SparseCategoricalAccuracy", "sparse", {}),
    ("TopKCategoricalAccuracy", "categorical", {"k": 2}),
    ("SparseTopKCategoricalAccuracy", "sparse", {"k": 3}),
    ("SparseTopKCategoricalAccuracy", "sorted_ids", {"k": 2, "from_sorted_ids": True}),
    ("MeanSquaredError", "real", {}),
    ("RootMeanSquaredError", "real", {}),
    ("MeanAbsoluteError", "real", {}),
    ("MeanAbsolutePercentageError", "real", {}),
    ("MeanSquaredLogarithmicError", "positive", {}),
    ("CosineSimilarity", "real", {}),
    ("LogCoshError", "real", {}),
    ("PearsonCorrelation", "real", {}),
    ("ConcordanceCorrelation", "real", {}),
    ("KLDivergence", "distributions", {}),
    ("Poisson", "counts", {}),
    ("Hinge", "signs", {}),
    ("SquaredHinge", "bits", {}),
    ("CategoricalHinge", "categorical_logits", {}),
    ("BinaryCrossentropy", "bits", {"from_logits": True, "label_smoothing": 0.1}),
    ("BinaryCrossentropy", "binary", {}),
    ("CategoricalCrossentropy", "categorical", {"label_smoothing": 0.1}),
    ("CategoricalCrossentropy", "categorical_logits", {"from_logits": True, "axis": -1}),
    ("SparseCategoricalCrossentropy", "sparse", {}),
    ("SparseCategoricalCrossentropy", "sparse_logits", {"from_logits": True, "ignore_class": 1}),
]
OUTCOMES = ("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives")
COUNTS = [
    *((c, "binary", {}) for c in OUTCOMES),
    *((c, "binary", {"thresholds": [0.2, 0.9]}) for c in OUTCOMES),
    *((c, "binary", {"thresholds": [0.0, 0.5, 1.0]}) for c in OUTCOMES),
    ("Precision", "binary", {}),
    ("Precision", "binary", {"thresholds": [0.3, 0.6]}),
    ("Precision", "categorical", {"top_k": 2}),
    ("Precision", "categorical", {"top_k": 2, "class_id": 1}),
    ("Precision", "binary", {"class_id": 2, "thresholds": 0.4}),
    ("Recall", "binary", {}),
    ("Recall", "binary", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}),
    ("Recall", "categorical", {"top_k": 1, "class_id": 0}),
    ("SensitivityAtSpecificity", "binary", {"specificity": 0.6}),
    ("SensitivityAtSpecificity", "binary", {"specificity": 0.6, "num_thresholds": 1}),
    ("SpecificityAtSensitivity", "binary", {"sensitivity": 0.7, "num_thresholds": 7}),
    ("PrecisionAtRecall", "binary", {"recall": 0.5}),
    ("RecallAtPrecision", "binary", {"precision": 0.6, "num_thresholds": 50, "class_id": 1}),
    *(
        ("AUC", "binary", {"curve": curve, "summation_method": how, "num_thresholds": 20})
        for curve in ("ROC", "PR", "PRGAIN")
        for how in ("interpolation", "majoring", "minoring")
    ),
    ("AUC", "binary", {}),
    ("AUC", "binary", {"thresholds": [0.9, 0.4, 0.55]}),
    ("AUC", "binary", {"thresholds": [0.25, 0.5, 0.75]}),
    ("AUC", "bits", {"from_logits": True, "label_weights": [0.1, 0.4, 0.3, 0.2]}),
    ("AUC", "binary", {"multi_label": True}),
    ("AUC", "binary", {"multi_label": True, "curve": "PR", "num_labels": 4, "label_weights": [0.1, 0.4, 0.3, 0.2]}),
    ("AUC", "binary", {"multi_label": True, "thresholds": [0.9, 0.4, 0.55], "curve": "PR", "summation_method": "minoring"}),
]
SCORES = [
    ("F1Score", "categorical", {}),
    ("F1Score", "binary", {"threshold": 0.4, "average": "micro"}),
    ("FBetaScore", "binary", {"beta": 2.0, "threshold": 0.4, "average": "macro"}),
    ("FBetaScore", "categorical", {"beta": 0.5, "average": "weighted"}),
    ("R2Score", "real", {}),
    ("R2Score", "real", {"class_aggregation": None}),
    ("R2Score", "real", {"class_aggregation": "variance_weighted_average", "num_regressors": 2}),
]
REGIONS = [
    ("IoU", "labels", {"num_classes": 4, "target_class_ids": [0, 2]}),
    ("IoU", "labels", {"num_classes": 4, "target_class_ids": [1], "ignore_class": 0}),
    ("BinaryIoU", "binary", {"target_class_ids": [1], "threshold": 0.3}),
    ("BinaryIoU", "binary", {}),
    ("MeanIoU", "labels", {"num_classes": 4}),
    ("MeanIoU", "labels", {"num_classes": 3}),
    ("MeanIoU", "categorical", {"num_classes": 4, "sparse_y_true": False, "sparse_y_pred": False}),
    ("OneHotIoU", "categorical", {"num_classes": 4, "target_class_ids": [0, 1]}),
    ("OneHotMeanIoU", "one_hot_labels", {"num_classes": 4, "sparse_y_pred": True, "ignore_class": 3}),
]
METRICS = [*MEANS, *COUNTS, *SCORES, *REGIONS]
IDS = [f"{c}-{k}-{'-'.join(map(str, o.values()))}" for c, k, o in METRICS]
every_metric = pytest.mark.parametrize("cls, kind, options", METRICS, ids=IDS)


def batch(kind, shape=(6, 4), seed=0):
    """(y_true, y_pred) of the kinds losses know, and of kinds that are for metrics only."""
    y_true, y_pred = data("sparse" if kind in ("labels", "sorted_ids", "one_hot_labels") else kind, shape, seed)
    if kind == "labels":
        return y_true, y_pred.argmax(-1).astype("int32")
    if kind == "one_hot_labels":
        return np.eye(shape[-1], dtype="float32")[y_true], y_pred.argmax(-1).astype("int32")
    return (y_true, np.argsort(-y_pred, -1).astype("int32")) if kind == "sorted_ids" else (y_true, y_pred)


def pair(cls, options):
    return getattr(metrics, cls)(**options), getattr(keras.metrics, cls)(**options)


def weights_for(cls, kind, seed):
    w = np.random.default_rng(seed).integers(0, 4, 6).astype("float32")
    whole = cls.endswith("IoU")
    if whole and kind == "binary":
        w = np.repeat(w, 4)  # one an entry
    return w.astype("int32") if whole else w / 2


@every_metric
def test_stream_of_batches(cls, kind, options):
    ours, theirs = pair(cls, options)
    for seed in (0, 1, 2):
        y_true, y_pred = batch(kind, seed=seed)
        weight = weights_for(cls, kind, seed) if seed else None
        assert_close(ours(y_true, y_pred, weight), theirs(y_true, y_pred, weight), rtol=2e-5, message=f"batch {seed}")
    assert [v.shape for v in ours.variables] == [tuple(v.shape) for v in theirs.variables]
    for a, b in zip(ours.variables, theirs.variables):
        assert a.name == b.name
        assert a.dtype == b.dtype
        assert_close(a, b, rtol=2e-5)
    ours.reset_state()
    theirs.reset_state()
    assert all((v.numpy() == 0).all() for v in ours.variables)
    y_true, y_pred = batch(kind, seed=4)
    assert_close(ours(y_true, y_pred), theirs(y_true, y_pred), rtol=2e-5)


@every_metric
def test_traced_update_is_the_eager_one(cls, kind, options):
    eager, traced = getattr(metrics, cls)(**options), getattr(metrics, cls)(**options)
    step = function(lambda t, p, w: traced.update_state(t, p, w))
    for seed in (0, 1, 2):
        y_true, y_pred = map(ops.convert_to_tensor, batch(kind, seed=seed))
        weight = ops.convert_to_tensor(weights_for(cls, kind, seed))
        eager.update_state(y_true, y_pred, weight)
        step(y_true, y_pred, weight)
    for a, b in zip(eager.variables, traced.variables):
        assert_close(a, b)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_close(function(traced.result)(), eager.result())


@every_metric
def test_config(cls, kind, options):
    keras.backend.clear_session()
    ours, theirs = pair(cls, {**options, "name": "mine"})
    config = ours.get_config()
    expected = theirs.get_config()
    for key in ("label_weights", "thresholds"):  # arrays and NumPy numbers in Keras's configs
        if expected.get(key) is not None:
            expected[key] = np.asarray(expected[key])
            assert_close(config[key], expected.pop(key), rtol=1e-6)
            config = {k: v for k, v in config.items() if k != key}
    assert config == expected
    again = type(ours).from_config(ours.get_config())
    assert again.get_config() == ours.get_config()


FUNCTIONS = [
    ("binary_accuracy", "binary", {"threshold": 0.3}),
    ("categorical_accuracy", "categorical", {}),
    ("sparse_categorical_accuracy", "sparse", {}),
    ("top_k_categorical_accuracy", "categorical", {"k": 2}),
    ("sparse_top_k_categorical_accuracy", "sparse", {"k": 2}),
    ("pearson_correlation", "real", {"axis": 0}),
    ("concordance_correlation", "real", {"axis": 0}),
]


@pytest.mark.parametrize("name, kind, options", FUNCTIONS)
@pytest.mark.parametrize("shape", [(6, 4), (3, 5, 4)])
def test_functions(name, kind, options, shape):
    y_true, y_pred = batch(kind, shape)
    ours, theirs = getattr(metrics, name)(y_true, y_pred, **options), getattr(keras.metrics, name)(y_true, y_pred, **options)
    assert ours.shape == theirs.shape
    assert_close(ours, theirs)
    if kind == "sparse":
        y_true = y_true[..., None]
        assert_close(getattr(metrics, name)(y_true, y_pred, **options), getattr(keras.metrics, name)(y_true, y_pred, **options))


SEQUENCES = ["CategoricalAccuracy", "CategoricalCrossentropy", "MeanSquaredError", "Recall", "TruePositives", "AUC"]


@pytest.mark.parametrize("cls", SEQUENCES)
@pytest.mark.parametrize("weight", [None, (3, 5), (3, 1)], ids=str)
def test_weights_of_sequences(cls, weight):
    if weight == (3, 1) and cls in ("Recall", "TruePositives", "AUC"):
        weight = (3, 1, 1)
    ours, theirs = pair(cls, {})
    y_true, y_pred = batch("categorical", (3, 5, 4))
    weight = None if weight is None else np.random.default_rng(1).uniform(size=weight).astype("float32")
    assert_close(ours(y_true, y_pred, weight), theirs(y_true, y_pred, weight), rtol=2e-5)


def test_masked_predictions():
    y_true, y_pred = batch("categorical", (3, 5, 4))
    valid = np.random.default_rng(1).uniform(size=(3, 5)) > 0.4
    for weight in (None, np.linspace(0, 1, 15, dtype="float32").reshape(3, 5)):
        ours, theirs = pair("CategoricalAccuracy", {})
        a, b = ops.convert_to_tensor(y_pred), keras.ops.convert_to_tensor(y_pred)
        a._keras_mask, b._keras_mask = ops.convert_to_tensor(valid), keras.ops.convert_to_tensor(valid)
        assert_close(ours(y_true, a, weight), theirs(y_true, b, weight))


@pytest.mark.parametrize("cls", ["Mean", "Sum"])
@pytest.mark.parametrize(
    "shape, weight", [((), None), ((4,), None), ((4, 3), (4,)), ((4, 3), (4, 3)), ((4, 3), (4, 1)), ((4,), (4, 1))]
)
def test_reductions(cls, shape, weight):
    ours, theirs = pair(cls, {})
    rng = np.random.default_rng(0)
    for _ in range(2):
        values = rng.normal(size=shape).astype("float32")
        w = None if weight is None else rng.uniform(size=weight).astype("float32")
        assert_close(ours(values, w), theirs(values, w))


def test_many_classes_in_half_precision():
    """Class numbers above 2048 are compared exactly though predictions are float16 (Keras rounds them)."""
    y_pred = np.zeros((1, 2100), "float16")
    y_pred[0, 2049] = 1.0
    assert float(metrics.SparseCategoricalAccuracy()([2049], y_pred)) == 1.0
    assert float(metrics.SparseCategoricalAccuracy()([2048], y_pred)) == 0.0


def test_scores_outside_the_unit_interval():
    y_true, y_pred = np.array([0.0, 1.0, 1.0, 0.0]), np.array([-3.0, 7.0, np.nan, 0.0])
    m = metrics.AUC(num_thresholds=5)
    m.update_state(y_true, y_pred)
    assert (m.true_positives.numpy() + m.false_negatives.numpy() == 2).all()  # no sample is lost


def test_wrapper_of_own_function():
    def distance(y_true, y_pred, power=1.0):
        return ops.mean(ops.abs(y_true - y_pred) ** power, axis=-1)

    y_true, y_pred = batch("real")
    m = metrics.MeanMetricWrapper(distance, name="distance", power=2.0)
    assert_close(m(y_true, y_pred), metrics.MeanSquaredError()(y_true, y_pred))
    assert m.power == 2.0
    assert m.name == "distance"
    assert metrics.MeanMetricWrapper(ops.abs).name == "mean_metric_wrapper"


def test_direction():
    better = {
        "Accuracy": "up",
        "AUC": "up",
        "Recall": "up",
        "MeanSquaredError": "down",
        "RootMeanSquaredError": "down",
        "Mean": None,
    }
    assert {name: getattr(metrics, name)()._direction for name in better} == better


class Largest(metrics.Metric):
    def __init__(self, name="largest", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.largest = self.add_weight(name="largest")
        self.inner = {"mean": [metrics.Mean(name="mean")]}
        self.seen = Variable(0, dtype="int32")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest.assign(ops.maximum(self.largest, ops.max(y_pred)))
        self.inner["mean"][0].update_state(y_pred)
        self.seen.assign_add(1)

    def result(self):
        return {"largest": self.largest, "mean": self.inner["mean"][0].result()}


def test_metric_of_ones_own():
    m = Largest()
    assert [v.name for v in m.variables][:1] == ["largest"]
    assert len(m.variables) == 4
    assert m.variables[0].path == "largest/largest"
    step = function(m.update_state)
    step(None, ops.convert_to_tensor([1.0, 5.0]))
    step(None, ops.convert_to_tensor([2.0, 4.0]))
    result = m.result()
    assert float(result["largest"]) == 5.0
    assert float(result["mean"]) == 3.0
    assert int(m.seen) == 2
    m.reset_state()
    assert all((v.numpy() == 0).all() for v in m.variables)
    assert m.get_config() == {"name": "largest", "dtype": "float32"}


def test_stateless():
    m = metrics.Mean()
    m.update_state([10.0])
    values = m.stateless_update_state([ops.convert_to_tensor(4.0), ops.convert_to_tensor(2.0)], [6.0])
    assert [float(v) for v in values] == [10.0, 3.0]
    assert round(float(m.stateless_result(values)), 5) == 3.33333
    assert [float(v) for v in m.stateless_reset_state()] == [0.0, 0.0]
    assert float(m.result()) == 10.0
    with pytest.raises(ValueError, match="2 variables, but got 1"):
        m.stateless_result(values[:1])


def test_dtype():
    y_true, y_pred = batch("real")
    assert metrics.MeanSquaredError(dtype="float16")(y_true, y_pred).dtype == "float16"
    mean = metrics.Mean(dtype="mixed_bfloat16")
    assert (mean.dtype, mean.total.dtype) == ("bfloat16", "float32")  # a half float cannot count beyond 2,048
    with pytest.raises(AttributeError):
        metrics.Mean().dtype = "float16"


def test_get_and_serialize():
    assert metrics.get(None) is None
    for name, cls in (("mse", "MeanSquaredError"), ("MAE", "MeanAbsoluteError"), ("auc", "AUC"), ("r2_score", "R2Score")):
        assert type(metrics.get(name)) is getattr(metrics, cls)
    assert isinstance(metrics.get("categorical_accuracy"), metrics.CategoricalAccuracy)
    assert metrics.get({"class_name": "Recall", "config": {"top_k": 3}}).top_k == 3
    m = metrics.TopKCategoricalAccuracy(k=3)
    assert metrics.serialize(m) == keras.metrics.serialize(keras.metrics.TopKCategoricalAccuracy(k=3))
    assert metrics.deserialize(metrics.serialize(m)).k == 3
    with pytest.raises(ValueError, match="Did you mean 'precision'|'Precision'"):
        metrics.get("precison")


def test_every_name_and_signature_of_keras():
    def arguments(thing):
        parameters = inspect.signature(thing.__init__ if inspect.isclass(thing) else thing).parameters.values()
        return [(p.name, p.default) for p in parameters]

    names = [n for n in dir(keras.metrics) if not n.startswith("_")]
    assert set(names) <= set(metrics.__all__)
    assert {n: arguments(getattr(metrics, n)) for n in names} == {n: arguments(getattr(keras.metrics, n)) for n in names}


BAD = [
    (lambda: metrics.AUC(num_thresholds=1), "num_thresholds"),
    (lambda: metrics.AUC(curve="XYZ"), "`curve` must be one of"),
    (lambda: metrics.AUC(num_labels=3), "multi_label"),
    (lambda: metrics.AUC(multi_label=True)([1, 0], [0.5, 0.5]), r"\(batch, labels\)"),
    (lambda: metrics.Precision(thresholds=[0.5, 1.5]), r"\[0, 1\], but got \[1.5\]"),
    (lambda: metrics.Precision(class_id=1)([1, 0], [0.5, 0.5]), r"\(batch, classes\)"),
    (lambda: metrics.RecallAtPrecision(1.5), "`precision` must be in"),
    (lambda: metrics.FBetaScore(beta=1), "`beta` must be a float"),
    (lambda: metrics.F1Score(threshold=2.0), r"\(0, 1\]"),
    (lambda: metrics.F1Score(average="mean"), "`average` must be"),
    (lambda: metrics.F1Score()([1, 0], [0.5, 0.5]), "to_categorical"),
    (lambda: metrics.R2Score(class_aggregation="sum"), "`class_aggregation` must be"),
    (lambda: metrics.R2Score()([1.0, 0.0], [0.5, 0.5]), r"\(batch, outputs\)"),
    (lambda: metrics.IoU(num_classes=2, target_class_ids=[2]), "numbered 0 to 1"),
]


@pytest.mark.parametrize("call, message", BAD)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_warnings():
    with pytest.warns(UserWarning, match="whole numbers"):
        metrics.MeanIoU(2)([0, 1], [0, 1], sample_weight=np.array([0.5, 1.5]))
    with pytest.warns(UserWarning, match="too few for the adjusted score"):
        value = metrics.R2Score(num_regressors=10)([[1.0], [2.0]], [[1.0], [3.0]])
    assert_close(value, -1.0)


def test_base_class():
    class Forgot(metrics.Metric):
        def __init__(self):
            self.add_weight()

    with pytest.raises(RuntimeError, match="super"):
        Forgot()
    with pytest.raises(NotImplementedError, match="update_state"):
        metrics.Metric().update_state()
    with pytest.raises(NotImplementedError, match="result"):
        metrics.Metric().result()


def test_softmax_sums_to_one():
    assert_close(softmax(np.zeros((2, 4))).sum(-1), 1.0)


NARROW = ("float16", "bfloat16", "uint8")
LARGE = {"real", "counts", "positive", "signs"}  # kinds whose numbers may be so large that their squares overflow half floats


def narrowed(x, dtype, factor):
    """Values as a narrow dtype holds them, in that dtype."""
    x = np.asarray(x, "float32") * factor
    return ops.cast(np.clip(np.round(np.abs(x)), 0, 255) if dtype == "uint8" else x, dtype)


@pytest.mark.filterwarnings("default:Metric .* the sample weights are float:UserWarning")  # cut to whole numbers either way
@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize(
    "cls, kind, options", [*METRICS, ("Mean", "real", {}), ("Sum", "real", {})], ids=[*IDS, "Mean-real", "Sum-real"]
)
def test_narrow_inputs_count_as_float32(cls, kind, options, dtype):
    """Metrics of half floats and small integers are those of the same numbers in float32: nothing overflows, wraps around, or is
    rounded away, however many samples there are."""
    narrow, wide = getattr(metrics, cls)(**options), getattr(metrics, cls)(**options)
    factor = 60.0 if kind in LARGE else 1.0
    for seed in range(2):
        y_true, y_pred = (narrowed(x, dtype, factor) for x in batch(kind, (3000, 4), seed))
        weight = ops.cast(np.arange(3000) % 3, dtype)
        if cls.endswith("IoU") and kind == "binary":
            weight = ops.repeat(weight, 4)
        given = (y_pred, weight) if cls in ("Mean", "Sum") else (y_true, y_pred, weight)
        narrow.update_state(*given)
        wide.update_state(*(ops.cast(x, "float32") for x in given))
    expected = np.asarray(wide.result())
    assert np.isfinite(expected).all() or dtype == "uint8", (
        "shares of a probability are zeros in integers, but not in half floats"
    )
    np.testing.assert_allclose(np.asarray(narrow.result()), expected, rtol=1e-5, atol=1e-6)
