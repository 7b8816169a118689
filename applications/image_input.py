"""The input of an image classifier: shapes checked, and where a symbolic tensor comes from."""

import warnings

from mlkit import config, layers
from mlkit.core import tree
from mlkit.objects.keras_tensor import KerasTensor, node_of


def image_shape(input_shape, size, min_size, known, trained, pretrained):
    """The input shape of a model, without the batch axis.

    input_shape: what the user gave, or None. size: the model's usual height and width. min_size: the least it works with.
    known: whether height and width must be known. trained: whether they must be the usual ones, for which a head was trained.
    pretrained: whether ImageNet weights follow, which need 3 channels.

    Raises ValueError for a shape that the model does not take.
    """
    first = config.image_data_format() == "channels_first"
    shaped = lambda height, width, channels: (channels, height, width) if first else (height, width, channels)
    if not input_shape:
        return shaped(size, size, 3) if known else shaped(None, None, 3)
    if len(input_shape) != 3:
        raise ValueError(f"`input_shape` must be a tuple of three integers, without the batch axis, but is {input_shape}.")
    input_shape = tuple(input_shape)
    channels, rows, columns = input_shape if first else (input_shape[2], *input_shape[:2])
    if pretrained and channels != 3:
        raise ValueError(f"The ImageNet weights need 3 input channels, but `input_shape` is {input_shape}.")
    if trained and (rows, columns) != (size, size):
        raise ValueError(
            f"With `include_top=True` and ImageNet weights, `input_shape` should be {shaped(size, size, 3)}, but is "
            f"{input_shape}. Use include_top=False for other sizes."
        )
    if channels not in (1, 3):
        warnings.warn(
            f"This model usually expects 1 or 3 input channels, but `input_shape` is {input_shape}, so {channels}.",
            stacklevel=4,
        )
    if any(s is not None and s < min_size for s in (rows, columns)):
        raise ValueError(f"Input size must be at least {min_size}x{min_size}, but `input_shape` is {input_shape}.")
    if known and None in input_shape:
        raise ValueError(f"With `include_top=True` (and always for NASNet) `input_shape` must be known, but is {input_shape}.")
    return input_shape


def image_input(input_shape, input_tensor=None):
    """(inputs, x): the inputs that a model is made from, and the symbolic images its first layer takes.

    Raises ValueError if `input_tensor` is no symbolic tensor.
    """
    if input_tensor is None:
        x = layers.Input(shape=input_shape)
        return x, x
    if not isinstance(input_tensor, KerasTensor):
        raise ValueError(
            f"`input_tensor` must be a symbolic tensor such as mlkit.Input(shape=(224, 224, 3)), but is {input_tensor!r:.200}."
        )
    return sources_of(input_tensor), input_tensor


def sources_of(tensor):
    """The Inputs that a symbolic tensor was computed from, as a list without repeats."""
    found, seen, todo = [], set(), [tensor]
    while todo:
        t = todo.pop()
        if id(t) in seen or not isinstance(t, KerasTensor):
            continue
        seen.add(id(t))
        before = node_of(t).input_tensors if t._keras_history else []
        if before:
            todo.extend(reversed(before))
        else:
            found.append(t)
    return found


def check_agreement(input_shape, input_tensor):
    """Raises ValueError if both are given and contradict each other."""
    if input_shape is None or not isinstance(input_tensor, KerasTensor):
        return
    given = tree.flatten(tuple(input_tensor.shape[1:]))
    if len(given) != len(input_shape) or any(None not in (a, b) and a != b for a, b in zip(given, input_shape)):
        raise ValueError(
            f"`input_shape` is {tuple(input_shape)}, but `input_tensor` has shape {input_tensor.shape}. Pass one of them."
        )


def trained_size(input_shape, input_tensor, include_top, pretrained, sizes):
    """(size, rows) of a model whose weights were trained for several image sizes, and which is named after its own.

    size: what to take where the user gives no shape, and what a pretrained model with a top must have. rows: the height for
    the name (None if it is free) and, where weights follow, for the file: 224, with a warning, where none has the height.
    """
    shape = input_shape or (input_tensor.shape[1:] if isinstance(input_tensor, KerasTensor) else None)
    rows, columns = (
        (None, None) if shape is None else shape[1:3] if config.image_data_format() == "channels_first" else shape[:2]
    )
    size = rows if rows == columns and rows in sizes else 224
    if pretrained and not ((rows == columns and rows in sizes) or (shape is None and include_top)):
        warnings.warn(
            f"The images are not square with a height among {sizes}, for which there are ImageNet weights. Those for 224 are "
            "loaded.",
            stacklevel=3,
        )
        return size, 224
    return size, size if shape is None and include_top else rows
