"""Passes over nodes of ONNX, for what follows a convolution: a constant for each channel becomes its bias, an activation stands beside it.

ONNX Runtime does so itself for most convolutions, but not for those whose transposes it moves elsewhere first.
"""

from collections import Counter

import numpy as np

from mlkit.export.onnx_writer import Writer, onnx

_ACTIVATIONS = frozenset("Relu Clip LeakyRelu Sigmoid HardSigmoid Tanh".split())  # which runtimes compute with the convolution


def tidy_convolutions(writer: Writer) -> None:
    """Both passes, on the nodes of a writer."""
    _join_biases(writer)
    _activate_first(writer)


def _join_biases(writer: Writer) -> None:
    """Leave out the nodes that only add a constant for each channel to what a Conv gives, seen with channels last."""
    initializers, uses, makers = writer.initializers, _uses(writer), _makers(writer)
    dropped = set()
    for node in writer.nodes:
        if node.op_type != "Add":
            continue
        for y, bias in (tuple(node.input), tuple(node.input)[::-1]):
            conv, last = _seen_last(y, makers, uses)
            if conv is None or len(conv.input) != 2:
                continue
            name = _as_channels(bias, initializers)
            if name is not None:
                conv.input.append(name)
                last.output[0] = node.output[0]
                dropped.add(id(node))
                break
    writer.nodes = [node for node in writer.nodes if id(node) not in dropped]


def _activate_first(writer: Writer) -> None:
    """Let an activation and the transposition between it and its Conv change places."""
    uses, makers = _uses(writer), _makers(writer)
    place = {id(node): i for i, node in enumerate(writer.nodes)}
    for node in list(writer.nodes):
        if node.op_type not in _ACTIVATIONS or not all(name in writer.initializers for name in node.input[1:]):
            continue
        conv, last = _seen_last(node.input[0], makers, uses)
        if conv is None:
            continue
        between, result = last.output[0], node.output[0]
        node.input[0], node.output[0] = conv.output[0], between
        last.input[0], last.output[0] = between, result
        i, k = place[id(last)], place[id(node)]
        writer.nodes[i], writer.nodes[k] = node, last


def _seen_last(name, makers, uses):
    """(the Conv, the transposition) by which a value is what a Conv gives, with channels last, and nothing else sees it; else two None."""
    last = makers.get(name)
    if last is None or last.op_type != "Transpose" or uses[name] != 1 or not _brings_channels_last(last):
        return None, None
    conv = makers.get(last.input[0])
    return (conv, last) if conv is not None and conv.op_type == "Conv" and uses[conv.output[0]] == 1 else (None, None)


def _uses(writer):
    """Name -> how often it is used."""
    uses = Counter(name for node in writer.nodes for name in _used(node))
    uses.update(map(writer.name, writer.graph.outputs))
    return uses


def _makers(writer):
    return {name: node for node in writer.nodes for name in node.output}


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
