"""The base class of losses, and the loss made of a function."""

from collections.abc import Callable
from typing import Any

from mlkit import dtype_policies, ops
from mlkit.core import dtypes, tree
from mlkit.core.names import auto_name
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, Structure, TensorLike
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.losses.reduce import (
    combine_masks,
    get_mask,
    reduce_weighted_values,
    squeeze_or_expand_to_same_rank,
    standardize_reduction,
)
from mlkit.objects.config_object import Configurable, init_signature, serialized


def compute_dtype(dtype: DTypeOrPolicy) -> str:
    """Name of the dtype to compute in, given None (floatx), a dtype, or a DTypePolicy or its name."""
    return dtype_policies.get(dtype or dtypes.floatx()).compute_dtype


class FunctionOptions:
    """What losses and metrics made of a function share: its options, kept as attributes and written into the config."""

    def set_function(self, fn: Callable[..., Any], options: dict[str, Any]) -> None:
        """Keep the function and its options; each option becomes an attribute."""
        self.fn, self.options = fn, options
        for key, value in options.items():
            setattr(self, key, value)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if "fn" in config:  # of a general wrapper; the classes that stand for one function take options only
            config.update({k: serialized(v) for k, v in self.options.items()})
        return config

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name} fn={getattr(self.fn, '__name__', self.fn)} options={self.options}>"


def omit_defaults(config: dict[str, Any], obj: Any) -> dict[str, Any]:
    """The config without the arguments that Keras's config lacks (`obj.unlisted`), unless they differ from their default."""
    parameters = init_signature(type(obj)).parameters
    return {k: v for k, v in config.items() if k not in obj.unlisted or k not in parameters or v != parameters[k].default}


class Loss(Configurable):
    """Base class of losses. A loss of one's own defines `call`, one value an element or a sample.

    Args:
        name: Name, used in logs. By default made from the class name.
        reduction: How the values become one: ``"sum_over_batch_size"`` and ``"mean"`` average over all values, ``"sum"`` adds
            them, ``"mean_with_sample_weight"`` divides their sum by that of the sample weights, ``"none"`` and None leave them.
        dtype: Dtype (or DTypePolicy) of the computation; `mlkit.config.floatx()` by default.

    Example:

    >>> import mlkit
    >>> class Cubic(mlkit.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return mlkit.ops.mean(mlkit.ops.abs(y_pred - y_true) ** 3, axis=-1)
    >>> float(Cubic()([[0.0], [2.0]], [[1.0], [1.0]]))
    1.0
    """

    integer_targets = False  # whether `call` takes class numbers, which keep their dtype
    unlisted = ()  # arguments that Keras's config leaves out; ours has them where they differ from the default

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: DTypeOrPolicy = None):
        self.name = name or auto_name(type(self).__name__)
        self.reduction = standardize_reduction(reduction)
        self._dtype = compute_dtype(dtype)

    @property
    def dtype(self) -> str:
        """Name of the dtype the loss is computed in."""
        return self._dtype

    def __call__(self, y_true: Structure, y_pred: Structure, sample_weight: TensorLike | None = None) -> Tensor:
        """The reduced loss.

        Args:
            y_true: Targets, shape (batch, ...), or a structure of them.
            y_pred: Predictions, shape (batch, ...), or a structure of them. A mask on them (from a Masking or Embedding layer)
                counts.
            sample_weight: Weight of each sample (batch,), or of each value. Optional.

        Returns:
            A scalar, or one value a sample without reduction.
        """
        mask = get_mask(y_pred)
        y_pred = _to_tensors(y_pred, self.dtype)
        y_true = _to_tensors(y_true, None if self.integer_targets else self.dtype)
        values = self.call(y_true, y_pred)
        return reduce_weighted_values(
            values,
            sample_weight=sample_weight,
            mask=combine_masks(mask, get_mask(values)),
            reduction=self.reduction,
            dtype=self.dtype,
        )

    def call(self, y_true: Structure, y_pred: Structure) -> Tensor:
        """Losses, one an element or a sample. To be defined by subclasses."""
        raise NotImplementedError(f"{type(self).__name__} does not define `call(y_true, y_pred)`.")

    def check_targets(self, y_true: Any, y_pred_spec: Any) -> None:
        """Look at the targets before a training step, on the host. The trainer calls it; the base class accepts everything.

        Args:
            y_true: The targets, a NumPy array.
            y_pred_spec: Anything with the `shape` of the predictions.

        Raises:
            ValueError: if the targets cannot be right for this loss.
        """

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes, as a dict of plain values."""
        config = {"name": self.name, "reduction": self.reduction, **super().get_config()}
        if config.get("dtype") == dtypes.floatx():
            del config["dtype"]  # Keras's configs have none
        return omit_defaults(config, self)


class LossFunctionWrapper(FunctionOptions, Loss):
    """A loss made of a function ``fn(y_true, y_pred, **options)`` that returns one value a sample.

    Args:
        fn: The function.
        reduction, name, dtype: As in `Loss`.
        **kwargs: Options passed to the function at each call; each is also an attribute of the loss.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.set_function(fn, kwargs)

    @property
    def integer_targets(self) -> bool:
        return getattr(self.fn, "integer_targets", False)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The function applied to targets and predictions whose ranks are matched (a trailing axis of size 1)."""
        flat_true, flat_pred = tree.flatten(y_true), tree.flatten(y_pred)
        if len(flat_true) == len(flat_pred):
            pairs = [squeeze_or_expand_to_same_rank(t, p) for t, p in zip(flat_true, flat_pred)]
            y_true = tree.pack_sequence_as(y_true, [t for t, _ in pairs])
            y_pred = tree.pack_sequence_as(y_pred, [p for _, p in pairs])
        return self.fn(y_true, y_pred, **self.options)

    def check_targets(self, y_true: Any, y_pred_spec: Any) -> None:
        check = getattr(self.fn, "check_targets", None)
        if check is not None:
            check(y_true, tuple(y_pred_spec.shape), **self.options)


def _to_tensors(structure, dtype: DType | None):
    """A structure with its leaves as tensors; lists of plain numbers are leaves too."""
    if all(isinstance(leaf, (bool, int, float)) for leaf in tree.flatten(structure)):
        return ops.convert_to_tensor(structure, dtype=dtype)
    return tree.map_structure(lambda x: ops.convert_to_tensor(x, dtype=dtype), structure)
