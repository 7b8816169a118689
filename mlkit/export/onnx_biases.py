"""A pass over nodes of ONNX: what is added to each channel of a convolution becomes its bias.

ONNX Runtime does so itself for most convolutions, but not for those whose transposes it moves elsewhere first.
"""

from collections import Counter

import numpy as np

from mlkit.export.onnx_writer import Writer, onnx


def join_biases(writer: Writer) -> None:
    """Leave out the nodes that only add a constant for each channel to what a Conv gives, seen with channels last."""
    nodes, initializers = writer.nodes, writer.initializers
    uses = Counter(name for node in nodes for name in _used(node))
    uses.update(map(writer.name, writer.graph.outputs))
    makers = {name: node for node in nodes for name in node.output}
    dropped = set()
    for node in nodes:
        if node.op_type != "Add":
            continue
        for y, bias in (tuple(node.input), tuple(node.input)[::-1]):
            last = makers.get(y)
            conv = makers.get(last.input[0]) if last is not None and last.op_type == "Transpose" and uses[y] == 1 else None
            if conv is None or conv.op_type != "Conv" or len(conv.input) != 2 or uses[conv.output[0]] != 1:
                continue
            name = _as_channels(bias, initializers) if _brings_channels_last(last) else None
            if name is not None:
                conv.input.append(name)
                last.output[0] = node.output[0]
                dropped.add(id(node))
                break
    writer.nodes = [node for node in nodes if id(node) not in dropped]


def _used(node):
    """Names that a node takes, those that bodies in it take from outside included."""
    yield from node.input
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            for inner in graph.node:
                yield from _used(inner)


def _brings_channels_last(transpose):
    order = list(transpose.attribute[0].ints)
    return order == [0, *range(2, len(order)), 1]


def _as_channels(name, initializers):
    """The name of a constant with one number for each channel, as the list that a bias is; None if it is none."""
    tensor = initializers.get(name)
    if tensor is None or not tensor.dims or list(tensor.dims[:-1]) != [1] * (len(tensor.dims) - 1) or tensor.dims[-1] == 1:
        return None
    if len(tensor.dims) == 1:
        return name
    flat = f"{name}_of_channels"
    initializers[flat] = onnx.numpy_helper.from_array(np.ravel(onnx.numpy_helper.to_array(tensor)), flat)
    return flat
