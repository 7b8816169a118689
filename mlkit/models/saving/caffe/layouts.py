"""From Caffe's arrays to those that our layers take: the order of axes, and what is one layer there and another here."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit import layers
from mlkit.config import image_data_format
from mlkit.layers.conv import BaseConv
from mlkit.layers.conv_variants import BaseConvTranspose, BaseDepthwiseConv, BaseSeparableConv
from mlkit.models.saving.caffe.network import CaffeLayer
from mlkit.objects.keras_tensor import node_of

_TAKES = (  # class of ours -> type of Caffe's
    (BaseSeparableConv, ""), (BaseConv, "Convolution"), (layers.Dense, "InnerProduct"), (layers.BatchNormalization, "BatchNorm"),
    (layers.PReLU, "PReLU"), (layers.Embedding, "Embed"),
)  # fmt: skip


def todays_shapes(layer: CaffeLayer, blobs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The arrays of a layer in the shapes of today's Caffe: older files have four axes for all of them."""
    matrix = layer.type in ("InnerProduct", "Embed")
    found = []
    for i, blob in enumerate(blobs):
        axes = 2 if matrix and i == 0 else 1
        one_axis = matrix or i > 0 or layer.type in ("BatchNorm", "PReLU", "Scale", "Bias")
        if blob.ndim == 4 and one_axis and blob.shape[: 4 - axes] == (1,) * (4 - axes):
            blob = blob.reshape(blob.shape[4 - axes :])
        found.append(blob)
    return found


def arrays_for(
    own: Any, layer: CaffeLayer, blobs: Sequence[np.ndarray], scale: Sequence[np.ndarray] | None, image: tuple[int, int] | None
) -> list[np.ndarray]:
    """What `own.set_weights` takes. scale: arrays of the layer Scale behind a BatchNorm. image: see `CaffeWeights.for_layer`."""
    if not own.built:
        raise ValueError(f"for_layer: the layer {own.name!r} has no weights yet: build it, or call the model, first.")
    wanted = (
        "Deconvolution" if isinstance(own, BaseConvTranspose) else next((t for kind, t in _TAKES if isinstance(own, kind)), "")
    )
    if layer.type != wanted:
        raise ValueError(
            f"for_layer: the layer {own.name!r} is a {type(own).__name__}, which takes "
            f"{f'those of a layer {wanted}' if wanted else 'no weights'} of Caffe; {layer.name!r} is of type {layer.type!r}."
        )
    if isinstance(own, layers.BatchNormalization):
        arrays = _normalization(own, blobs, scale)
    elif isinstance(own, layers.PReLU):
        arrays = [blobs[0].reshape(own.weights[0].shape) if blobs[0].size == own.count_params() else blobs[0]]
    elif isinstance(own, layers.Dense):
        arrays = [_matrix(own, layer, blobs[0], image), *blobs[1:]]
    elif isinstance(own, BaseConv):
        arrays = [_kernel(own, layer, blobs[0]), *blobs[1:]]
    else:
        arrays = list(blobs)
    shapes, needed = [a.shape for a in arrays], [tuple(v.shape) for v in own.weights]
    if shapes != needed:
        raise ValueError(
            f"for_layer: the weights of {own.name!r} have the shapes {needed}; those of Caffe's {layer.name!r}, with the axes in our "
            f"order, {shapes}.{_hint(own, layer, len(shapes), len(needed))}"
        )
    return [np.ascontiguousarray(a) for a in arrays]


def _kernel(own, layer, kernel):
    """From outputs, inputs, sizes to sizes, inputs, outputs; of a Deconvolution from inputs, outputs, sizes to sizes, outputs, inputs."""
    groups = layer.setting("convolution_param", "group", 1)
    if layer.type == "Deconvolution" and groups != 1:
        raise ValueError(f"for_layer: {layer.name!r} has {groups} groups, which no transposed convolution here has.")
    turned = kernel.transpose(*range(2, kernel.ndim), 1, 0)
    if not isinstance(own, BaseDepthwiseConv):
        if layer.type == "Convolution" and groups != own.groups:
            raise ValueError(f"for_layer: {own.name!r} has groups={own.groups}, but Caffe's {layer.name!r} has {groups}.")
        return turned
    if kernel.shape[1] != 1 or kernel.shape[0] % groups:
        raise ValueError(
            f"for_layer: {layer.name!r} is no depthwise convolution: it has {groups} groups of {kernel.shape[1]} inputs."
        )
    return turned.reshape(*kernel.shape[2:], groups, -1)


def _matrix(own, layer, matrix, image):
    """From outputs, inputs to inputs, outputs; the numbers of an image in the order height, width, channels."""
    if not layer.setting("inner_product_param", "transpose", False):
        matrix = matrix.T
    height, width = _image_before(own) if image is None else image
    if height * width == 1:
        return matrix
    inputs, outputs = matrix.shape
    if inputs % (height * width):
        raise ValueError(f"for_layer: {layer.name!r} has {inputs} inputs, which are no image of {height} x {width} pixels.")
    return matrix.reshape(-1, height, width, outputs).transpose(1, 2, 0, 3).reshape(inputs, outputs)


def _image_before(own):
    """Height and width of what was flattened for a dense layer; (1, 1) if nothing was."""
    images, waiting, seen = set(), [own.input] if own._inbound_nodes else [], set()
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        inputs = node_of(tensor).input_tensors if tensor._keras_history is not None else []
        if len(tensor.shape) == 2 and inputs and [len(t.shape) for t in inputs] != [4]:
            waiting += inputs
        else:
            images.add(_flattened(tensor, inputs))
    if len(images) != 1 or None in images:
        raise ValueError(
            f"for_layer: whether the inputs of {own.name!r} are a flattened image is not to be seen: say image=(height, width), or "
            "(1, 1)."
        )
    return images.pop()


def _flattened(tensor, inputs):
    """(height, width) of the image that was flattened to a tensor of rows; (1, 1) if none was, None if it is not known."""
    if len(tensor.shape) != 2 or not inputs:
        return 1, 1
    shape, operation = inputs[0].shape[1:], node_of(tensor).operation
    if None in shape:
        return (1, 1) if tensor.shape[1] is not None else None
    if math.prod(shape) != tensor.shape[1]:
        return 1, 1  # a mean over the pixels, say
    if isinstance(operation, layers.Flatten):
        return tuple(shape[1:] if operation.data_format == "channels_first" else shape[:2])
    return tuple(shape[:2]) if image_data_format() == "channels_last" else None


def _normalization(own, blobs, scale):
    mean, variance, factor = blobs
    factor = 1 / factor.reshape(-1)[0] if factor.size and factor.reshape(-1)[0] else 0.0
    statistics = [mean * mean.dtype.type(factor), variance * variance.dtype.type(factor)]
    gamma, beta = (*(scale or ()), None, None)[:2]
    zeros = np.zeros_like(mean)
    if (gamma is not None and not own.scale) or (beta is not None and not own.center):
        raise ValueError(f"for_layer: {own.name!r} has no gamma or no beta, which the layer Scale in Caffe's network has.")
    learnt = [zeros + 1 if gamma is None else gamma] if own.scale else []
    learnt += [zeros if beta is None else beta] if own.center else []
    return [*learnt, *statistics]


def _hint(own, layer, there, needed):
    if there != needed and hasattr(own, "use_bias"):
        return f" Make the layer with use_bias={there > 1}."
    return ""
