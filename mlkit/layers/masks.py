"""Masks: boolean tensors that ride on tensors (as `_keras_mask`) and say which steps count."""

import warnings
from typing import Any

from mlkit.core import tree
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure
from mlkit.layers.call_info import call_info
from mlkit.objects.keras_tensor import KerasTensor


def mask_of(x: Any) -> Any:
    """The mask that rides on a tensor, or None."""
    return getattr(x, "_keras_mask", None)


def masks_of(inputs: Structure) -> Any:
    """The masks on a tensor or structure of tensors, in the same structure; None if there is none at all."""
    if type(inputs) is Tensor:
        return mask_of(inputs)
    if inputs is None or isinstance(inputs, (bool, int, float, str)):
        return None
    masks = tree.map_structure(mask_of, inputs)
    return masks if any(m is not None for m in tree.flatten(masks)) else None


def fill_masks(info: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Pass the masks on the arguments of a call to those of its mask parameters that were not given. Returns the first argument's
    mask.

    As in Keras: `mask` gets that of the only argument that holds tensors; where there are several, only parameters named after
    an argument, such as `query_mask`, get any. So ``lstm(x, initial_state=...)`` takes no mask from `x`.
    """
    if info.mask_parameters:
        given = dict(zip(info.names, args))
        tensors = {n: x for n, x in (*given.items(), *kwargs.items()) if _holds_tensors(x)}
        for name, x in tensors.items():
            target = "mask" if len(tensors) == 1 else f"{name}_mask"
            if target in info.mask_parameters and target not in given and kwargs.get(target) is None:
                masks = masks_of(x)
                if masks is not None:
                    kwargs[target] = masks
    if kwargs.get("mask") is not None:
        return kwargs["mask"]
    return masks_of(args[0] if args else kwargs.get(info.names[0])) if info.names else None


def _holds_tensors(x):
    if type(x) in (Tensor, KerasTensor):
        return True
    return isinstance(x, (list, tuple, dict)) and any(type(t) in (Tensor, KerasTensor) for t in tree.flatten(x))


def set_masks(layer: Any, inputs: Structure, outputs: Structure, previous: Any) -> None:
    """Put the outputs' masks, by the layer's `compute_mask`, on them; warn where a layer loses a mask."""
    if not layer.supports_masking:
        if previous is not None:
            warnings.warn(
                f"Layer {layer.path!r} ({type(layer).__name__}) was given an input with a mask but does not support masks: "
                "the mask ends here, and later layers count every step. Set `supports_masking = True` on the layer if its "
                "outputs keep the steps.",
                stacklevel=3,
            )
        return
    if previous is None and tree.is_nested(inputs):
        previous = tree.map_structure(mask_of, inputs)
    made = layer.compute_mask(inputs, previous)
    if made is None:
        return
    for x, mask in zip(tree.flatten(outputs), tree.flatten(made)):
        if isinstance(x, (Tensor, KerasTensor)) and mask is not None and mask_of(x) is None:
            x._keras_mask = mask


def record_masks(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Structure) -> None:
    """Put masks on the KerasTensors a symbolic call returned. Returns the call's keyword arguments for its node.

    What `compute_mask` does with KerasTensors are operations of the graph, as in Keras: they count in its order of layers, which
    is the order of the weights in lists and files, and they are saved with the model.
    """
    info = call_info(type(layer))
    converted, named = layer._converted(args, kwargs)
    previous = fill_masks(info, converted, named)
    if layer.supports_masking:
        set_masks(layer, converted[0] if converted else named.get(info.names[0]), outputs, previous)
    if not layer._notes_masks(args, kwargs):
        return kwargs
    return {**kwargs, **{name: named[name] for name in info.mask_parameters if named.get(name) is not None}}
