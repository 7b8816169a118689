"""Elements into batches and back: batch, padded_batch, unbatch, rebatch, window."""

from typing import Any

import numpy as np

from mlkit.core import tree
from mlkit.data.pipeline import elements
from mlkit.data.pipeline.elements import DatasetSpec, TensorSpec, is_node
from mlkit.data.pipeline.node import UNKNOWN, Node, Pass
from mlkit.data.pipeline.sources import Tensors


class Batch(Node):
    """Elements stacked, `size` at a time."""

    def __init__(self, source: Node, size: int, drop_remainder: bool):
        super().__init__(source)
        self.size, self.drop_remainder = size, drop_remainder

    def cardinality(self):
        there = self.source.cardinality()
        return there if there < 0 else there // self.size if self.drop_remainder else -(-there // self.size)

    def spec(self):
        there = self.source.cardinality()
        always = self.drop_remainder or (there >= 0 and there % self.size == 0)
        return elements.map_spec(lambda s: s.batched(self.size if always else None), self.source.spec())

    class Pass(Pass):
        def __next__(self):
            batch = self.source.block(self.node.size)
            if batch is None or (self.node.drop_remainder and elements.size_of_batch(batch, "batch") < self.node.size):
                raise StopIteration
            return batch


class PaddedBatch(Batch):
    """Elements padded to one shape and stacked.

    shapes: a structure of shapes with None for what the longest element decides. values: structure of what is padded with. Both may
    be None.
    """

    def __init__(self, source: Node, size: int, drop_remainder: bool, shapes: Any, values: Any):
        super().__init__(source, size, drop_remainder)
        self.shapes, self.values = shapes, values

    def spec(self):
        specs = super().spec()
        if self.shapes is None:
            return elements.map_spec(lambda s: TensorSpec(s.shape and (s.shape[0], *[None] * len(s.shape[1:])), s.dtype), specs)
        return tree.map_structure_up_to(
            specs, lambda s, shape: s and TensorSpec((s.shape[0] if s.shape else None, *shape), s.dtype), specs, self.shapes
        )

    class Pass(Batch.Pass):
        def __next__(self):
            node, found = self.node, []
            for element in self.source:
                found.append(element)
                if len(found) == node.size:
                    break
            if not found or (node.drop_remainder and len(found) < node.size):
                raise StopIteration
            shapes = tree.map_structure(lambda _: None, found[0]) if node.shapes is None else node.shapes
            values = tree.map_structure(lambda _: node.values, found[0]) if not tree.is_nested(node.values) else node.values
            return tree.map_structure_up_to(found[0], _padded, shapes, values, *found)


def _padded(shape: Any, value: Any, *leaves: Any) -> Any:
    """Leaves of one rank in one array, filled up."""
    first = leaves[0]
    if first is None:
        return None
    ranks = {leaf.ndim for leaf in leaves}
    if len(ranks) > 1 or (shape is not None and len(shape) != first.ndim):
        wanted = "one number of axes" if shape is None else f"the axes of `padded_shapes` {tuple(shape)}"
        raise ValueError(f"padded_batch: the elements must have {wanted}, but have shapes {[x.shape for x in leaves]}.")
    longest = [max(sizes) for sizes in zip(*[leaf.shape for leaf in leaves])]
    full = [n if s is None or s == -1 else s for s, n in zip(shape or [None] * first.ndim, longest)]
    if any(n > m for n, m in zip(longest, full)):
        raise ValueError(
            f"padded_batch: an element has shape {max(x.shape for x in leaves)}, which is more than `padded_shapes` "
            f"{tuple(shape)} leaves room for."
        )
    if value is None:
        value = b"" if first.dtype == object else first.dtype.type(0)
    out = np.full((len(leaves), *full), value.encode() if isinstance(value, str) else value, first.dtype)
    for i, leaf in enumerate(leaves):
        out[(i, *map(slice, leaf.shape))] = leaf
    return out


class Unbatch(Node):
    """The rows of batches."""

    def cardinality(self):
        there = self.source.cardinality()
        if there == 0 or not isinstance(self.source, Batch) or there < 0:
            return there if there <= 0 and there != UNKNOWN else UNKNOWN
        inner = self.source.source.cardinality()
        return there * self.source.size if self.source.drop_remainder else inner

    def spec(self):
        return elements.map_spec(TensorSpec.unbatched, self.source.spec())

    class Pass(Pass):
        saved = ("batch", "index", "size")

        def begin(self):
            self.batch, self.index, self.size = None, 0, 0

        def __next__(self):
            while self.index >= self.size:
                self.batch = next(self.source)
                self.index, self.size = 0, elements.size_of_batch(self.batch, "unbatch")
            self.index += 1
            return elements.row(self.batch, self.index - 1)


class Rebatch(Node):
    """Batches of other sizes: these in turn, of the same rows."""

    def __init__(self, source: Node, sizes: list[int], drop_remainder: bool):
        super().__init__(source)
        self.sizes, self.drop_remainder = sizes, drop_remainder

    def cardinality(self):
        rows = Unbatch(self.source).cardinality()
        if rows < 0 or len(self.sizes) > 1:
            return min(rows, 0) or UNKNOWN
        return rows // self.sizes[0] if self.drop_remainder else -(-rows // self.sizes[0])

    def spec(self):
        size = self.sizes[0] if self.drop_remainder and len(self.sizes) == 1 else None
        return elements.map_spec(lambda s: s.unbatched().batched(size), self.source.spec())

    class Pass(Pass):
        saved = ("rest", "turn")

        def begin(self):
            self.rest, self.turn = None, 0

        def __next__(self):
            wanted = self.node.sizes[self.turn % len(self.node.sizes)]
            parts = [] if self.rest is None else [self.rest]
            count = sum(elements.size_of_batch(p, "rebatch") for p in parts)
            while count < wanted:
                try:
                    part = next(self.source)
                except StopIteration:
                    break
                parts.append(part)
                count += elements.size_of_batch(part, "rebatch")
            if not count or (count < wanted and self.node.drop_remainder):
                self.rest = None
                raise StopIteration
            joined = parts[0] if len(parts) == 1 else tree.map_structure(_joined, *parts)
            self.turn += 1
            self.rest = elements.rows(joined, slice(wanted, None)) if count > wanted else None
            return elements.rows(joined, slice(wanted)) if count > wanted else joined


def _joined(*leaves: Any) -> Any:
    return None if leaves[0] is None else np.concatenate(leaves)


class Window(Node):
    """Datasets of `size` elements each, `stride` apart; they begin `shift` apart. An element's leaves are datasets."""

    def __init__(self, source: Node, size: int, shift: int, stride: int, drop_remainder: bool):
        super().__init__(source)
        self.size, self.shift, self.stride, self.drop_remainder = size, shift, stride, drop_remainder
        self.span = (size - 1) * stride + 1

    def cardinality(self):
        there = self.source.cardinality()
        if there < 0:
            return there
        return max(0, (there - self.span) // self.shift + 1) if self.drop_remainder else -(-there // self.shift)

    def spec(self):
        return elements.map_spec(DatasetSpec, self.source.spec())

    class Pass(Pass):
        saved = ("buffer", "is_over")

        def begin(self):
            self.buffer, self.is_over = [], False

        def __next__(self):
            node, buffer = self.node, self.buffer
            while not self.is_over and len(buffer) < max(node.span, node.shift):
                try:
                    buffer.append(next(self.source))
                except StopIteration:
                    self.is_over = True
            if len(buffer) < (node.span if node.drop_remainder else 1):
                raise StopIteration
            chosen = buffer[: node.span : node.stride]
            self.buffer = buffer[node.shift :]
            columns = zip(*map(tree.flatten, chosen))
            return tree.pack_sequence_as(chosen[0], [_dataset(column) for column in columns])


def _dataset(leaves: Any) -> Any:
    leaves = list(leaves)
    if is_node(leaves[0]):
        return Tensors(leaves, DatasetSpec(leaves[0].spec()))
    return Tensors(leaves)
