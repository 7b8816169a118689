"""What `compile` was told about losses and metrics, resolved for the model's outputs at the first batch."""

import numbers
from typing import Any

from mlkit import losses as losses_module
from mlkit import metrics as metrics_module
from mlkit import ops
from mlkit.core import tree
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Identifier, Structure
from mlkit.models.outputs import OutputNames
from mlkit.objects.variable import Variable

_ACCURACIES = ("accuracy", "acc")
_CROSSENTROPIES = ("crossentropy", "ce")


class CompiledLoss:
    """The weighted sum of the losses of a model's outputs."""

    def __init__(self, loss: Structure, loss_weights: Structure = None):
        self.user_loss, self.user_weights = loss, loss_weights
        for one in tree.flatten(loss):
            if one is not None:
                losses_module.get(one)  # unknown names fail at once
        for one in tree.flatten(loss_weights):
            if not (one is None or isinstance(one, numbers.Real) or hasattr(one, "shape")):
                raise ValueError(
                    f"compile: `loss_weights` must be numbers, one for each output, but has {one!r}. What is measured beside the loss "
                    "is given by name: metrics=[...]."
                )
        self.built = False
        self.trackers = []

    @property
    def takes_class_numbers(self) -> bool:
        """Whether the targets are class numbers (of one output; class weights work for no more)."""
        given = tree.flatten(self.user_loss)
        return len(given) == 1 and getattr(losses_module.get(given[0]), "integer_targets", False)

    def build(self, outputs: OutputNames, y: Structure, y_pred: Structure) -> None:
        """Resolve losses for these OutputNames."""
        self.outputs = outputs
        self.losses = [_loss(one) for one in outputs.spread(self.user_loss, "loss", repeat=True)]
        outputs.has_loss = [one is not None for one in self.losses]
        weights = outputs.spread(self.user_weights, "loss_weights", repeat=False) if self.user_weights is not None else None
        self.weights = weights or [None] * len(self.losses)
        named = [n for n, one in zip(outputs.names, self.losses) if one is not None]
        self.trackers = [metrics_module.Mean(name=f"{n}_loss") for n in named] if len(outputs.names) > 1 else []
        self.built = True

    def check_targets(self, y: Structure, y_pred: Structure) -> None:
        """Let each loss look at its targets on the host (NumPy arrays) before a step."""
        targets = self.outputs.leaves(y, "targets `y`")
        for name, one, target, spec in zip(self.outputs.names, self.losses, targets, tree.flatten(y_pred)):
            if one is None:
                continue
            if target is None:
                raise ValueError(f"No targets were given for output {name!r}, which has the loss {one.name!r}. Pass `y`.")
            one.check_targets(target, spec)

    def __call__(self, y_true: Structure, y_pred: Structure, sample_weight: Structure = None) -> Tensor:
        targets = self.outputs.leaves(y_true, "targets `y`")
        weights = self._sample_weights(sample_weight)
        total, parts = None, []
        for one, scale, y, p, w in zip(self.losses, self.weights, targets, tree.flatten(y_pred), weights):
            if one is None or y is None:
                continue
            value = ops.cast(one(y, p, w), "float32")
            parts.append(value)
            value = value if scale is None else value * scale
            total = value if total is None else total + value
        for tracker, value in zip(self.trackers, parts):
            tracker.update_state(value, sample_weight=_batch_size(y_pred))
        return total

    def _sample_weights(self, sample_weight: Structure) -> list[Any]:
        if sample_weight is not None and not tree.is_nested(sample_weight):
            return [sample_weight] * len(self.losses)
        return self.outputs.leaves(sample_weight, "sample_weight")


class CompiledMetrics(metrics_module.Metric):
    """The metrics of a model's outputs, weighted by sample weights or not, as one metric whose result is a dict."""

    def __init__(self, metrics: Structure, weighted_metrics: Structure):
        super().__init__(name="compile_metrics")
        self.user_metrics, self.user_weighted = metrics, weighted_metrics
        for one in tree.flatten([metrics, weighted_metrics]):
            if isinstance(one, str) and one not in (*_ACCURACIES, *_CROSSENTROPIES):
                metrics_module.deserialize(one)  # unknown names fail at once; no metric is made yet, as it would take a name
            elif one is not None and not isinstance(one, str) and not callable(one):
                raise ValueError(f"compile: a metric must be a name, a Metric or a function, but got {one!r}.")
        self.built = False
        self.entries = []  # (name in logs, metric, index of the output, weighted)

    @property
    def metrics(self) -> list[Any]:
        """The metrics themselves; none before the first batch."""
        return [m for _, m, _, _ in self.entries]

    @property
    def variables(self) -> list[Variable]:
        return [v for m in self.metrics for v in m.variables]

    def reset_state(self) -> None:
        for m in self.metrics:
            m.reset_state()

    def build(self, outputs: OutputNames, y: Structure, y_pred: Structure) -> None:
        """Resolve metrics for these OutputNames, targets and predictions (anything with shapes)."""
        self.outputs = outputs
        targets, predictions = outputs.leaves(y, "targets `y`"), tree.flatten(y_pred)
        for given, weighted in ((self.user_metrics, False), (self.user_weighted, True)):
            what = "weighted_metrics" if weighted else "metrics"
            for i, group in enumerate(_groups(given, outputs, what)):
                for one in group:
                    if targets[i] is None:
                        raise ValueError(
                            f"compile: {what} {one!r} needs targets for output {outputs.names[i]!r}, but `y` has none."
                        )
                    metric = _metric(one, targets[i], predictions[i])
                    self.entries.append((self._log_name(metric, i, weighted), metric, i, weighted))
        self.built = True

    def _log_name(self, metric: Any, index: int, weighted: bool) -> str:
        """The metric's name behind that of its output. Names that are taken get a number, weighted ones say so first."""
        taken = {n for n, _, _, _ in self.entries}
        output = f"{self.outputs.names[index]}_" if len(self.outputs.names) > 1 else ""
        base = f"{output}{metric.name}"
        if weighted and base in taken:
            base = f"{output}weighted_{metric.name}"
        name, number = base, 1
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        return name

    def update_state(self, y: Structure, y_pred: Structure, sample_weight: Structure = None) -> None:
        targets, predictions = self.outputs.leaves(y, "targets `y`"), tree.flatten(y_pred)
        if sample_weight is not None and not tree.is_nested(sample_weight):
            weights = [sample_weight] * len(predictions)
        else:
            weights = self.outputs.leaves(sample_weight, "sample_weight")
        for _, metric, i, weighted in self.entries:
            if weighted:
                metric.update_state(targets[i], predictions[i], sample_weight=weights[i])
            else:
                metric.update_state(targets[i], predictions[i])

    def result(self) -> Any:
        """Name -> value of all metrics; those whose result is a dict are spread out."""
        logs = {}
        for name, metric, _, _ in self.entries:
            value = metric.result()
            logs.update(value if isinstance(value, dict) else {name: value})
        return logs


def _groups(given: Structure, outputs: OutputNames, what: str) -> list[list[Any]]:
    """Metrics as one list an output."""
    if given is None:
        return [[] for _ in outputs.names]
    flat_list = isinstance(given, (list, tuple)) and not any(isinstance(g, (list, tuple, dict)) for g in given)
    if len(outputs.names) == 1 and not isinstance(given, dict):
        return [[m for m in tree.flatten(given) if m is not None]]
    if flat_list and len(given) != len(outputs.names):
        raise ValueError(f"`{what}` has {len(given)} entries, but the model has {len(outputs.names)} outputs {outputs.names}.")
    return [[m for m in tree.flatten(g) if m is not None] for g in outputs.spread(given, what)]


def _loss(identifier: Identifier) -> Any:
    if identifier is None:
        return None
    found = losses_module.get(identifier)
    if isinstance(found, losses_module.Loss):
        return found
    return losses_module.LossFunctionWrapper(found, name=getattr(found, "__name__", None))


def _metric(identifier: Identifier, y: Structure, y_pred: Structure) -> Any:
    """The metric for a name, object or function; "accuracy" and "crossentropy" by the kind of targets."""
    if isinstance(identifier, str) and identifier in _ACCURACIES:
        kind = {"binary": "BinaryAccuracy", "sparse": "SparseCategoricalAccuracy", "dense": "CategoricalAccuracy"}
        return getattr(metrics_module, kind[_target_kind(y, y_pred)])(name=identifier)
    if isinstance(identifier, str) and identifier in _CROSSENTROPIES:
        kind = {"binary": "BinaryCrossentropy", "sparse": "SparseCategoricalCrossentropy", "dense": "CategoricalCrossentropy"}
        return getattr(metrics_module, kind[_target_kind(y, y_pred)])(name=identifier)
    found = metrics_module.get(identifier)
    if isinstance(found, metrics_module.Metric):
        if isinstance(identifier, str):
            found.name = identifier  # logs have the name that was given, "mae" say
        return found
    return metrics_module.MeanMetricWrapper(found, name=getattr(found, "__name__", None))


def _target_kind(y: Structure, y_pred: Structure) -> str:
    """ "binary", "sparse" (class numbers) or "dense" (one-hot), from the shapes of targets and predictions."""
    if len(y_pred.shape) == 0 or y_pred.shape[-1] == 1:
        return "binary"
    same_rank = len(y.shape) == len(y_pred.shape)
    if same_rank and y.shape[-1] == y_pred.shape[-1]:
        return "dense"
    if not same_rank and len(y.shape) == 1 and len(y_pred.shape) == 1:
        return "binary"
    return "binary" if same_rank and y.shape[-1] != 1 and len(y_pred.shape) == 1 else "sparse"


def _batch_size(y_pred: Structure) -> int:
    first = tree.flatten(y_pred)[0]
    return first.shape[0] if first.shape else 1
