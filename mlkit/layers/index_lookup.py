"""Tokens to numbers by a vocabulary: IntegerLookup and StringLookup.

Strings are looked up where they are, on the host: tensors hold numbers only. So string layers are called on NumPy arrays or
lists, by who prepares data or by a model before its program, and give tensors.
"""

import collections
import os
from typing import Any

import numpy as np

from mlkit import ops
from mlkit.config import floatx
from mlkit.core.dtypes import STRING
from mlkit.core.spec import Spec
from mlkit.core.tensor import Symbol, Tensor
from mlkit.core.typing import DType, FilePath, Structure
from mlkit.layers import in_tensorflow
from mlkit.layers.argument_checks import refuse
from mlkit.layers.categories import encoded, output_mode_of
from mlkit.layers.host_numbers import HostNumbers, is_symbolic
from mlkit.layers.layer import Layer
from mlkit.layers.token_counts import TokenCounts
from mlkit.primitives.convert import host_array


class Lookup(Layer):
    """Base of lookups: index 0 for the mask token, if there is one, then the indices of unknown tokens, then the vocabulary."""

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token=None,
        oov_token=None,
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        salt=None,
        **kwargs: Any,
    ):
        kwargs.pop("vocabulary_size", None)  # in configs only
        super().__init__(**kwargs)
        refuse(self, sparse=sparse, salt=salt)
        name = type(self).__name__
        if max_tokens is not None and max_tokens <= 1:
            raise ValueError(f"{name}: `max_tokens` must be above 1, but got {max_tokens}.")
        if pad_to_max_tokens and max_tokens is None:
            raise ValueError(f"{name}: `pad_to_max_tokens` needs `max_tokens`.")
        if num_oov_indices < 0:
            raise ValueError(f"{name}: `num_oov_indices` must be at least 0, but got {num_oov_indices}.")
        self.output_mode = output_mode_of(self, output_mode, ("int", "one_hot", "multi_hot", "count", "tf_idf"))
        if invert and self.output_mode != "int":
            raise ValueError(f"{name}: with `invert`, `output_mode` must be 'int', but got {output_mode!r}.")
        if (idf_weights is not None) != (self.output_mode == "tf_idf" and vocabulary is not None):
            raise ValueError(f"{name}: `idf_weights` go with a `vocabulary` in output_mode 'tf_idf', and only there.")
        self.max_tokens, self.num_oov_indices, self.mask_token, self.oov_token = (
            max_tokens,
            num_oov_indices,
            mask_token,
            oov_token,
        )
        self.invert, self.pad_to_max_tokens, self.autocast, self.built = invert, pad_to_max_tokens, False, True
        self._tokens = self._idf = self._seen = None
        self._on_host = HostNumbers(self._numbers)
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    # ---- the vocabulary ---------------------------------------------------------------------------------------------

    @property
    def _special(self):
        mask = [self.mask_token] if self.mask_token is not None and self.output_mode == "int" else []
        return mask + [self.oov_token] * self.num_oov_indices

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Set the tokens: a list, with or without the special ones at its start, or the path of a text file, one token a line.

        Args:
            idf_weights: the weight of each token, for output_mode "tf_idf".
        """
        if isinstance(vocabulary, str):
            with open(vocabulary, encoding="utf-8") as lines:
                vocabulary = lines.read().splitlines()
        tokens = [self._token(t) for t in np.asarray(vocabulary).tolist()]
        special = self._special
        if special and tokens[: len(special)] == special:
            tokens = tokens[len(special) :]
        repeated = [t for t, n in collections.Counter(tokens).items() if n > 1]
        if repeated or self.mask_token in tokens or not tokens:
            raise ValueError(
                f"{type(self).__name__}: a vocabulary must hold tokens, each once, and not the mask token {self.mask_token!r}; "
                f"repeated: {repeated[:5]}."
            )
        if self.max_tokens is not None and len(special) + len(tokens) > self.max_tokens:
            raise ValueError(
                f"{type(self).__name__}: {len(tokens)} tokens and {len(special)} special ones are more than "
                f"max_tokens={self.max_tokens}."
            )
        if idf_weights is not None and len(idf_weights) != len(tokens):
            raise ValueError(f"{type(self).__name__}: got {len(idf_weights)} `idf_weights` for {len(tokens)} tokens.")
        self._tokens = tokens
        self._number = {token: len(special) + i for i, token in enumerate(tokens)}
        self._idf = None if idf_weights is None else np.array(idf_weights, floatx())

    def load_assets(self, dir_path: FilePath) -> None:
        """Read the vocabulary that Keras writes beside the variables of an adapted layer; ours stands in the config."""
        if self._tokens is None:
            self.set_vocabulary(os.path.join(dir_path, "vocabulary.txt"))

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens in the order of their indices."""
        tokens = list(self._tokens or [])
        return self._special + tokens if include_special_tokens else tokens

    def vocabulary_size(self) -> int:
        """Number of tokens with the special ones."""
        return len(self.get_vocabulary())

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Take the tokens from data, the most frequent first: an array, or an iterable of batches (the first `steps`)."""
        self.reset_state()
        batches = [data] if isinstance(data, np.ndarray) or hasattr(data, "numpy") or isinstance(data, (list, tuple)) else data
        for i, batch in enumerate(batches):
            if steps is not None and i >= steps:
                break
            self.update_state(batch)
        if self._seen is None:
            raise ValueError(f"{type(self).__name__}.adapt: the data has no batches.")
        self.finalize_state()

    def reset_state(self) -> None:
        """Forget the tokens that `update_state` has counted."""
        self._seen = None

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch; `finalize_state` makes the vocabulary of all of them."""
        self._seen = self._seen or TokenCounts()
        for row in self._rows(data):
            self._seen.add([self._token(t) for t in row])

    def finalize_state(self) -> None:
        """Take the tokens that have been counted since the last reset, if there are any, as the vocabulary."""
        seen, self._seen = self._seen, None
        if seen is None:
            return
        tokens = seen.most_frequent_first({self.mask_token, self.oov_token})
        if self.max_tokens is not None:
            tokens = tokens[: self.max_tokens - len(self._special)]
        self.set_vocabulary(tokens, seen.inverse_frequencies(tokens) if self.output_mode == "tf_idf" else None)

    def _rows(self, batch: Any):
        """The tokens of each sample."""
        host = self._host(batch)
        return host.reshape(len(host), -1).tolist() if host.ndim else [[host.item()]]

    # ---- looking up ---------------------------------------------------------------------------------------------------

    @in_tensorflow.entrance
    def __call__(self, inputs: Structure, *args: Any, **kwargs: Any) -> Any:
        if isinstance(inputs, (Tensor, Symbol)):
            return super().__call__(inputs, *args, **kwargs)
        return self._found(self._host(inputs))

    _takes_strings = True

    @property
    def _runs_on_host(self) -> bool:
        return self.invert  # names are no numbers that an op could return

    def call(self, inputs: Any) -> Any:
        if self.invert and type(getattr(inputs, "data", None)) is Spec:
            return Tensor(Spec(inputs.shape, self.vocabulary_dtype))
        if is_symbolic(inputs) and not self.invert:
            if self.output_mode == "tf_idf" or (self.output_mode != "int" and not self.pad_to_max_tokens):
                self._assert_vocabulary()  # what is returned has its size
            return self._encoded(self._on_host(inputs))
        return self._found(self._host(ops.convert_to_numpy(inputs)))

    def _host(self, inputs: Structure):
        return host_array(inputs)

    def _assert_vocabulary(self):
        if self._tokens is None:
            raise ValueError(f"{type(self).__name__} {self.path!r} has no vocabulary: call adapt(data), or give `vocabulary`.")

    def _found(self, inputs: Structure):
        return self._named(inputs) if self.invert else self._encoded(ops.convert_to_tensor(self._numbers(inputs)))

    def _numbers(self, inputs: np.ndarray) -> np.ndarray:
        self._assert_vocabulary()
        # equal tokens are looked up once
        distinct, places = np.unique(inputs, return_inverse=True)
        numbers = np.array([self._index(self._token(t)) for t in distinct.tolist()], "int64")
        return numbers[places].reshape(inputs.shape)

    def _index(self, token):
        if token in self._number:
            return self._number[token]
        if self.mask_token is not None and token == self.mask_token:
            return 0 if self.output_mode == "int" else -1  # -1 is no category
        if self.num_oov_indices == 0:
            raise ValueError(
                f"{type(self).__name__} {self.path!r}: the token {token!r} is not in the vocabulary, and there is no index "
                "for unknown tokens. Set `num_oov_indices` to 1."
            )
        first = len(self._special) - self.num_oov_indices
        return first + (self._bucket(token) if self.num_oov_indices > 1 else 0)

    def _encoded(self, numbers):
        if self.output_mode == "int":
            return numbers
        depth = self.max_tokens if self.pad_to_max_tokens else self.vocabulary_size()
        if self.output_mode != "tf_idf":
            return encoded(numbers, self.output_mode, depth, "int64")
        weights = np.concatenate([np.full(len(self._special), self._idf.mean()), self._idf])
        weights = np.pad(weights, (0, depth - len(weights))).astype(floatx())
        return encoded(numbers, "count", depth, floatx()) * weights

    def _named(self, numbers):
        """The tokens of these indices; unknown tokens are `oov_token`."""
        self._assert_vocabulary()
        names = dict(enumerate(self.get_vocabulary()))
        found = np.array([names.get(n, self.oov_token) for n in numbers.reshape(-1).tolist()])
        return self._as_output(found.reshape(numbers.shape))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("autocast", None)
        config["vocabulary"] = self._tokens
        config["idf_weights"] = None if self._idf is None else self._idf.tolist()
        return {**config, "vocabulary_size": self.vocabulary_size() if self._tokens else None}


class StringLookup(Lookup):
    """Strings to the indices of a vocabulary, or back with `invert` (then a NumPy array of strings is returned).

    Args:
        max_tokens: greatest size of the vocabulary.
        num_oov_indices: 1, or 0 if unknown tokens are errors.
        mask_token, oov_token: the tokens of index 0 and of unknown ones.
        vocabulary: list of tokens, or the path of a file; by default `adapt` finds it.
        output_mode: "int", or vectors as in CategoryEncoding ("one_hot", "multi_hot", "count"), or "tf_idf": counts weighted by
            `idf_weights`, the rarer the higher.
        idf_weights: the weight of each token of `vocabulary`, for "tf_idf".
        invert: map indices back to tokens.
        pad_to_max_tokens: make vectors of size `max_tokens` even if there are fewer tokens.
        encoding: of tokens that come as bytes.
        salt: of hashing unknown tokens to several indices; anything but None is refused.

    Called on arrays or lists of strings.

    >>> import mlkit
    >>> layer = mlkit.layers.StringLookup(vocabulary=["a", "b"])
    >>> layer([["b", "z"]]).numpy()
    array([[2, 0]])
    >>> layer.get_vocabulary()
    ['[UNK]', 'a', 'b']
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token=None,
        oov_token: str | None = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt=None,
        **kwargs: Any,
    ):
        for option, value in (("oov_method", "floormod"), ("vocabulary_dtype", "string")):  # in configs
            if kwargs.pop(option, value) != value:
                raise NotImplementedError(f"StringLookup: `{option}` other than {value!r} is not supported.")
        self.encoding = encoding
        if num_oov_indices > 1:
            raise NotImplementedError("StringLookup: `num_oov_indices` above 1 (hashed unknown tokens) is not supported.")
        super().__init__(
            max_tokens,
            num_oov_indices,
            mask_token,
            oov_token,
            vocabulary,
            idf_weights,
            invert,
            output_mode,
            pad_to_max_tokens,
            sparse,
            salt,
            name=name,
            **kwargs,
        )

    vocabulary_dtype = STRING

    @property
    def _reads(self) -> str:
        return "int64" if self.invert else STRING

    def _token(self, value: Structure):
        return value.decode(self.encoding) if isinstance(value, bytes) else str(value)

    def _as_output(self, tokens):
        return tokens


class IntegerLookup(Lookup):
    """Integers to the indices of a vocabulary, or back with `invert`. Arguments are those of `StringLookup`.

    Args:
        num_oov_indices: unknown integers are spread over that many indices, by their remainder.
        max_tokens: greatest size of the vocabulary.
        mask_token, oov_token: the integers of index 0 and of unknown ones.
        vocabulary: list of integers; by default `adapt` finds it.
        idf_weights: the weight of each integer of `vocabulary`, for "tf_idf".
        invert: map indices back to integers.
        output_mode: as in StringLookup.
        pad_to_max_tokens: make vectors of size `max_tokens` even if there are fewer integers.
        vocabulary_dtype: "int64" or "int32", of the integers.
        oov_method: "floormod": unknown integers are spread by their remainder; nothing else is taken.
        salt: of Keras's other way to spread them; anything but None is refused.

    >>> import mlkit
    >>> mlkit.layers.IntegerLookup(vocabulary=[12, 36])([[36, 5]]).numpy()
    array([[2, 0]])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token=None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: DType = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str | None = "floormod",
        salt=None,
        name: str | None = None,
        **kwargs: Any,
    ):
        if vocabulary_dtype not in ("int64", "int32"):
            raise ValueError(f"IntegerLookup: `vocabulary_dtype` must be 'int64' or 'int32', but got {vocabulary_dtype!r}.")
        if oov_method != "floormod":
            raise NotImplementedError("IntegerLookup: `oov_method` other than 'floormod' is not supported.")
        self.vocabulary_dtype, self.oov_method = vocabulary_dtype, oov_method
        super().__init__(
            max_tokens,
            num_oov_indices,
            mask_token,
            oov_token,
            vocabulary,
            idf_weights,
            invert,
            output_mode,
            pad_to_max_tokens,
            sparse,
            salt,
            name=name,
            **kwargs,
        )

    def _token(self, value: Structure):
        return int(value)

    def _bucket(self, token):
        return token % self.num_oov_indices

    def _as_output(self, tokens):
        return ops.convert_to_tensor(tokens.astype(self.vocabulary_dtype))
