"""What graphs of cuDNN are written on: tensors as cuDNN counts their axes, numbered in the order in which a graph meets them."""

from typing import NamedTuple

# dtype -> its name in `cudnn.data_type`
TYPES = {"float16": "HALF", "bfloat16": "BFLOAT16", "float32": "FLOAT", "float64": "DOUBLE", "bool": "BOOLEAN"}


class Layout(NamedTuple):
    """A tensor in memory. strides: in elements."""

    shape: tuple
    strides: tuple
    dtype: str


def dense(shape, dtype):
    """The layout of a dense array."""
    strides = [1]
    for n in reversed(shape[1:]):
        strides.insert(0, strides[0] * n)
    return Layout(tuple(shape), tuple(strides), dtype)


def reordered(layout, order):
    """The layout with its axes in another order."""
    return Layout(tuple(layout.shape[i] for i in order), tuple(layout.strides[i] for i in order), layout.dtype)


def widened(layout, rank):
    """The layout with so many axes at least, those that are added behind the first two: cuDNN has no images of one spatial axis."""
    more = rank - len(layout.shape)
    if more <= 0:
        return layout
    (n, c, *cells), (a, b, *steps) = layout.shape, layout.strides
    return Layout((n, c, *(1,) * more, *cells), (a, b, *(steps[0] * cells[0],) * more, *steps), layout.dtype)


class Draft:
    """A graph that is being written.

    Args:
        graph: cuDNN's (`cudnn.pygraph`), which has a method for each operation.
        types: `cudnn.data_type`.
    """

    def __init__(self, graph, types):
        self.graph, self._types = graph, types
        self.layouts = []  # of the arguments and results, as they come

    def argument(self, layout):
        """A tensor that is given."""
        self.layouts.append(layout)
        number = len(self.layouts)
        shape, strides = list(layout.shape), list(layout.strides)
        return self.graph.tensor(name=f"x{number}", dim=shape, stride=strides, data_type=self._type(layout), uid=number)

    def result(self, tensor, layout):
        """Have a tensor of the graph written to memory."""
        self.layouts.append(layout)
        tensor.set_output(True).set_uid(len(self.layouts)).set_data_type(self._type(layout))
        tensor.set_dim(list(layout.shape)).set_stride(list(layout.strides))

    def _type(self, layout):
        return getattr(self._types, TYPES[layout.dtype])
