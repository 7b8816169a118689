"""Numbers and strings to bins by a hash: Hashing, HashedCrossing. Strings are hashed where they are, on the host."""

from typing import Any

import numpy as np

from mlkit import ops
from mlkit.config import floatx
from mlkit.core import tree
from mlkit.core.spec import show
from mlkit.core.tensor import Tensor
from mlkit.layers import in_tensorflow
from mlkit.layers.argument_checks import positive, refuse
from mlkit.layers.categories import encoded
from mlkit.layers.host_numbers import HostNumbers, is_symbolic
from mlkit.layers.layer import Layer
from mlkit.primitives.convert import host_array
from mlkit.utils.fingerprints import combined_fingerprint, farm_fingerprint, sip_hash

_CROSSING_START = 0xDECAFCAFFE  # what TensorFlow begins a crossing with


class _Hashed(Layer):
    """A layer that works on host arrays: of strings, or of whole numbers."""

    _takes_strings = True

    def __init__(self, num_bins: int, output_mode: str, allowed, sparse: bool, dtype, **kwargs: Any):
        if output_mode not in allowed:
            raise ValueError(
                f"{type(self).__name__}: unknown value for argument `output_mode`, {output_mode!r}; it must be one of {allowed}."
            )
        super().__init__(dtype=dtype or ("int64" if output_mode == "int" else floatx()), **kwargs)
        refuse(self, sparse=sparse)
        self.num_bins = positive(self, num_bins=num_bins)
        self.output_mode, self.sparse, self.autocast, self.built = output_mode, sparse, False, True
        self._on_host = HostNumbers(self._bins)

    @in_tensorflow.entrance
    def __call__(self, inputs: Any) -> Any:
        if any(map(is_symbolic, tree.flatten(inputs))):
            return super().__call__(inputs)
        return self.call(inputs)

    def _encoded(self, bins):
        return encoded(ops.convert_to_tensor(bins), self.output_mode, self.num_bins, self.compute_dtype)


class Hashing(_Hashed):
    """Whole numbers or strings to one of `num_bins` bins, the same bin on every machine.

    Args:
        mask_value: a value that gets bin 0 alone.
        salt: one or two integers; hashing is then by SipHash with this key, else by FarmHash.
        output_mode: "int"; "one_hot", "multi_hot" or "count" for vectors.
        num_bins: number of bins.

    Floats are cut to whole numbers.

    >>> import mlkit
    >>> mlkit.layers.Hashing(num_bins=3)([["A"], ["B"], ["E"]]).numpy().ravel().tolist()
    [1, 0, 2]
    """

    def __init__(self, num_bins, mask_value=None, salt=None, output_mode: str = "int", sparse: bool = False, **kwargs: Any):
        modes = ("int", "one_hot", "multi_hot", "count")
        super().__init__(num_bins, output_mode, modes, sparse, kwargs.pop("dtype", None), **kwargs)
        if output_mode == "int" and self.compute_dtype not in ("int32", "int64"):
            raise ValueError(
                f"Hashing: with output_mode='int', `dtype` must be 'int32' or 'int64', not {self.compute_dtype!r}."
            )
        pair = [salt, salt] if isinstance(salt, int) else salt
        if pair is not None and not (isinstance(pair, (list, tuple)) and len(pair) == 2):
            raise ValueError(f"Hashing: `salt` must be an integer or two of them, but got {salt!r}.")
        self.mask_value, self.salt = mask_value, pair if pair is None else list(pair)

    def call(self, inputs: Any) -> Any:
        return self._encoded(self._on_host(inputs) if is_symbolic(inputs) else self._bins(_host(inputs)))

    def _bins(self, values):
        values = values.astype("int64") if values.dtype.kind == "f" else values
        masks = self.mask_value is not None and self.num_bins > 1
        count = self.num_bins - masks
        distinct, places = np.unique(values, return_inverse=True)  # equal values are hashed once
        hashed = [self._hash(value) % count + masks for value in distinct.tolist()]
        bins = np.array(hashed, "int64")[places].reshape(values.shape)
        return np.where(values == self.mask_value, 0, bins) if masks else bins

    def _hash(self, value):
        data = str(value).encode()
        return farm_fingerprint(data) if self.salt is None else sip_hash(data, self.salt)

    def get_config(self) -> dict[str, Any]:
        names = ("num_bins", "salt", "mask_value", "output_mode", "sparse")
        return {**self._common_config(), **{name: getattr(self, name) for name in names}}


class HashedCrossing(_Hashed):
    """Several features of a sample together to one of `num_bins` bins: a feature of their combination.

    Args:
        output_mode: "int" or "one_hot".
        num_bins: number of bins.

    Inputs: two or more arrays of strings or whole numbers, each (batch,) or (batch, 1).

    >>> import mlkit
    >>> mlkit.layers.HashedCrossing(num_bins=5)((["A", "B", "A"], [101, 101, 102])).numpy().tolist()
    [1, 4, 3]
    """

    def __init__(self, num_bins, output_mode: str = "int", sparse: bool = False, name=None, dtype=None, **kwargs: Any):
        super().__init__(num_bins, output_mode, ("int", "one_hot"), sparse, dtype, name=name, **kwargs)

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            raise ValueError(
                f"HashedCrossing: the inputs must be a list or tuple of two features or more, but got {inputs!r:.200}."
            )
        symbolic = any(map(is_symbolic, inputs))
        features = inputs if symbolic else [_host(x) for x in inputs]
        shapes = [show(x.shape) for x in features]
        if len(set(shapes)) > 1 or len(shapes[0]) > 2 or (len(shapes[0]) == 2 and shapes[0][1] != 1):
            raise ValueError(
                f"HashedCrossing: all features must have the same shape, (batch,) or (batch, 1), but got {shapes}."
            )
        if any("float" in str(x.dtype) for x in features):
            raise ValueError("HashedCrossing: features must be strings or whole numbers. Discretization makes numbers whole.")
        return self._encoded(self._on_host(*features) if symbolic else self._bins(*features))

    def _bins(self, *features):
        rows = zip(*(x.ravel().tolist() for x in features))
        return np.array([self._crossed(row) for row in rows], "int64").reshape(features[0].shape)

    def _crossed(self, row):
        result = _CROSSING_START
        for value in row:
            number = farm_fingerprint(value.encode()) if isinstance(value, str) else int(value) & (2**64 - 1)
            result = combined_fingerprint(result, number)
        return result % self.num_bins

    def get_config(self) -> dict[str, Any]:
        names = ("num_bins", "output_mode", "sparse", "name", "dtype")
        return {name: getattr(self, name) for name in names}


def _host(values):
    """An array of `str` or of numbers."""
    array = host_array(ops.convert_to_numpy(values) if isinstance(values, Tensor) else values)
    if array.dtype.kind in "OST":  # objects, as datasets hold strings, may be bytes
        texts = [v.decode("utf-8") if isinstance(v, bytes) else v for v in array.ravel().tolist()]
        return np.array(texts or np.zeros(0, str)).reshape(array.shape)
    return array
