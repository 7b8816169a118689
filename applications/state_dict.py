"""State dicts of PyTorch models into models of this package: names translated, axes put in order, all compared before any is set."""

import numpy as np

from mlkit import layers
from mlkit.objects.errors import ModelFileError

_LISTED = 5  # how many of many problems a message names
_SUFFIXES = {  # weight of a layer -> the end of its name in PyTorch
    "kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
    "moving_variance": "running_var",
}  # fmt: skip
_LIKELY = (  # a name, and whose model it is in
    ("features.1.0.layer_scale", "a ConvNeXt of torchvision"),
    ("features.0.0.weight", "a MobileNetV2 or EfficientNet of torchvision"),
    ("features.0.weight", "a VGG of torchvision"),
    ("layer1.0.conv1.weight", "a ResNet of torchvision or timm"),
    ("_conv_stem.weight", "an EfficientNet of the package efficientnet_pytorch"),
    ("conv_stem.weight", "an EfficientNet or MobileNet of timm"),
    ("features.conv0.weight", "a DenseNet of torchvision"),
    ("stages.0.blocks.0.gamma", "a ConvNeXt of timm"),
)


def load_state_dict(model, tensors, path, namings):
    """Set all weights of a model from a state dict; where anything is wrong, none of them.

    tensors: name -> stored tensor. path: what error messages call the file. namings: name of a table -> function from the name
    of a layer to the name of a PyTorch module. The table that finds the most weights is taken.

    Raises ModelFileError that names layers and shapes, and says what the file probably belongs to.
    """
    tables = {name: _keys(model, naming) for name, naming in namings.items()}
    name, keys = max(tables.items(), key=lambda item: sum(key in tensors for _, _, key in item[1]))
    problems = [p for layer, variable, key in keys if (p := _problem(layer, variable, key, tensors))]
    problems += _left_over(model, tensors, {key for _, _, key in keys})
    if problems:
        _refuse(model, path, f"the names of {name}", problems, tensors)
    values = [(v, _in_our_order(layer, v, tensors[key].read())) for layer, v, key in keys]
    for variable, value in values:
        variable.assign(value)


def load_by_path(model, tensors, path):
    """The same for a file that names tensors by the paths of this library's weights, such as "conv1_conv/kernel"."""
    keys = [(v, v.path) for v in model.weights]
    problems = [f"{key!r} is missing." for _, key in keys if key not in tensors]
    for v, key in keys:
        if key in tensors and (tensors[key].shape, tensors[key].dtype) != (tuple(v.shape), v.dtype):
            problems.append(
                f"{key!r} is {tensors[key].dtype} of shape {tensors[key].shape}, not {v.dtype} of {tuple(v.shape)}."
            )
    problems += [f"{key!r} has no place in the model." for key in sorted(set(tensors) - {k for _, k in keys})]
    if problems:
        _refuse(model, path, "the paths of its weights", problems, tensors)
    values = [(v, tensors[key].read()) for v, key in keys]
    for variable, value in values:
        variable.assign(value)


def _refuse(model, path, names, problems, tensors):
    listed = "\n  ".join(problems[:_LISTED])
    more = f"\n  and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
    reason = f"it does not fit {model.name!r} by {names}:\n  {listed}{more}\n"
    raise ModelFileError(path, "", reason, likely_model(tensors))


def likely_model(tensors):
    """A sentence about what a state dict probably belongs to."""
    found = next((words for name, words in _LIKELY if name in tensors), None)
    if found is None:
        return f"Its names, such as {', '.join(sorted(tensors)[:3])}, are of no model that is known here."
    return f"By its names it is from {found}."


def _keys(model, naming):
    """[(layer, weight, its name in the file)] of a model."""
    found = []
    for layer in model.layers:
        for variable in layer.weights:
            kind = variable.path.rpartition("/")[2]
            found.append((layer, variable, f"{naming(layer.name)}.{_SUFFIXES[kind]}"))
    return found


def _problem(layer, variable, key, tensors):
    if key not in tensors:
        return f"layer {layer.name!r}: the file has no {key!r}, which should be of shape {_their_shape(layer, variable)}."
    stored = tensors[key]
    if tuple(stored.shape) != _their_shape(layer, variable):
        return (
            f"layer {layer.name!r}: {key!r} has shape {tuple(stored.shape)}, but {_their_shape(layer, variable)} goes with the "
            f"weight {variable.path!r} of shape {tuple(variable.shape)}."
        )
    if stored.dtype != variable.dtype:
        return f"layer {layer.name!r}: {key!r} is {stored.dtype}, but {variable.path!r} is {variable.dtype}."
    return None


def _left_over(model, tensors, used):
    """Tensors without a place, unless they belong to a head that the model does without."""
    rest = [k for k in tensors if k not in used and not k.endswith("num_batches_tracked")]
    has_head = any(layer.name == "predictions" for layer in model.layers)
    if not has_head:
        rest = [k for k in rest if not k.startswith(("fc.", "_fc.", "classifier."))]
    return [f"{key!r} of shape {tuple(tensors[key].shape)} has no place in the model." for key in rest]


def _their_shape(layer, variable):
    """The shape a weight has in PyTorch, where channels come first."""
    shape = tuple(variable.shape)
    if len(shape) == 4:
        height, width, inputs, outputs = shape
        return (inputs * outputs, 1, height, width) if _is_depthwise(layer) else (outputs, inputs, height, width)
    return shape[::-1]


def _in_our_order(layer, variable, value):
    if value.ndim == 4:
        value = value.transpose(2, 3, 0, 1) if _is_depthwise(layer) else value.transpose(2, 3, 1, 0)
    elif value.ndim == 2:
        flattened = _flattened_shape(layer)
        if flattened is not None:  # there the channels of an image come before its pixels
            height, width, channels = flattened
            value = value.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(value.shape)
        value = value.T
    return np.ascontiguousarray(value).reshape(variable.shape)


def _is_depthwise(layer):
    return isinstance(layer, layers.DepthwiseConv2D)


def _flattened_shape(layer):
    """Shape of the images that were flattened for a dense layer, or None."""
    before = layer.input._keras_history.operation
    return tuple(before.input.shape[1:]) if isinstance(before, layers.Flatten) else None
