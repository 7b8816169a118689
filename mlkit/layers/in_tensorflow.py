"""Layers within TensorFlow's own graphs, as in `tf.data.Dataset.map`: there they run through `tf.numpy_function`.

TensorFlow is imported by who calls a layer on its symbols, not here. What is known of the results beforehand, shapes and dtypes, is
found by running the layer on symbols of ours, or, for strings and what looks at values, on two small examples.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from mlkit.core import tree
from mlkit.core.deferred import Deferred
from mlkit.objects.keras_tensor import KerasTensor
from mlkit.primitives.convert import ForeignSymbol

tensorflow = Deferred("tensorflow")


def is_symbol(x: Any) -> bool:
    """Whether x is a tensor of a graph that TensorFlow is making."""
    return "tensorflow" in sys.modules and tensorflow.is_symbolic_tensor(x)


def called(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], error: ForeignSymbol) -> Any:
    """A call of a layer as a node of TensorFlow's graph: tensors of that graph. error: why it could not be called otherwise."""
    leaves = tree.flatten((args, kwargs))
    symbols = [x for x in leaves if is_symbol(x)]
    if not symbols:
        raise error
    for x in symbols:
        if x.shape.rank is None:
            raise ValueError(
                f"{layer.path}: called on the TensorFlow tensor {x.name!r} of unknown shape. Say how many axes it has before: "
                "x.set_shape([None, None, 3])."
            )

    def run(*arrays: Any) -> list[Any]:
        return [np.asarray(out) for out in tree.flatten(_call(layer, args, kwargs, arrays))]

    kinds = _kinds_of_results(layer, args, kwargs, symbols)
    flat = tree.flatten(kinds)
    found = tensorflow.numpy_function(run, symbols, [tensorflow.as_dtype(kind.dtype) for kind in flat])
    for tensor, kind in zip(found, flat):
        tensor.set_shape(kind.shape)
    return tree.pack_sequence_as(kinds, found)


class _Kind:
    """Shape and dtype of a result."""

    def __init__(self, shape: Any, dtype: str):
        self.shape, self.dtype = shape, dtype


def _kinds_of_results(layer: Any, args: Any, kwargs: Any, symbols: list[Any]) -> Any:
    """A structure of `_Kind`."""
    if not any(x.dtype.name == "string" for x in symbols):
        ours = [KerasTensor(tuple(x.shape), x.dtype.name) for x in symbols]
        given = iter(ours)
        own_args, own_kwargs = tree.map_structure(lambda x: next(given) if is_symbol(x) else x, (args, kwargs))
        try:
            found = layer.compute_output_spec(*own_args, **own_kwargs)
        except Exception:  # it looks at values, as lookups do; where it fails for another reason, so do the examples
            pass
        else:
            return tree.map_structure(lambda t: _Kind(t.shape, t.dtype), found)
    small, large = (_call(layer, args, kwargs, [_example(layer, x, size) for x in symbols]) for size in (1, 2))
    return tree.map_structure(_kind_of_examples, small, large)


def _kind_of_examples(small: Any, large: Any) -> _Kind:
    small, large = np.asarray(small), np.asarray(large)
    dtype = "string" if small.dtype.kind in "OUS" else small.dtype.name
    return _Kind([n if n == m else None for n, m in zip(small.shape, large.shape)], dtype)


def _example(layer: Any, symbol: Any, size: int) -> Any:
    """Zeros, or a token that the layer knows, of the symbol's shape, and of this size where that is open."""
    known = layer.get_vocabulary()[-1:] if hasattr(layer, "get_vocabulary") else []
    shape = [size if n is None else n for n in symbol.shape]
    if symbol.dtype.name == "string":
        token = str(known[0] if known else "a").encode()
        return np.full(shape, b" ".join([token] * size) if hasattr(layer, "split") else token, object)
    return np.full(shape, 0 if not known or isinstance(known[0], str) else known[0], symbol.dtype.as_numpy_dtype)


def _call(layer: Any, args: Any, kwargs: Any, values: Any) -> Any:
    """The layer called with values in place of the symbols."""
    given = iter(values)
    args, kwargs = tree.map_structure(lambda x: next(given) if is_symbol(x) else x, (args, kwargs))
    return layer(*args, **kwargs)


def entrance(call: Callable[..., Any]) -> Callable[..., Any]:
    """A layer's `__call__` that does something with its inputs before `Layer.__call__` sees them."""

    @functools.wraps(call)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return call(self, *args, **kwargs)
        except ForeignSymbol as error:
            return called(self, args, kwargs, error)

    return method
