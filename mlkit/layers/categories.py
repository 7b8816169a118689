"""Numbers that name categories as vectors, and measured values as categories: CategoryEncoding, Discretization."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit import ops
from mlkit.core.dtypes import single_of
from mlkit.core.ownership import own_arrays
from mlkit.core.typing import DType, Structure, TensorLike
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.layers.argument_checks import positive, refuse
from mlkit.layers.layer import Layer


def encoded(indices, mode, depth, dtype: DType | None, weights=None):
    """Indices below `depth` as they are ("int"), as one-hot vectors, or the samples' values (last axis) together.

    "multi_hot": 1 for each index that occurs in a sample; "count": how often it does, or the sum of its `weights`.
    """
    if mode == "int":
        return ops.cast(indices, dtype)
    if mode == "multi_hot":
        return ops.multi_hot(indices, depth, dtype=dtype)
    if mode == "one_hot":
        alone = indices.ndim > 1 and indices.shape[-1] == 1
        return ops.one_hot(ops.squeeze(indices, -1) if alone else indices, depth, dtype=dtype)
    each = ops.one_hot(indices, depth, dtype=dtype)
    if weights is not None:
        each = each * ops.cast(ops.expand_dims(weights, -1), dtype)
    return ops.sum(each, axis=1 if indices.ndim > 1 else 0)


def output_mode_of(layer: Any, mode, allowed):
    """The mode under its present name; ValueError for unknown ones."""
    mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(mode, mode)
    if mode not in allowed:
        raise ValueError(f"{type(layer).__name__}: unknown `output_mode` {mode!r}; it must be one of {allowed}.")
    return mode


class CategoryEncoding(Layer):
    """Integers below `num_tokens` as vectors of that size.

    Inputs: (batch, values) or (values,).

    Args:
        num_tokens: size of the vectors.
        output_mode: "one_hot" for each integer; "multi_hot" for the set of a sample's integers; "count" for how often each
            occurs, or with `count_weights` in the call the sum of their weights.

    >>> import mlkit
    >>> mlkit.layers.CategoryEncoding(num_tokens=4)([[0, 1], [3, 3]]).numpy()
    array([[1., 1., 0., 0.],
           [0., 0., 0., 1.]], dtype=float32)
    """

    def __init__(self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        refuse(self, sparse=sparse)
        self.output_mode = output_mode_of(self, output_mode, ("count", "one_hot", "multi_hot"))
        if num_tokens is None or num_tokens < 1:
            raise ValueError(f"CategoryEncoding: `num_tokens` must be set, to 1 or more, but got {num_tokens!r}.")
        self.num_tokens = positive(self, num_tokens=num_tokens)
        self.autocast = False

    def call(self, inputs: Any, count_weights: TensorLike | None = None) -> Any:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(f"CategoryEncoding: `count_weights` is for output_mode='count', not {self.output_mode!r}.")
        inputs = ops.cast(ops.convert_to_tensor(inputs), "int32")
        return encoded(inputs, self.output_mode, self.num_tokens, self.compute_dtype, count_weights)

    def __call__(self, inputs: Structure, *args: Any, **kwargs: Any) -> Any:
        plain = isinstance(inputs, (list, tuple, int))  # numbers, not several tensors
        return super().__call__(np.asarray(inputs) if plain else inputs, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("sparse")
        config.pop("autocast", None)
        return config


class Discretization(Layer):
    """Numbers to the bins they fall into: bin i holds boundaries[i - 1] <= x < boundaries[i].

    Args:
        bin_boundaries: increasing numbers; or num_bins: `adapt` finds boundaries that give bins of equal size.
        epsilon: relative error of those quantiles.
        output_mode: "int", or "one_hot", "multi_hot", "count" as in CategoryEncoding.
        num_bins: number of bins that `adapt` makes.

    Input: any shape. Output: its shape; for vectors their size is added or takes the last axis's place, as in CategoryEncoding.

    >>> import mlkit, numpy
    >>> mlkit.layers.Discretization([0.0, 1.0])(numpy.array([-1.0, 0.0, 0.5, 7.0])).numpy()
    array([0, 1, 1, 2], dtype=int32)
    """

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: DTypeOrPolicy = None,
        name: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        refuse(self, sparse=sparse)
        self.output_mode = output_mode_of(self, output_mode, ("int", "one_hot", "multi_hot", "count"))
        if (num_bins is None) == (bin_boundaries is None) or (num_bins is not None and num_bins < 0):
            raise ValueError(
                f"Discretization: set either `num_bins`, at least 0, or `bin_boundaries`, but got {num_bins!r} and "
                f"{bin_boundaries!r}."
            )
        self.bin_boundaries = own_arrays(bin_boundaries)
        self.num_bins, self.epsilon, self.sparse = num_bins, epsilon, sparse
        self._values = None  # (values in order, the weight of each) of the data seen by `adapt`
        self.autocast = False

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Find the boundaries from data: an array, or an iterable of batches, of which the first `steps` are used."""
        if self.num_bins is None:
            raise ValueError("Discretization.adapt: the layer was made with `bin_boundaries`; use `num_bins` instead.")
        self.reset_state()
        batches = [data] if hasattr(data, "shape") or (isinstance(data, list) and np.ndim(data[0]) == 0) else data
        for i, batch in enumerate(batches):
            if steps is not None and i >= steps:
                break
            self.update_state(batch)
        self.finalize_state()

    def reset_state(self) -> None:
        """Forget the data that `update_state` has seen."""
        if self.num_bins is not None:
            self._values = np.zeros((2, 0))

    def update_state(self, data: Any) -> None:
        """Take a batch into account; `finalize_state` finds the boundaries of all of them."""
        if self._values is None:
            self.reset_state()
        self._add(np.sort(np.asarray(ops.convert_to_numpy(data), "float64").reshape(-1)))

    def finalize_state(self) -> None:
        """Set the boundaries to those of the data seen since the last reset, if there is any."""
        if self.num_bins is not None and self._values is not None:
            self.bin_boundaries = self._compressed(1 / self.num_bins)[0, :-1].astype("float32").tolist()

    def _add(self, values):
        """Merge sorted values into those kept: every so many of them, with that weight."""
        step = max(len(values) * self.epsilon, 1)
        taken = values[int(step - 1) :: int(step)]
        merged = np.concatenate([np.stack([taken, np.full(len(taken), step)]), self._values], axis=1)
        self._values = merged[:, np.argsort(merged[0], kind="stable")]
        self._values = self._compressed(self.epsilon)

    def _compressed(self, epsilon):
        """The kept values at the quantiles epsilon, 2 epsilon ... if that is fewer."""
        values, weights = self._values
        if len(values) * epsilon < 1:
            return self._values
        quantiles = epsilon + np.arange(0.0, 1.0, epsilon)
        reached = np.cumsum(weights)
        totals = np.interp(quantiles, reached / reached[-1], reached)
        return np.stack([np.interp(quantiles, reached / reached[-1], values), np.diff(totals, prepend=0)])

    def call(self, inputs: Any) -> Any:
        if self.bin_boundaries is None:
            raise ValueError(
                f"Discretization {self.path!r} has no boundaries: call adapt(data) first, or give `bin_boundaries`."
            )
        x, dtype = ops.convert_to_tensor(inputs), single_of(self.compute_dtype)
        if "float" in x.dtype:
            x = ops.cast(x, dtype)  # a value that is a boundary must be the same number
        bins = ops.digitize(x, np.asarray(self.bin_boundaries, dtype))
        dtype = "int32" if self.output_mode == "int" else self.compute_dtype
        return encoded(bins, self.output_mode, len(self.bin_boundaries) + 1, dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("bin_boundaries", "num_bins", "epsilon", "output_mode", "sparse", "name", "dtype")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "Discretization":
        """An adapted layer has both bins and boundaries."""
        adapted = config.get("num_bins") is not None and config.get("bin_boundaries") is not None
        layer = super().from_config({**config, "bin_boundaries": None} if adapted else config, custom_objects)
        layer.bin_boundaries = config.get("bin_boundaries")
        return layer
