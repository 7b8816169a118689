"""Sums and means over batches, and the mean of a function of targets and predictions."""

from collections.abc import Callable
from typing import Any

from mlkit import ops
from mlkit.core import dtypes, tree
from mlkit.core.typing import Structure, TensorLike
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.losses.loss import FunctionOptions
from mlkit.losses.reduce import apply_mask, get_mask, squeeze_or_expand_to_same_rank
from mlkit.metrics.metric import Metric


def samplewise(values: Any, sample_weight: Any, reduce: Callable[..., Any], dtype: str) -> Any:
    """Weighted values and weights, both reduced to one a sample.

    Args:
        values: shape (batch, ...) or a scalar.
        sample_weight: weights of the leading axes, or broadcasting to the values. Optional.
        reduce: ops.mean or ops.sum, for the axes after the first.
        dtype: dtype of the computation.

    Returns:
        values (batch,) and weights (batch,), or None for no weights.
    """
    mask = get_mask(values)
    values = ops.cast(values, dtype)
    if sample_weight is not None:
        weights = apply_mask(ops.convert_to_tensor(sample_weight, dtype=dtype), mask, dtype, "sum")
        values, weights = squeeze_or_expand_to_same_rank(values, weights)
        if values.ndim > weights.ndim:
            values = reduce(values, axis=tuple(range(weights.ndim, values.ndim)))
        weights = ops.broadcast_to(weights, values.shape)
        values, sample_weight = values * weights, _reduce_rest(weights, reduce)
    return _reduce_rest(values, reduce), sample_weight


def _reduce_rest(x, reduce):
    return reduce(x, axis=tuple(range(1, x.ndim))) if x.ndim > 1 else x


class Sum(Metric):
    """Sum of all values.

    Args:
        name, dtype: As in `Metric`.

    Called on values of any shape; the result is a scalar.

    >>> m = Sum()
    >>> m.update_state([1.0, 3.0])
    >>> float(m([5.0]))
    9.0
    """

    def __init__(self, name: str | None = "sum", dtype: DTypeOrPolicy = None):
        super().__init__(dtype, name)
        self.total = self.add_variable((), "zeros", dtype=self.accumulator_dtype, name="total")

    def update_state(self, values: TensorLike, sample_weight: TensorLike | None = None) -> None:
        """Add values of any shape, each times its weight."""
        values, _ = samplewise(values, sample_weight, ops.sum, self.accumulator_dtype)
        self.total.assign_add(ops.sum(values))

    def result(self) -> Any:
        return ops.cast(self.total, self.dtype)


class Mean(Metric):
    """Mean over all samples: of weighted values, divided by the sum of the weights.

    Args:
        name, dtype: As in `Metric`.

    Called on values of any shape; the result is a scalar.

    >>> m = Mean()
    >>> m.update_state([1.0, 3.0], sample_weight=[1.0, 0.0])
    >>> float(m([5.0]))
    3.0
    """

    def __init__(self, name: str | None = "mean", dtype: DTypeOrPolicy = None):
        super().__init__(dtype, name)
        self.total = self.add_variable((), "zeros", dtype=self.accumulator_dtype, name="total")
        self.count = self.add_variable((), "zeros", dtype=self.accumulator_dtype, name="count")

    def update_state(self, values: TensorLike, sample_weight: TensorLike | None = None) -> None:
        """Take in values of shape (batch, ...), or a scalar that counts as one sample."""
        values, weights = samplewise(values, sample_weight, ops.mean, self.accumulator_dtype)
        self.total.assign_add(ops.sum(values))
        if weights is not None:
            self.count.assign_add(ops.sum(weights))
        else:
            self.count.assign_add(values.shape[0] if values.ndim else 1)

    def result(self) -> Any:
        return ops.cast(self._mean(), self.dtype)

    def _mean(self):
        return ops.divide_no_nan(self.total, self.count)


class MeanMetricWrapper(FunctionOptions, Mean):
    """Mean of a function ``fn(y_true, y_pred, **options)`` that returns one value a sample, or more.

    Args:
        fn: The function.
        name, dtype: As in `Metric`.
        **kwargs: Options passed to the function at each call; each is also an attribute of the metric.
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: DTypeOrPolicy = None, **kwargs: Any):
        super().__init__(name, dtype)
        self.set_function(fn, kwargs)
        if hasattr(fn, "check_targets") and self._direction is None:  # one of the losses
            self._direction = "down"

    def update_state(self, y_true: Structure, y_pred: Structure, sample_weight: TensorLike | None = None) -> None:
        """Take in one batch.

        Args:
            y_true: Targets, shape (batch, ...).
            y_pred: Predictions, shape (batch, ...); entries that a mask on them excludes do not count.
            sample_weight: Weight of each sample or value. Optional.
        """
        mask = get_mask(y_pred)
        y_true, y_pred = (tree.map_structure(self._wide_enough, y) for y in (y_true, y_pred))
        values = self.fn(y_true, y_pred, **self.options)
        super().update_state(values, sample_weight=apply_mask(sample_weight, mask, self.accumulator_dtype, "sum"))

    def _wide_enough(self, x):
        """A tensor of half floats (predictions under mixed precision) as the metric's dtype; anything else as it is."""
        half = getattr(x, "dtype", None) is not None and str(x.dtype) in dtypes.HALF
        return ops.cast(x, self.accumulator_dtype) if half else x
