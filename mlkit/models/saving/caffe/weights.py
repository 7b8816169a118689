"""`load_caffe`: the weights of a network of Caffe by the names of its layers, and their way into layers of ours."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mlkit.core.messages import inside
from mlkit.core.typing import FilePath
from mlkit.models.saving.caffe.layouts import arrays_for, todays_shapes
from mlkit.models.saving.caffe.network import CaffeLayer, read_network
from mlkit.models.saving.caffe.stored import read_layers
from mlkit.models.saving.caffe.text import MAX_TEXT, TextError
from mlkit.models.saving.keras_file import opened
from mlkit.objects.errors import ModelFileError, reading

_LISTED = 5  # how many of many a message names


class CaffeWeights(Mapping[str, list[np.ndarray]]):
    """Arrays of a network of Caffe: name of a layer -> its arrays, in Caffe's order and with its axes. What `load_caffe` returns.

    layers: name -> CaffeLayer, of all layers of the `.prototxt` file, with its type, connections and settings.
    """

    def __init__(self, arrays: dict[str, list[np.ndarray]], layers: dict[str, CaffeLayer]):
        self._arrays, self.layers = arrays, layers

    def __getitem__(self, name: str) -> list[np.ndarray]:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return (
            f"<CaffeWeights of {len(self)} layers: {', '.join(list(self)[:_LISTED])}{', ...' if len(self) > _LISTED else ''}>"
        )

    def for_layer(self, layer: Any, name: str | None = None, image: tuple[int, int] | None = None) -> list[np.ndarray]:
        """What ``layer.set_weights`` takes, made of the arrays of a layer of Caffe.

        Kernels of convolutions get the axes height, width, inputs, outputs; matrices of InnerProduct are transposed, and where
        an image was flattened before, their rows follow our order of its numbers; statistics of BatchNorm are divided by its
        factor, and the layer Scale behind it gives gamma and beta.

        Args:
            layer: a built Conv1D, Conv2D, Conv3D, DepthwiseConv2D, Conv2DTranspose, Dense, BatchNormalization, PReLU or
                Embedding.
            name: Caffe's name of the layer; by default that of ours (see `assign`).
            image: height and width of the image that was flattened for a Dense layer; (1, 1) if none was. By default they are
                found in the graph of its model; a layer that belongs to none needs them.

        Raises ValueError for layers of types that do not go together, and for shapes that differ.
        """
        name = self._name_for(layer.name) if name is None else name
        if name is None or name not in self:
            raise ValueError(
                f"for_layer: the network of Caffe has no layer {name or layer.name!r} with weights; it has {', '.join(self) or 'none'}."
            )
        scale = self._scale_behind(name)
        return arrays_for(layer, self.layers[name], self[name], self[scale] if scale else None, image)

    def assign(self, model: Any, names: Mapping[str, str] | None = None) -> list[str]:
        """Set the weights of all layers of a built model that have weights here; where anything is wrong, of none.

        Args:
            model: its layers have Caffe's names, in which "_" may stand for the "/" of "inception_3a/3x3".
            names: Caffe's name for those of our layers that are called otherwise.

        Returns: the names of our layers whose weights were set.

        Raises ValueError as `for_layer` does, for names that are not there, and where no layer has a name of Caffe's.
        """
        names = dict(names or {})
        own = {layer.name: layer for layer in model.layers}
        if unknown := [n for n in names if n not in own]:
            raise ValueError(f"assign: {model.name!r} has no layers {unknown}; it has {', '.join(own)}.")
        plan = [
            (layer, self.for_layer(layer, names.get(name)))
            for name, layer in own.items()
            if name in names or (layer.weights and self._name_for(name) is not None)
        ]
        if not plan:
            raise ValueError(f"assign: no layer of {model.name!r} has one of Caffe's names: {', '.join(self)}.")
        for layer, arrays in plan:
            layer.set_weights(arrays)
        return [layer.name for layer, _ in plan]

    def _name_for(self, own: str) -> str | None:
        if own in self:
            return own
        fitting = [name for name in self if name.replace("/", "_") == own]
        if len(fitting) > 1:
            raise ValueError(f"assign: the layer {own!r} could be any of Caffe's {fitting}: say which in `names`.")
        return fitting[0] if fitting else None

    def _scale_behind(self, name):
        """The name of the layer Scale that takes what a BatchNorm gives, or None."""
        layer = self.layers[name]
        if layer.type != "BatchNorm":
            return None
        after = list(self.layers)[list(self.layers).index(name) + 1 :]
        return next(
            (n for n in after if n in self and self.layers[n].type == "Scale" and self.layers[n].bottoms == layer.tops), None
        )


def load_caffe(prototxt: FilePath, caffemodel: FilePath, allow_nonfinite: bool = False) -> CaffeWeights:
    """Read the weights of a network that was trained with Caffe, in files of today's format or of version 1.

    Neither Caffe nor protobuf is needed, and nothing of the files is run. Layers of the `.caffemodel` file that the `.prototxt`
    file does not have are left out, as in Caffe.

    Args:
        prototxt: the network, as text; the one to deploy, or one to train with, whose layers of the phase TRAIN are left out.
        caffemodel: its weights.
        allow_nonfinite: whether weights may be NaN or infinite.

    Returns: a `CaffeWeights`: name of a layer -> list of arrays, and `assign`, which puts them into a model.

    Raises ModelFileError for files that are truncated, damaged, of another kind or beyond the limits (2 GB, 20,000 layers, 32
    axes), and for layers whose weights are missing or do not fit the network.

    Example (docs/caffe.md has one that runs)::

        weights = mlkit.saving.load_caffe("deploy.prototxt", "net.caffemodel")
        weights["conv1"][0].shape  # (96, 3, 11, 11): outputs, inputs, height, width
        weights.assign(model)
    """
    with opened(prototxt) as (file, path), reading(path):
        data = file.read(4 * MAX_TEXT + 1)
        try:
            layers = read_network(data.decode())
        except UnicodeDecodeError as error:
            raise ModelFileError(
                path, "", "it is no text.", "The first file is the .prototxt, the second the .caffemodel."
            ) from error
        except TextError as error:
            raise ModelFileError(path, "", f"{inside(error)}.") from error
    with opened(caffemodel) as (file, path), reading(path):
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        stored = {layer.name: layer for layer in read_layers(file, size, path, allow_nonfinite) if layer.blobs}
        arrays = {name: todays_shapes(layer, stored[name].blobs) for name, layer in layers.items() if name in stored}
        _check(layers, arrays, stored, path)
    return CaffeWeights(arrays, layers)


def _check(layers, arrays, stored, path):
    """Refuse arrays that are missing, too many, or of another type of layer than the network has."""
    problems = []
    for name, layer in layers.items():
        there = len(arrays.get(name, ()))
        if name in stored and stored[name].type not in ("", layer.type):
            problems.append(f"{name!r:.80} is of type {stored[name].type!r:.40}, in the network {layer.type!r:.40}.")
        elif layer.blobs and there not in layer.blobs:
            problems.append(f"{name!r:.80} ({layer.type}) should have {layer.blobs[0]} arrays, but has {there}.")
        elif outputs := _outputs(layer):
            shapes = [a.shape for a in arrays[name]]
            if shapes[0][outputs[0]] != outputs[1] or any(shape != (outputs[1],) for shape in shapes[1:]):
                problems.append(f"{name!r:.80} has arrays of shapes {shapes}, which do not fit its num_output of {outputs[1]}.")
    if problems:
        more = f"\n  and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        listed = "\n  ".join(problems[:_LISTED])
        raise ModelFileError(path, "", f"it does not fit the network of the .prototxt file:\n  {listed}{more}")


def _outputs(layer):
    """(axis of the first array, its size) as the settings of a layer say, or None."""
    if layer.type == "Convolution":
        return 0, layer.setting("convolution_param", "num_output")
    if layer.type == "InnerProduct":
        return int(bool(layer.setting("inner_product_param", "transpose", False))), layer.setting(
            "inner_product_param", "num_output"
        )
    return None
