"""FeatureSpace: tables of numbers and texts as vectors, column by column."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mlkit import ops
from mlkit.core.tensor import Symbol, Tensor
from mlkit.core.typing import FilePath
from mlkit.layers import features as kinds
from mlkit.layers import in_tensorflow
from mlkit.layers.categories import CategoryEncoding, Discretization
from mlkit.layers.features import Cross, Feature, TFDConcat
from mlkit.layers.hashing import HashedCrossing
from mlkit.layers.index_lookup import Lookup
from mlkit.layers.input_layer import Input
from mlkit.layers.layer import Layer
from mlkit.layers.preprocess import Normalization
from mlkit.layers.text import TextVectorization
from mlkit.models import saving
from mlkit.objects.serialization import deserialize_keras_object, serialize_keras_object
from mlkit.primitives.convert import host_array

_BATCH = 32  # single values are collected into so many for `adapt`, as in Keras


class FeatureSpace(Layer):
    """A layer that makes vectors of rows of a table: dicts from column name to a value, or to the values of a batch.

    Args:
        features: Dict from column name to how it is prepared: a `Feature`, such as `FeatureSpace.float_rescaled(scale=0.1)` or
            `FeatureSpace.string_categorical(max_tokens=20)` give, or the name of a kind: "float", "float_rescaled",
            "float_normalized", "float_discretized", "integer_categorical", "string_categorical", "integer_hashed",
            "string_hashed". With a layer of one's own: `FeatureSpace.feature(dtype, preprocessor, output_mode)`.
        output_mode: "concat" for one vector of all features, in the order of their names; "dict" for a dict of them.
        crosses: Tuples of names of features whose combinations are a feature too, or what `FeatureSpace.cross` gives.
        crossing_dim: Bins of the crosses that are given as tuples.
        hashing_dim: Bins of the kinds "integer_hashed" and "string_hashed".
        num_discretization_bins: Bins of the kind "float_discretized".
        name: Name of the layer.

    First `adapt` it to data. Then call it on a row, on a batch or in `Dataset.map`; or let a model begin with `get_inputs()` and
    `get_encoded_features()`. The layers are in `preprocessors` and `crossers`, by name.

    >>> import mlkit
    >>> table = {"age": [20.0, 30.0, 40.0], "city": ["Rome", "Oslo", "Rome"]}
    >>> space = mlkit.utils.FeatureSpace({"age": "float_normalized", "city": "string_categorical"})
    >>> space.adapt(table)
    >>> space({"age": 30.0, "city": "Oslo"}).numpy()
    array([0., 0., 0., 1.], dtype=float32)
    """

    cross, feature = Cross, Feature
    float, float_rescaled, float_normalized = map(staticmethod, (kinds.float_, kinds.float_rescaled, kinds.float_normalized))
    float_discretized = staticmethod(kinds.float_discretized)
    integer_categorical, string_categorical = map(staticmethod, (kinds.integer_categorical, kinds.string_categorical))
    integer_hashed, string_hashed = map(staticmethod, (kinds.integer_hashed, kinds.string_hashed))

    def __init__(
        self,
        features: Mapping[str, Any],
        output_mode: str = "concat",
        crosses: Sequence[Any] | None = None,
        crossing_dim: int = 32,
        hashing_dim: int = 32,
        num_discretization_bins: int = 32,
        name: str | None = None,
    ):
        super().__init__(name=name)
        if not features:
            raise ValueError("FeatureSpace: `features` must be a dict with a feature or more, but is empty.")
        if output_mode not in ("concat", "dict"):
            raise ValueError(f"FeatureSpace: `output_mode` must be 'concat' or 'dict', but is {output_mode!r}.")
        self.output_mode, self.crossing_dim = output_mode, crossing_dim
        self.hashing_dim, self.num_discretization_bins = hashing_dim, num_discretization_bins
        self.features = {name: self._as_feature(name, value) for name, value in features.items()}
        self.crosses = [self._as_cross(value) for value in crosses or ()]
        self.preprocessors = {name: feature.preprocessor for name, feature in self.features.items()}
        self.crossers = {cross.name: HashedCrossing(cross.crossing_dim, name=cross.name) for cross in self.crosses}
        self.one_hot_encoders: dict[str, CategoryEncoding] = {}
        self.concat = TFDConcat(axis=-1) if output_mode == "concat" else None
        self.encoded_features: Any = None
        self._inputs: dict[str, Any] | None = None
        self._given = {name for name, layer in self.preprocessors.items() if not _can_adapt(layer) or _is_given(layer)}
        self._is_adapted = len(self._given) == len(self.features)

    def _as_feature(self, name: str, value: Any) -> Feature:
        if isinstance(value, Mapping):
            value = deserialize_keras_object(value)
        if isinstance(value, Feature):
            return value
        of_kind = {
            "float": kinds.float_,
            "float_rescaled": kinds.float_rescaled,
            "float_normalized": kinds.float_normalized,
            "float_discretized": lambda name: kinds.float_discretized(self.num_discretization_bins, name=name),
            "integer_categorical": kinds.integer_categorical,
            "string_categorical": kinds.string_categorical,
            "integer_hashed": lambda name: kinds.integer_hashed(self.hashing_dim, name=name),
            "string_hashed": lambda name: kinds.string_hashed(self.hashing_dim, name=name),
        }
        if not isinstance(value, str) or value not in of_kind:
            raise ValueError(
                f"FeatureSpace: invalid feature type {value!r} of {name!r}. Give what FeatureSpace.feature() and its like return, "
                f"or one of {sorted(of_kind)}."
            )
        return of_kind[value](name=name)

    def _as_cross(self, value: Any) -> Cross:
        if isinstance(value, Mapping):
            value = deserialize_keras_object(value)
        if not isinstance(value, Cross):
            if not self.crossing_dim:
                raise ValueError("FeatureSpace: `crosses` that are tuples of names need a `crossing_dim`.")
            value = Cross(value, self.crossing_dim)
        if unknown := sorted(set(value.feature_names) - set(self.features)):
            raise ValueError(
                f"FeatureSpace: `crosses` name features that are not in the `features` dict: {unknown}. There are "
                f"{sorted(self.features)}."
            )
        return value

    # ---- adapting --------------------------------------------------------------------------------------------------

    def adapt(self, dataset: Any) -> None:
        """Let the layers learn from data what they need: vocabularies, means, boundaries of bins.

        Args:
            dataset: a dict of arrays or lists, or a table of pandas; or an iterable of dicts of values or of batches (a
                Dataset, of tf.data too), which is gone through once for each layer that learns.
        """
        table = _columns(dataset)
        if table is None and (not hasattr(dataset, "__iter__") or iter(dataset) is dataset):
            raise ValueError(
                f"FeatureSpace.adapt: got {type(dataset).__name__}. Give a dict of arrays, or a Dataset of dicts, through which each "
                "layer can go anew."
            )
        learning = {name: layer for name, layer in self.preprocessors.items() if name not in self._given}
        self._is_adapted = not learning
        self.one_hot_encoders.clear()  # their sizes may be others now
        self.encoded_features = None
        for name, layer in learning.items():
            layer.adapt(_batches(dataset if table is None else table, name, self.features[name]))
        self._is_adapted = self.built = True

    def _assert_adapted(self) -> None:
        if not self._is_adapted:
            raise ValueError(
                f"FeatureSpace {self.name!r}: you need to call `.adapt(dataset)` first; these features learn from data: "
                f"{sorted(set(self.features) - self._given)}."
            )
        self.built = True

    # ---- use -------------------------------------------------------------------------------------------------------

    def get_inputs(self) -> dict[str, Any]:
        """A dict of Inputs (KerasTensors) for the raw values, by name, for a model to begin with."""
        self._assert_adapted()
        if self._inputs is None:
            self._inputs = {n: Input((1,), dtype=feature.dtype, name=n) for n, feature in self.features.items()}
        return self._inputs

    def get_encoded_features(self) -> Any:
        """What is made of `get_inputs()`: a KerasTensor, or a dict of them with output_mode "dict"."""
        if self.encoded_features is None:
            self.encoded_features = self._encoded(self.get_inputs())
        return self.encoded_features

    @in_tensorflow.entrance
    def __call__(self, data: Mapping[str, Any]) -> Any:
        self._assert_adapted()
        given, data = data, _columns(data)
        if data is None:
            raise ValueError(f"FeatureSpace: it can only be called with a dict, but got {given!r:.200}.")
        if set(data) != set(self.features):
            raise ValueError(
                f"FeatureSpace: the features are {sorted(self.features)}, but the data have {sorted(map(str, data))}."
            )
        columns = {name: _typed(data[name], feature) for name, feature in self.features.items()}
        found = self._encoded({name: _with_two_axes(value) for name, value in columns.items()})
        if all(value.ndim for value in columns.values()):
            return found
        if self.output_mode == "concat":
            return ops.squeeze(found, 0)
        return {name: ops.squeeze(value, 0) if value.shape[0] == 1 else value for name, value in found.items()}

    def _encoded(self, columns: Mapping[str, Any]) -> Any:
        """Arrays, tensors or KerasTensors of two axes, prepared, crossed and encoded."""
        prepared = {name: self.preprocessors[name](value) for name, value in columns.items()}
        crossed = {c.name: self.crossers[c.name]([prepared[name] for name in c.feature_names]) for c in self.crosses}
        modes = {part.name: part.output_mode for part in self.crosses} | {n: f.output_mode for n, f in self.features.items()}
        results = {}
        for values in (prepared, crossed):
            for name in sorted(values):
                results[name] = self._encoder(name, values[name])(values[name]) if modes[name] == "one_hot" else values[name]
        if self.concat is None:
            return results
        for name, value in results.items():
            if "float" not in str(value.dtype):
                raise ValueError(
                    f"FeatureSpace: cannot concatenate features because feature {name!r} has not been encoded (it has dtype "
                    f"{value.dtype}). Consider using output_mode='dict', or 'one_hot' for the feature."
                )
        return self.concat(list(results.values()))

    def _encoder(self, name: str, value: Any) -> CategoryEncoding:
        """The layer that makes vectors of a feature's whole numbers."""
        if name not in self.one_hot_encoders:
            size = kinds.number_of_categories(self.preprocessors.get(name) or self.crossers[name])
            if "int" not in str(value.dtype) or size is None:
                raise ValueError(
                    f"FeatureSpace: feature {name!r} has output_mode='one_hot', so its preprocessor must give whole numbers of which "
                    f"it is known how many there are, but it gives {value.dtype}. Use output_mode='int' or 'float'."
                )
            self.one_hot_encoders[name] = CategoryEncoding(size, output_mode="multi_hot")
        return self.one_hot_encoders[name]

    # ---- files -----------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        names = ("output_mode", "crossing_dim", "hashing_dim", "num_discretization_bins")
        parts = {name: serialize_keras_object(getattr(self, name)) for name in ("features", "crosses")}
        return {**parts, **{name: getattr(self, name) for name in names}}

    def get_build_config(self) -> dict[str, Any] | None:
        """What the layers need to be built again; None before `adapt`."""
        return {n: layer.get_build_config() for n, layer in self.preprocessors.items()} if self._is_adapted else None

    def build_from_config(self, config: dict[str, Any]) -> None:
        for name, own in config.items():
            layer = self.preprocessors[name]
            if own and not layer.built:
                layer.build_from_config(own)
        self._given = {n for n in self._given if not isinstance(self.preprocessors[n], (Lookup, TextVectorization))}
        self._is_adapted = True

    def save(self, filepath: FilePath) -> None:
        """Write it to a `.keras` file, which `mlkit.models.load_model` reads, and Keras."""
        saving.save_model(self, filepath)


def _can_adapt(layer: Any) -> bool:
    return hasattr(layer, "adapt")


def _is_given(layer: Any) -> bool:
    """Whether a layer was made with what `adapt` would find."""
    if isinstance(layer, Normalization):
        return layer.input_mean is not None
    if isinstance(layer, Discretization):
        return layer.num_bins is None
    return isinstance(layer, (Lookup, TextVectorization)) and len(layer.get_vocabulary(include_special_tokens=False)) > 0


def _columns(data: Any) -> dict[str, Any] | None:
    """A dict, or a table such as pandas', as a dict of columns; None for other things."""
    return {name: data[name] for name in data.keys()} if hasattr(data, "keys") else None  # noqa: SIM118  (a table need not be an iterable of names)


def _batches(dataset: Any, name: str, feature: Feature) -> Iterator[np.ndarray]:
    """A column's values by batches, with two axes or more."""
    if isinstance(dataset, dict):
        column = _with_two_axes(_typed(_value(dataset, name), feature))
        yield from (host_array(column[i : i + _BATCH]) for i in range(0, len(column), _BATCH))
        return
    alone = []
    for row in dataset:
        value = host_array(_typed(_value(row, name), feature))
        if value.ndim:
            yield _with_two_axes(value)
            continue
        alone.append(value)
        if len(alone) == _BATCH:
            yield np.stack(alone)[:, None]
            alone = []
    if alone:
        yield np.stack(alone)[:, None]


def _value(row: Any, name: str) -> Any:
    if not isinstance(row, Mapping):
        raise ValueError(
            f"FeatureSpace.adapt: the data must consist of dicts from column name to value, but hold {type(row).__name__}. Leave out "
            "labels: dataset.map(lambda x, y: x)."
        )
    if name not in row:
        raise ValueError(f"FeatureSpace.adapt: the data have no column {name!r}, only {sorted(map(str, row))}.")
    return row[name]


def _typed(value: Any, feature: Feature) -> Any:
    """A tensor as it is, else an array: floats in the feature's precision, texts and whole numbers as they are."""
    if isinstance(value, (Tensor, Symbol)):
        return value
    array = host_array(value)
    return array.astype(feature.dtype) if array.dtype.kind == "f" and "float" in feature.dtype else array


def _with_two_axes(value: Any) -> Any:
    if value.ndim > 1:
        return value
    if isinstance(value, np.ndarray):
        return value.reshape(-1, 1)
    return ops.reshape(value, (-1, 1))
