"""Where elements come from: arrays, numbers, generators, any objects that can be gone through."""

from typing import Any

import numpy as np

from mlkit.core import tree
from mlkit.core.ownership import own_arrays
from mlkit.data.pipeline import elements
from mlkit.data.pipeline.elements import TensorSpec
from mlkit.data.pipeline.node import UNKNOWN, Node, Pass


class Counted(Pass):
    """A pass over a node that is indexed."""

    saved = ("index",)

    def begin(self):
        self.index, self.count = 0, self.node.cardinality()

    def __next__(self):
        if self.index >= self.count:
            raise StopIteration
        element = self.node.at(self.index)
        self.index += 1
        return element

    def block(self, count):
        if self.index >= self.count:
            return None
        numbers = slice(self.index, min(self.index + count, self.count))
        self.index = numbers.stop
        return self.node.block(numbers)


class Slices(Node):
    """The rows of arrays, which are not copied: those of a memory-mapped file are read when they are asked for."""

    Pass = Counted

    def __init__(self, arrays: Any):
        super().__init__()
        self.arrays = arrays
        self.count = elements.size_of_batch(arrays, "from_tensor_slices")

    def cardinality(self):
        return self.count

    def spec(self):
        return elements.map_spec(TensorSpec.unbatched, elements.spec_of(self.arrays))

    def at(self, i):
        return elements.row(self.arrays, i)

    def block(self, numbers):
        return elements.rows(self.arrays, numbers)


class Tensors(Node):
    """A list of elements."""

    Pass = Counted

    def __init__(self, items: list[Any], spec: Any = None):
        super().__init__()
        self.items, self._spec = items, spec

    def cardinality(self):
        return len(self.items)

    def spec(self):
        return elements.spec_of(self.items[0]) if self._spec is None else self._spec

    def at(self, i):
        return self.items[i]

    def block(self, numbers):
        chosen = self.items[numbers] if isinstance(numbers, slice) else [self.items[i] for i in numbers]
        return elements.stack(chosen)


class Range(Node):
    """Integers, or floats, of one distance."""

    Pass = Counted

    def __init__(self, numbers: Any, dtype: str):
        super().__init__()
        self.numbers, self.dtype = numbers, dtype

    def cardinality(self):
        return len(self.numbers)

    def spec(self):
        return TensorSpec((), self.dtype)

    def at(self, i):
        return np.asarray(self.numbers[i], self.dtype)

    def block(self, numbers):
        chosen = self.numbers[numbers] if isinstance(numbers, slice) else [self.numbers[i] for i in numbers]
        return np.asarray(chosen, self.dtype)


class Generated(Node):
    """The elements of what a function returns: a generator, which is begun anew for each pass.

    signature: structure of TensorSpecs that the elements are brought to, or None.
    """

    def __init__(self, make: Any, signature: Any = None, count: int = UNKNOWN):
        super().__init__()
        self.make, self.signature, self.count = make, signature, count

    def cardinality(self):
        return self.count

    def spec(self):
        return self.first_spec() if self.signature is None else self.signature

    def element(self, value: Any, position: int) -> Any:
        if self.signature is None:
            return own_arrays(elements.to_element(value))  # the generator may write into them for the next one
        where = f"from_generator: element {position}"
        if isinstance(value, list) and isinstance(self.signature, tuple):
            value = tuple(value)
        try:
            made = tree.map_structure_up_to(self.signature, lambda s, v: _as_signed(s, v, where), self.signature, value)
            return own_arrays(made)
        except ValueError as error:
            if str(error).startswith("from_generator"):
                raise
            raise ValueError(f"{where} has not the form of `output_signature` {self.signature}. {error}") from error

    class Pass(Pass):
        """A generator cannot go back or be saved: a restored pass begins it anew and skips what was there."""

        saved = ("index",)

        def begin(self):
            self.index, self.iterator = 0, None

        def __next__(self):
            if self.iterator is None:
                self.iterator = iter(self.node.make())
                for _ in range(self.index):
                    next(self.iterator)
            value = next(self.iterator)
            element = self.node.element(value, self.index)
            self.index += 1
            return element

        def close(self):
            if hasattr(self.iterator, "close"):
                self.iterator.close()


def _as_signed(spec: Any, value: Any, where: str) -> Any:
    if spec is None:
        return None
    array = elements.to_element(value)
    if spec.dtype != elements.dtype_name(array.dtype) and elements.STRING not in (spec.dtype, elements.dtype_name(array.dtype)):
        array = array.astype(spec.dtype)
    if not spec.fits(array):
        raise ValueError(f"{where} holds {elements.spec_of(array)}, but `output_signature` says {spec}.")
    return array
