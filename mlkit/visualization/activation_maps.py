"""Grad-CAM: which parts of an image speak for a class."""

import contextlib

import numpy as np

from mlkit import activations, ops
from mlkit.core.tensor import Tensor
from mlkit.models.freezing import leaf_layers
from mlkit.ops.gradients import GradientTape
from mlkit.visualization.gallery import Gallery
from mlkit.visualization.picture import as_pixels


def grad_cam(model, images, classes=None, layer=None, class_names=None):
    """Heat maps of what in each image speaks for a class (Grad-CAM).

    Each channel of a convolutional layer's output is weighted by the mean of the gradient of the class's score with respect to
    it; what is positive in the sum is shown: red above the image. Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from
    Deep Networks via Gradient-based Localization", https://arxiv.org/abs/1610.02391.

    Args:
        model: an image classifier. Its score is what comes before a final softmax or sigmoid.
        images: (n, height, width, channels), as the model takes them.
        classes: class number for each image, or one for all; the predicted ones unless given.
        layer: the layer, or its name, whose output (batch, rows, columns, channels) is looked at; the last such one of the
            model, layers of nested models included, unless given.
        class_names: for captions.

    Returns:
        `ActivationMaps`, a `Gallery` whose `maps` is an array (n, height, width) in [0, 1].

    Raises ValueError if there is no such layer.
    """
    images = np.asarray(images)
    layer = _convolutional(model, layer)
    with _logits(model), _noted(layer) as seen, GradientTape() as tape:
        seen.tape = tape
        scores = model(ops.convert_to_tensor(images), training=False)
        wanted = _wanted(scores.numpy(), classes)
        chosen = ops.sum(_of_class(scores, wanted))
    if seen.output is None:
        raise ValueError(f"grad_cam: layer {layer.name!r} was not called by model {model.name!r}.")
    gradient = tape.gradient(chosen, seen.output)
    if gradient is None:
        raise ValueError(f"grad_cam: the scores do not depend on layer {layer.name!r}.")
    weights = ops.mean(gradient, axis=(1, 2), keepdims=True)
    maps = ops.relu(ops.sum(weights * seen.output, axis=-1, keepdims=True))
    maps = ops.image.resize(maps, images.shape[1:3], interpolation="bilinear").numpy()[..., 0]
    peak = maps.max(axis=(1, 2), keepdims=True)
    names = [class_names[c] if class_names else str(c) for c in wanted]
    return ActivationMaps(images, maps / np.where(peak > 0, peak, 1), names)


class ActivationMaps(Gallery):
    """Images with heat maps above them; `maps`: (n, height, width) in [0, 1]."""

    def __init__(self, images, maps, captions):
        self.maps = maps
        super().__init__(list(map(_heated, images, maps)), captions, "What speaks for the class (Grad-CAM)")


def _heated(image, heat):
    pixels = as_pixels(image).astype("float64")
    pixels = np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels[..., :3]
    heat = heat[..., None]
    red = np.concatenate([np.full_like(heat, 255), 200 * (1 - heat), np.zeros_like(heat)], axis=-1)  # from yellow to red
    return as_pixels((1 - 0.6 * heat) * pixels * 0.9 + 0.6 * heat * red)


def _wanted(scores, classes):
    if scores.ndim != 2:
        raise ValueError(f"grad_cam: the model must give one row of scores an image, but gave shape {scores.shape}.")
    if classes is None:
        return scores.argmax(axis=1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype("int64")
    return np.broadcast_to(np.asarray(classes, "int64"), (len(scores),))


def _of_class(scores, wanted):
    """Score of the wanted class of each image; with a single score it counts for class 1, and its negative for class 0."""
    if scores.shape[1] == 1:
        return scores[:, 0] * ops.convert_to_tensor(np.where(wanted == 1, 1.0, -1.0).astype(scores.dtype))
    return ops.take_along_axis(scores, wanted[:, None], axis=1)


def _convolutional(model, layer):
    if layer is not None and not isinstance(layer, str):
        return layer
    every = leaf_layers(model)
    if layer is not None:
        named = [leaf for leaf in every if leaf.name == layer]
        if not named:
            raise ValueError(
                f"grad_cam: model {model.name!r} has no layer {layer!r}. There are {[x.name for x in every][-8:]}."
            )
        return named[0]
    maps = [leaf for leaf in every if any(_is_map(node) for node in leaf._inbound_nodes)]
    if not maps:
        raise ValueError(
            f"grad_cam: model {model.name!r} has no layer with outputs (batch, rows, columns, channels). Pass `layer`."
        )
    return maps[-1]


def _is_map(node):
    return bool(node.input_tensors) and len(getattr(node.outputs, "shape", ())) == 4


class _Noted:
    tape = output = None


@contextlib.contextmanager
def _noted(layer):
    """A block in which the layer's output is watched by a tape and kept."""
    noted, call = _Noted(), layer.call

    def watching(*args, **kwargs):
        out = call(*args, **kwargs)
        out = Tensor(out.data)  # a tensor of its own, also where the layer passes its input on
        noted.tape.watch(out)
        noted.output = out
        return out

    layer.call = watching
    try:
        yield noted
    finally:
        del layer.call


@contextlib.contextmanager
def _logits(model):
    """A block in which the model's last layer has no activation."""
    last = model.layers[-1]
    own = getattr(last, "activation", None)
    if own not in (activations.softmax, activations.sigmoid):
        yield
        return
    last.activation = activations.linear
    try:
        yield
    finally:
        last.activation = own
