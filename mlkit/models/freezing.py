"""Freezing: layers that training leaves altogether alone, until they are unfrozen."""

import fnmatch
from typing import Any

from mlkit import layers
from mlkit.core.deferred import Deferred
from mlkit.core.state import layers_changed
from mlkit.layers.input_layer import InputLayer
from mlkit.layers.layer import Layer
from mlkit.layers.tracking import unique
from mlkit.models.trainer import Trainer

difflib = Deferred("difflib")  # only for one message

__all__ = ["freeze", "leaf_layers", "unfreeze", "weighted_layers"]


def freeze(model: Any, until: Any = None) -> None:
    """See `Model.freeze`."""
    leaves = leaf_layers(model)
    for leaf in leaves if until is None else leaves[: _position(model, until)]:
        if not _stays(leaf):
            leaf.trainable, leaf._frozen = False, True
    if until is None:
        model.trainable, model._frozen = False, True  # weights of its own, too
    _settle(model)


def unfreeze(model: Any, since: Any = None, batch_norm: bool = True) -> None:
    """See `Model.unfreeze`."""
    leaves = leaf_layers(model)
    if since is None:
        model._trainable, model._frozen = True, False
        for v in model._trainable_variables:
            v.trainable = True
    for leaf in leaves if since is None else leaves[_position(model, since) :]:
        if batch_norm or not isinstance(leaf, layers.BatchNormalization):
            leaf.trainable, leaf._frozen = True, False
    _settle(model)


def _leaves(model: Any, path: str = "") -> Any:
    """(path, layer) of all layers in order; a nested model gives way to its layers."""
    found = []
    for layer in model.layers:
        nested = isinstance(layer, Trainer) and layer.layers
        found += _leaves(layer, f"{path}{layer.name}/") if nested else [(path + layer.name, layer)]
    seen = set()
    return [(p, leaf) for p, leaf in found if not (id(leaf) in seen or seen.add(id(leaf)))]


def leaf_layers(model: Any) -> list[Layer]:
    """All layers of a model in order; a nested model gives way to its layers."""
    return [leaf for _, leaf in _leaves(model)]


def weighted_layers(model: Any) -> list[Layer]:
    """The layers of a built model that have weights, in order; a nested model gives way to its layers."""
    return [leaf for leaf in leaf_layers(model) if leaf.weights]


def _containers(model: Any):
    """The nested models, innermost first, then the model."""
    found = []
    for layer in model.layers:
        if isinstance(layer, Trainer):
            found += _containers(layer)
    return [*unique(found), model]


def _settle(model: Any) -> None:
    """A nested model is trainable if a part of it is, and frozen if all of it is."""
    for container in _containers(model):
        parts = [layer for layer in container.layers if not _stays(layer)]
        if parts:
            own = any(v.trainable for v in container._trainable_variables)
            container._trainable = own or any(layer.trainable for layer in parts)
            augments = any(layer._augments for layer in container.layers)
            container._frozen = not augments and not container._trainable and all(layer._frozen for layer in parts)
    layers_changed()


def _stays(layer: Layer) -> bool:
    """Whether there is nothing in the layer to freeze: random changes of images are no part of what was learned."""
    return isinstance(layer, InputLayer) or layer._augments


def _position(model: Any, target):
    """Index among `_leaves` of the layer that `target` means; for a nested model, of its first layer."""
    leaves = _leaves(model)
    layer = _found(model, leaves, target)
    first = _leaves(layer)[0][1] if isinstance(layer, Trainer) and layer.layers else layer
    for i, (_, leaf) in enumerate(leaves):
        if leaf is first:
            return i
    raise ValueError(f"Layer {layer.name!r} is not one of model {model.name!r}.")


def _found(model: Any, leaves, target):
    if isinstance(target, Layer):
        return target
    if isinstance(target, int):
        return model.get_layer(index=target)
    nested = [(c.name, c) for c in _containers(model)[:-1]]
    named = [(path, layer) for path, layer in leaves + nested if target in (path, layer.name)]
    named = [
        (path, layer) for path, layer in named if path == target
    ] or named  # the layer itself before those within nested models
    if len(named) > 1:
        raise ValueError(f"Model {model.name!r} has several layers {target!r}: {[p for p, _ in named]}. Give the path of one.")
    matching = named or [(p, x) for p, x in leaves if fnmatch.fnmatchcase(p, target) or fnmatch.fnmatchcase(x.name, target)]
    if not matching:
        names = [layer.name for _, layer in leaves + nested]
        close = difflib.get_close_matches(str(target), names, 3) or names[:3] + names[-3:]
        raise ValueError(
            f"Model {model.name!r} has no layer {target!r}. There are for example: {', '.join(dict.fromkeys(close))}."
        )
    return matching[0][1]
