"""TextVectorization: texts cut into tokens, and the tokens numbered by a vocabulary."""

import string
from collections.abc import Callable
from typing import Any

import numpy as np

from mlkit import ops
from mlkit.core.dtypes import STRING
from mlkit.core.spec import Dim, Spec
from mlkit.core.tensor import Symbol, Tensor
from mlkit.core.typing import FilePath, IntOrSequence, Structure
from mlkit.layers import in_tensorflow
from mlkit.layers.argument_checks import refuse
from mlkit.layers.index_lookup import StringLookup
from mlkit.layers.layer import Layer
from mlkit.primitives.convert import host_array

_PUNCTUATION = str.maketrans("", "", string.punctuation)


class TextVectorization(Layer):
    """Texts to sequences of token numbers: 0 pads, 1 is any unknown token; or to vectors of counts.

    Args:
        max_tokens: greatest size of the vocabulary.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation", None, or a function of a text.
        split: "whitespace", "character", None, or a function that gives a text's tokens.
        ngrams: n, or a tuple of them: also that many tokens in a row, joined by spaces, are tokens.
        output_mode: "int" (sequences, cut or padded to `output_sequence_length`, else to the longest), "multi_hot", "count" or
            "tf_idf".
        vocabulary: list of tokens or the path of a file; by default `adapt` finds the most frequent ones.
        output_sequence_length: length of the sequences of output_mode "int"; None: that of the longest in the batch.
        pad_to_max_tokens: make vectors of size `max_tokens` even if there are fewer tokens.
        idf_weights: the weight of each token of `vocabulary`, for "tf_idf".
        encoding: of texts that come as bytes.

    Called on arrays or lists of strings, while data is prepared, or behind `Input(dtype="string")` in a model.

    >>> import mlkit
    >>> layer = mlkit.layers.TextVectorization()
    >>> layer.adapt(["the cat", "The dog!"])
    >>> layer.get_vocabulary()
    ['', '[UNK]', 'the', 'dog', 'cat']
    >>> layer(["a cat", "the"]).numpy()
    array([[1, 4],
           [2, 0]])
    """

    _takes_strings, _reads = True, STRING

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: str | Callable[..., Any] | None = "lower_and_strip_punctuation",
        split: str | Callable[..., Any] | None = "whitespace",
        ngrams: IntOrSequence | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ):
        kwargs.pop("vocabulary_size", None)  # in configs only
        super().__init__(name=name, **kwargs)
        refuse(self, sparse=sparse, ragged=ragged)
        known = ("lower_and_strip_punctuation", "lower", "strip_punctuation", None)
        if standardize not in known and not callable(standardize):
            raise ValueError(f"TextVectorization: `standardize` must be one of {known} or a function, but got {standardize!r}.")
        if split not in ("whitespace", "character", None) and not callable(split):
            raise ValueError(
                f"TextVectorization: `split` must be 'whitespace', 'character', None or a function, but got {split!r}."
            )
        if output_sequence_length is not None and (output_mode != "int" or output_sequence_length < 1):
            raise ValueError("TextVectorization: `output_sequence_length` must be above 0, and output_mode 'int'.")
        self.max_tokens, self.standardize, self.split, self.ngrams = max_tokens, standardize, split, ngrams
        self.output_sequence_length, self.pad_to_max_tokens, self.encoding = output_sequence_length, pad_to_max_tokens, encoding
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens,
            mask_token="",
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            output_mode=output_mode,
            pad_to_max_tokens=pad_to_max_tokens,
            encoding=encoding,
        )
        self.output_mode, self.built = self._lookup_layer.output_mode, True

    def tokens(self, text: Any) -> Any:
        """The tokens of one text."""
        text = self._text(text)
        if callable(self.standardize):
            text = self._text(self.standardize(text))
        elif self.standardize is not None:
            text = text.lower() if "lower" in self.standardize else text
            text = text.translate(_PUNCTUATION) if "punctuation" in self.standardize else text
        if callable(self.split):
            tokens = [self._text(t) for t in host_array(self.split(text))]
        else:
            tokens = text.split() if self.split == "whitespace" else list(text) if self.split == "character" else [text]
        if self.ngrams is None:
            return tokens
        sizes = range(1, self.ngrams + 1) if isinstance(self.ngrams, int) else self.ngrams
        return [" ".join(tokens[i : i + n]) for n in sizes for i in range(len(tokens) - n + 1)]

    def _text(self, text):
        """A string as `str`, whether it comes from Python, NumPy or TensorFlow, whose functions of strings may be given."""
        text = text.numpy() if callable(getattr(text, "numpy", None)) else text
        return text.decode(self.encoding) if isinstance(text, bytes) else str(text)

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Take the vocabulary from texts: an array or list of strings, or an iterable of batches (the first `steps`)."""
        many = not isinstance(data, (np.ndarray, list, tuple))
        batches = (b for i, b in enumerate(data) if steps is None or i < steps) if many else [data]
        self._lookup_layer.adapt(self._padded(self._cut(batch)) for batch in batches)

    def reset_state(self) -> None:
        """Forget the texts that `update_state` has seen."""
        self._lookup_layer.reset_state()

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch of texts; `finalize_state` makes the vocabulary of all of them."""
        self._lookup_layer.update_state(self._padded(self._cut(data)))

    def finalize_state(self) -> None:
        """Take the tokens that have been counted since the last reset, if there are any, as the vocabulary."""
        self._lookup_layer.finalize_state()

    def _cut(self, texts):
        return [self.tokens(t) for t in np.asarray(texts).reshape(-1).tolist()]

    def _padded(self, rows, length=None):
        """(texts, longest) strings, with the mask token, which has no number of its own, at the end of shorter texts."""
        length = max(map(len, rows), default=0) if length is None else length
        return np.array([(row + [""] * length)[:length] for row in rows], dtype=object).reshape(len(rows), length)

    @in_tensorflow.entrance
    def __call__(self, inputs: Structure) -> Any:
        return super().__call__(inputs) if isinstance(inputs, (Tensor, Symbol)) else self.call(inputs)

    def call(self, inputs: Any) -> Any:
        if type(inputs) is Tensor:
            if type(inputs.data) is Spec:
                return self._outputs_for(inputs.shape)
            raise TypeError(f"TextVectorization {self.path!r}: expected strings, but got {inputs.spec}.")
        texts = host_array(inputs)
        shape = _without_last(texts.shape)
        found = self._lookup_layer(self._padded(self._cut(texts), self.output_sequence_length))
        return ops.reshape(found, (*shape, found.shape[-1]))

    def _outputs_for(self, shape):
        """What is known of the outputs for texts of this shape."""
        tokens = Tensor(Spec((Dim(), self.output_sequence_length or Dim()), STRING))
        found = self._lookup_layer(tokens)
        return Tensor(Spec((*_without_last(shape), found.shape[-1]), found.dtype))

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The tokens in the order of their numbers."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Set the tokens: a list, or the path of a text file, one token a line."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    def load_assets(self, dir_path: FilePath) -> None:
        """Read the vocabulary as Keras writes it."""
        self._lookup_layer.load_assets(dir_path)

    def vocabulary_size(self) -> int:
        """Number of tokens with the special ones."""
        return self._lookup_layer.vocabulary_size()

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        found = self._lookup_layer.get_config()
        found = {k: found[k] for k in ("vocabulary", "idf_weights", "vocabulary_size")}
        return {**config, **found}


def _without_last(shape):
    """The shape of texts, of which each may stand in an axis of its own."""
    return shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape
