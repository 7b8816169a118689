"""Grad-CAM: which parts of an image speak for a class."""

import contextlib

import numpy as np

from mlkit import activations, ops
from mlkit.core.deferred import Deferred
from mlkit.core.tensor import Tensor
from mlkit.layers import Softmax
from mlkit.models.freezing import leaf_layers
from mlkit.ops.gradients import GradientTape
from mlkit.pictures.gallery import Gallery
from mlkit.pictures.picture import as_pixels

cm, colors = Deferred("matplotlib.cm"), Deferred("matplotlib.colors")


def grad_cam(model, images, classes=None, layer=None, class_names=None):
    """Heat maps of what in each image speaks for a class (Grad-CAM).

    Each channel of a convolutional layer's output is weighted by the mean of the gradient of the class's score with respect to
    it; what is positive in the sum is shown: red above the image, by how much it is above the weakest place, so that a map that is
    flat shows no red. Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from
    Deep Networks via Gradient-based Localization", https://arxiv.org/abs/1610.02391.

    Args:
        model: an image classifier. Its score is what comes before a final softmax or sigmoid.
        images: (n, height, width, channels), as the model takes them.
        classes: class number for each image, or one for all; the predicted ones unless given.
        layer: the layer, or its name, whose output (batch, rows, columns, channels) is looked at; unless given the last whose
            output has more than one place, in the order in which layers run, those of nested models included.
        class_names: for captions.

    Returns:
        `ActivationMaps`, a `Gallery` whose `maps` is an array (n, height, width) in [0, 1].

    Raises ValueError if there is no such layer.
    """
    images = np.asarray(images)
    layer = _named(model, layer) if isinstance(layer, str) else layer or _last_map(model, images)
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
    """Images with heat maps above them; `maps`: (n, height, width) in [0, 1], 1 where most speaks for the class."""

    def __init__(self, images, maps, captions):
        self.maps = maps
        self.flat = [i for i, m in enumerate(maps) if np.ptp(m) < _FLAT]
        hints = ["flat: no place stands out" if i in self.flat else "" for i in range(len(maps))]
        super().__init__(list(map(_heated, images, maps)), captions, "What speaks for the class (Grad-CAM)", hints=hints)

    def html(self):
        steps = ", ".join("rgb({:.0f},{:.0f},{:.0f})".format(*_color(np.float64(share))) for share in (0, 0.25, 0.5, 0.75, 1))
        bar = (
            f'<span style="display:inline-block;width:150px;height:0.9em;background:linear-gradient(to right, {steps})"></span>'
        )
        flat = f" Flat, so that no place stands out: {', '.join(str(i + 1) for i in self.flat)}." if self.flat else ""
        return f"{super().html()}<p>as the weakest place of the image {bar} {_SCALE}.{flat}</p>"

    def draw(self, figure):
        super().draw(figure)
        shades = colors.ListedColormap([_color(np.float64(share)) / 255 for share in np.linspace(0, 1, 64)])
        figure.colorbar(cm.ScalarMappable(cmap=shades), ax=figure.axes, label=_SCALE, shrink=0.7)


_FLAT = 0.1  # a map whose places differ by less, as a share of the strongest, singles nothing out
_SCALE = "above it, as a share of the strongest"


def _color(share):
    """From yellow to red."""
    return np.stack([np.full_like(share, 255), 230 * (1 - share), np.zeros_like(share)], axis=-1)


def _heated(image, heat):
    pixels = as_pixels(image).astype("float64")
    pixels = np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels[..., :3]
    above = heat - heat.min()  # not stretched: what differs little is to look so
    weight = 0.6 * above[..., None]
    return as_pixels(np.rint((1 - weight) * pixels * 0.9 + weight * _color(above)).astype("uint8"))


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


def _named(model, name):
    every = leaf_layers(model)
    named = [leaf for leaf in every if leaf.name == name]
    if not named:
        raise ValueError(f"grad_cam: model {model.name!r} has no layer {name!r}. There are {[x.name for x in every][-8:]}.")
    return named[0]


def _last_map(model, images):
    """The layer that was the last to give maps of more than one place."""
    found = []

    def note(layer, out):
        shape = getattr(out, "shape", ())
        if len(shape) == 4 and shape[1] * shape[2] > 1:
            found.append(layer)
        return out

    with contextlib.ExitStack() as stack:
        for leaf in leaf_layers(model):
            stack.enter_context(_watched(leaf, note))
        model(ops.convert_to_tensor(images[:1]), training=False)
    if not found:
        raise ValueError(
            f"grad_cam: model {model.name!r} has no layer with outputs (batch, rows, columns, channels) of more than one place."
        )
    return found[-1]


@contextlib.contextmanager
def _watched(layer, note):
    """A block in which what the layer gives is what `note(layer, output)` makes of it."""
    call = layer.call

    def watching(*args, **kwargs):
        return note(layer, call(*args, **kwargs))

    layer.call = watching
    try:
        yield
    finally:
        del layer.call


class _Noted:
    tape = output = None

    def note(self, layer, out):
        out = Tensor(out.data)  # a tensor of its own, also where the layer passes its input on
        self.tape.watch(out)
        self.output = out
        return out


@contextlib.contextmanager
def _noted(layer):
    """A block in which the layer's output is watched by a tape and kept."""
    noted = _Noted()
    with _watched(layer, noted.note):
        yield noted


@contextlib.contextmanager
def _logits(model):
    """A block in which the model ends before a final softmax or sigmoid, be it an activation or a layer."""
    last = leaf_layers(model)[-1]
    if isinstance(last, Softmax):
        with _passed_over(last):
            yield
        return
    own = getattr(last, "activation", None)
    if own not in (activations.softmax, activations.sigmoid):
        yield
        return
    last.activation = activations.linear
    try:
        yield
    finally:
        last.activation = own


@contextlib.contextmanager
def _passed_over(layer):
    layer.call = lambda inputs, *args, **kwargs: inputs
    try:
        yield
    finally:
        del layer.call
