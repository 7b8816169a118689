"""Targets, losses and metrics: whether they belong together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlkit.metrics.auc import AUC
from mlkit.metrics.confusion import OutcomeMetric
from mlkit.models.checks.case import Case, Output, check, count, named

OF_PROBABILITIES = frozenset(
    "binary_crossentropy binary_focal_crossentropy categorical_crossentropy categorical_focal_crossentropy "
    "sparse_categorical_crossentropy categorical_generalized_cross_entropy kl_divergence".split()
)
CATEGORICAL = frozenset(n for n in OF_PROBABILITIES if "categorical" in n)
REGRESSION = frozenset("mean_squared_error mean_absolute_error huber log_cosh mean_squared_logarithmic_error".split())
PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid", "sparsemax", "sparse_sigmoid")
RANGES = {  # activation -> the numbers it can give
    "sigmoid": (0, 1), "softmax": (0, 1), "hard_sigmoid": (0, 1), "tanh": (-1, 1), "relu": (0, np.inf),
    "softplus": (0, np.inf), "relu6": (0, 6), "softsign": (-1, 1),
}  # fmt: skip
RARE = 0.9  # share of the largest class from which accuracy says little
LARGE = 1e4  # mean magnitude of regression targets that nothing has scaled


@check(fatal=True)
def targets_fit(case: Case) -> Iterator[str]:
    """Each loss looks at all targets, as it does at those of each batch."""
    for what, y in (("", case.y), ("validation data: ", case.validation and case.validation[1])):
        if case.model._training.loss is None or y is None or case.specs is None:
            continue
        try:
            case.model._training.loss.check_targets(y, case.specs)
        except ValueError as error:
            yield what + str(error).replace("in this batch", "in all")


@check(fatal=True)
def finite_targets(case: Case) -> Iterator[str]:
    if case.allows_nonfinite:
        return
    for name, a in named("y", case.y):
        if a.dtype.kind == "f" and not np.isfinite(a).all():
            bad = np.argwhere(~np.isfinite(a))
            yield (
                f"{name} contains {len(bad)} NaN or infinite value(s), the first in row {bad[0][0]}. Leave out or fill the "
                "samples without a target."
            )


@check()
def logits_or_probabilities(case: Case) -> Iterator[str]:
    for o in case.outputs:
        if o.loss_function not in OF_PROBABILITIES or o.activation is None:
            continue
        function = "sigmoid" if "binary" in o.loss_function or o.units == 1 else "softmax"
        if o.from_logits and o.activation in PROBABILITIES:
            yield (
                f"the loss {o.loss.name!r}{o.where} has from_logits=True, but the last layer's {o.activation} makes "
                "probabilities already, so it is applied twice. Drop the activation, or from_logits."
            )
        elif not o.from_logits and o.activation not in PROBABILITIES:
            yield (
                f"the loss {o.loss.name!r}{o.where} expects probabilities, but the last layer's activation is "
                f"{o.activation}. Use activation={function!r} there, or the loss with from_logits=True."
            )


@check()
def one_unit(case: Case) -> Iterator[str]:
    for o in case.outputs:
        if o.units == 1 and (o.activation == "softmax" or o.loss_function in CATEGORICAL):
            why = "softmax over one unit is always 1" if o.activation == "softmax" else "a loss of one class is always 0"
            yield (
                f"{why}: nothing is learned{o.where}. Use one unit with sigmoid and binary_crossentropy for two classes, or a unit "
                "for each class."
            )


@check()
def kind_of_classification(case: Case) -> Iterator[str]:
    for o in case.outputs:
        if o.target is None or (o.units or 0) < 2 or o.target.ndim < 2 or o.target.shape[-1] != o.units:
            continue
        one_class = bool(np.allclose(o.target.astype("float64").sum(-1), 1, atol=1e-3))
        if o.loss_function == "binary_crossentropy" and o.activation == "softmax":
            yield (
                f"binary_crossentropy{o.where} judges each of {o.units} units by itself, but softmax makes them share one "
                "probability. Use categorical_crossentropy for one class a sample, or sigmoid for several."
            )
        elif o.loss_function in ("categorical_crossentropy", "categorical_focal_crossentropy") and not one_class:
            yield (
                f"the rows of `y`{o.where} do not sum to 1, as {o.loss.name} expects. If a sample may have several classes, use "
                "sigmoid and binary_crossentropy."
            )
        elif o.loss_function == "categorical_crossentropy" and o.activation == "sigmoid":
            yield (
                f"categorical_crossentropy{o.where} expects probabilities that sum to 1, but sigmoid makes each by itself. Use "
                "softmax for one class a sample, or binary_crossentropy for several."
            )


@check()
def out_of_reach(case: Case) -> Iterator[str]:
    for o in case.outputs:
        if o.target is None or o.activation not in RANGES or o.loss_function in OF_PROBABILITIES or not _is_numeric(o.target):
            continue
        low, high = RANGES[o.activation]
        if o.loss_function in ("hinge", "squared_hinge", "categorical_hinge"):
            continue
        share = float(np.mean((o.target < low) | (o.target > high)))
        if share > 0.01:
            yield (
                f"{share:.0%} of the targets{o.where} lie outside of [{low}, {high}], which {o.activation} in the last layer "
                "cannot reach. Use a linear last layer, or scale the targets."
            )


@check()
def scale_of_targets(case: Case) -> Iterator[str]:
    for o in case.outputs:
        if o.target is None or not _is_numeric(o.target) or not o.target.size:
            continue
        if o.loss_function in REGRESSION and o.activation == "linear":
            size = float(np.mean(np.abs(o.target.astype("float64"))))
            if size > LARGE and o.loss_function != "mean_squared_logarithmic_error":
                yield (
                    f"the targets{o.where} are {size:.3g} on average, and a new network answers with numbers near 0. Divide them "
                    "(and multiply the predictions), or train on their logarithm."
                )
        elif o.loss_function == "mean_absolute_percentage_error" and (share := float(np.mean(o.target == 0))):
            yield f"{share:.1%} of the targets{o.where} are 0, and a percentage of 0 dominates the loss. Use mean_absolute_error."
        elif o.loss_function == "poisson" and (o.target < 0).any():
            yield f"some targets{o.where} are negative, but poisson is a loss of counts. Use mean_squared_error."


@check()
def one_class_only(case: Case) -> Iterator[str]:
    for o in case.outputs:
        if o.target is None or count(case.y) < 16 or o.target.dtype.kind not in "biuf":
            continue
        first = o.target[:1]
        if o.target.ndim <= 2 and (o.target == first).all():
            yield (
                f"all targets{o.where} are equal ({np.array2string(first.ravel()[:4])}): there is nothing to learn. Look at how "
                "`y` was made."
            )


@check()
def majority(case: Case) -> Iterator[str]:
    for o in case.outputs:
        metrics = [n for n, m in o.metrics if _function(m).endswith("accuracy")]
        if o.labels is None or len(o.labels) < 64 or not metrics or case.class_weight is not None:
            continue
        if len(o.metrics) > len(metrics):  # another one is watched as well
            continue
        _, counts = np.unique(o.labels, return_counts=True)
        if len(counts) > 1 and counts.max() > RARE * counts.sum():
            yield (
                f"{counts.max() / counts.sum():.0%} of the targets{o.where} are of one class, so {metrics[0]} is that high "
                "without learning. Watch AUC, F1Score or Recall too, or pass class_weight."
            )


@check()
def metrics_fit(case: Case) -> Iterator[str]:
    for o in case.outputs:
        for name, metric in o.metrics if o.target is not None else ():
            text = _misfit(o, metric)
            if text:
                yield f"the metric {name!r}{o.where} {text}"


def _misfit(o: Output, metric) -> str | None:
    function, y = _function(metric), o.target
    several = (o.units or 0) > 1
    is_one_hot = several and y.ndim > 1 and y.shape[-1] == o.units
    continuous = y.dtype.kind == "f" and float(np.mean(y != np.round(y))) > 0.1
    if function.endswith("accuracy") and continuous and o.loss_function not in OF_PROBABILITIES:
        return "counts equal classes, but the targets are fractions. Use mae or RootMeanSquaredError for regression."
    if function == "accuracy" and o.activation in PROBABILITIES:
        return "compares predictions for equality, and probabilities are never equal. Pass the name 'accuracy' instead."
    if function.startswith("sparse_") and is_one_hot and function.endswith("accuracy"):
        return "takes class numbers, but the targets are one-hot. Use CategoricalAccuracy."
    if function in ("categorical_accuracy", "top_k_categorical_accuracy") and several and not is_one_hot:
        return "takes one-hot rows, but the targets are class numbers. Use SparseCategoricalAccuracy."
    if function == "binary_accuracy" and several and o.activation == "softmax":
        return "counts each unit by itself, but softmax chooses one class. Use CategoricalAccuracy, or the name 'accuracy'."
    thresholds = isinstance(metric, OutcomeMetric) or function == "binary_accuracy" or isinstance(metric, AUC)
    if not thresholds:
        return None
    if several and not is_one_hot:
        return f"takes yes/no targets for each unit, but they are class numbers of {o.units} classes. Make them one-hot."
    logits = o.activation == "linear" and o.from_logits and not getattr(metric, "from_logits", False)
    threshold = getattr(metric, "threshold", getattr(metric, "init_thresholds", None))
    if logits and (isinstance(metric, AUC) or threshold in (None, 0.5)):
        way = "AUC(from_logits=True)" if isinstance(metric, AUC) else "a threshold of 0.0"
        return f"takes probabilities (over 0.5 is yes), but the model gives logits. Use {way}, or end the model with sigmoid."
    return None


def _function(metric) -> str:
    return getattr(getattr(metric, "fn", None), "__name__", "")


def _is_numeric(a: np.ndarray) -> bool:
    return a.dtype.kind in "biuf"
