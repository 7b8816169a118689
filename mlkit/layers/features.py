"""What a FeatureSpace is made of: features, crosses of them, and the two layers that Keras's files name beside them."""

from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.core.names import auto_name
from mlkit.layers.categories import CategoryEncoding, Discretization
from mlkit.layers.hashing import HashedCrossing, Hashing
from mlkit.layers.index_lookup import IntegerLookup, Lookup, StringLookup
from mlkit.layers.layer import Layer
from mlkit.layers.preprocess import Normalization, Rescaling
from mlkit.objects.config_object import Configurable


class Feature(Configurable):
    """A column of a table: what its values are, the layer that prepares them, and what becomes of the layer's results.

    dtype: of the values, "string" for texts. output_mode: "float" and "int" leave the results alone, "one_hot" makes vectors of
    them.
    """

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str):
        _check_mode("Feature", output_mode, ("int", "one_hot", "float"))
        self.dtype, self.preprocessor, self.output_mode = dtype, preprocessor, output_mode


class Cross(Configurable):
    """The combination of several features, hashed into one of `crossing_dim` bins.

    >>> Cross(["city", "day"], 16).name
    'city_X_day'
    """

    def __init__(self, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"):
        _check_mode("Cross", output_mode, ("int", "one_hot"))
        self.feature_names, self.crossing_dim, self.output_mode = tuple(feature_names), crossing_dim, output_mode
        if len(self.feature_names) < 2:
            raise ValueError(f"Cross: `feature_names` must be two features or more, but is {feature_names!r}.")

    @property
    def name(self) -> str:
        return "_X_".join(self.feature_names)


class TFDIdentity(Layer):
    """Numbers as they are, in the layer's dtype. (The name is Keras's, as it stands in files.)"""

    def call(self, inputs: Any) -> Any:
        return ops.cast(inputs, self.compute_dtype)


class TFDConcat(Layer):
    """Tensors joined along an axis. (The name is Keras's, as it stands in files.)"""

    def __init__(self, axis: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        return ops.concatenate(inputs, axis=self.axis)


# ---- the kinds of features: each gives a Feature, whose layer is named after it --------------------------------------------


def float_(name: str | None = None) -> Feature:
    """Numbers as they are."""
    return Feature("float32", TFDIdentity(dtype="float32", name=_layer_name(name, "float")), "float")


def float_rescaled(scale: float = 1.0, offset: float = 0.0, name: str | None = None) -> Feature:
    """Numbers times `scale` plus `offset`."""
    return Feature("float32", Rescaling(scale, offset, name=_layer_name(name, "float_rescaled")), "float")


def float_normalized(name: str | None = None) -> Feature:
    """Numbers with mean 0 and variance 1, over the data given to `adapt`."""
    return Feature("float32", Normalization(axis=-1, name=_layer_name(name, "float_normalized")), "float")


def float_discretized(
    num_bins: int | None, bin_boundaries: Sequence[float] | None = None, output_mode: str = "one_hot", name: str | None = None
) -> Feature:
    """Numbers as the bin they fall into; the boundaries, where not given, are found by `adapt`: bins of equal size."""
    layer = Discretization(bin_boundaries, num_bins, name=_layer_name(name, "float_discretized"))
    return Feature("float32", layer, output_mode)


def integer_categorical(
    max_tokens: int | None = None, num_oov_indices: int = 1, output_mode: str = "one_hot", name: str | None = None
) -> Feature:
    """Whole numbers as names of categories, which `adapt` collects; `num_oov_indices` more stand for unknown ones."""
    layer = IntegerLookup(max_tokens, num_oov_indices, name=_layer_name(name, "integer_categorical"))
    return Feature("int32", layer, output_mode)


def string_categorical(
    max_tokens: int | None = None, num_oov_indices: int = 1, output_mode: str = "one_hot", name: str | None = None
) -> Feature:
    """Strings as names of categories, which `adapt` collects; one more stands for unknown ones."""
    layer = StringLookup(max_tokens, num_oov_indices, name=_layer_name(name, "string_categorical"))
    return Feature("string", layer, output_mode)


def integer_hashed(num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
    """Whole numbers as one of `num_bins` bins, by a hash."""
    return Feature("int32", Hashing(num_bins, name=_layer_name(name, "integer_hashed")), output_mode)


def string_hashed(num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
    """Strings as one of `num_bins` bins, by a hash."""
    return Feature("string", Hashing(num_bins, name=_layer_name(name, "string_hashed")), output_mode)


def number_of_categories(layer: Layer) -> int | None:
    """How many whole numbers a preparing layer can give; None where that is not known."""
    if isinstance(layer, Lookup):
        return layer.vocabulary_size()
    if isinstance(layer, CategoryEncoding):
        return layer.num_tokens
    if isinstance(layer, Discretization):
        return layer.num_bins or len(layer.bin_boundaries) + 1
    if isinstance(layer, (Hashing, HashedCrossing)):
        return layer.num_bins
    return None


def _layer_name(name: str | None, kind: str) -> str:
    return f"{name or auto_name(kind)}_preprocessor"


def _check_mode(what: str, mode: str, allowed: Sequence[str]) -> None:
    if mode not in allowed:
        raise ValueError(f"{what}: unknown `output_mode` {mode!r}; it must be one of {allowed}.")
