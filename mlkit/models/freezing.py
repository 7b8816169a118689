"""Freezing: layers that training leaves altogether alone, until they are unfrozen."""

import fnmatch

from mlkit import layers
from mlkit.core.state import layers_changed
from mlkit.layers.input_layer import InputLayer
from mlkit.layers.layer import Layer
from mlkit.layers.tracking import unique

__all__ = ["FreezingMixin", "leaf_layers", "weighted_layers"]


class FreezingMixin:
    """The part of `Model` that freezes and unfreezes layers."""

    def freeze(self, until=None):
        """Freeze all layers, or those before `until`: their weights, their statistics and their noise.

        A frozen layer gets no gradients, and it runs as in inference whoever calls it: BatchNormalization neither uses nor
        follows the batch's statistics, and Dropout drops nothing. (`layer.trainable = False` leaves Dropout on, as in Keras.)
        It holds from the next step on, without another `compile`. Layers that augment images have nothing to freeze and go on.
        A saved model remembers that its frozen layers are not trainable; freeze them again after loading to switch Dropout off.

        until: the first layer that is not frozen, in the order of `layers` (layers of nested models included): a layer, its
        name, path ("resnet50/conv5_block1_1_conv") or a pattern ("conv5_*": the first that matches), or its index in `layers`.

        Raises ValueError if there is no such layer.

        >>> import mlkit
        >>> model = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(3), mlkit.layers.Dense(2, name="head")])
        >>> model.freeze(until="head")
        >>> [v.path.split("/")[-2] for v in model.trainable_variables]
        ['head', 'head']
        """
        leaves = leaf_layers(self)
        for leaf in leaves if until is None else leaves[: _position(self, until)]:
            if not _stays(leaf):
                leaf.trainable, leaf._frozen = False, True
        if until is None:
            self.trainable, self._frozen = False, True  # weights of its own, too
        _settle(self)

    def unfreeze(self, since=None, batch_norm=True):
        """Let all layers train again, or those from `since` on; the layers before stay as they are.

        since: the first layer to train, given like `until` of `freeze`. batch_norm: False leaves BatchNormalization layers as
        they are. With small batches, or few images, their statistics are better kept as they were learned.

        Raises ValueError if there is no such layer.
        """
        leaves = leaf_layers(self)
        if since is None:
            self._trainable, self._frozen = True, False
            for v in self._trainable_variables:
                v.trainable = True
        for leaf in leaves if since is None else leaves[_position(self, since) :]:
            if batch_norm or not isinstance(leaf, layers.BatchNormalization):
                leaf.trainable, leaf._frozen = True, False
        _settle(self)


def _leaves(model, path=""):
    """(path, layer) of all layers in order; a nested model gives way to its layers."""
    found = []
    for layer in model.layers:
        nested = isinstance(layer, FreezingMixin) and layer.layers
        found += _leaves(layer, f"{path}{layer.name}/") if nested else [(path + layer.name, layer)]
    seen = set()
    return [(p, leaf) for p, leaf in found if not (id(leaf) in seen or seen.add(id(leaf)))]


def leaf_layers(model):
    """All layers of a model in order; a nested model gives way to its layers."""
    return [leaf for _, leaf in _leaves(model)]


def weighted_layers(model):
    """The layers of a built model that have weights, in order; a nested model gives way to its layers."""
    return [leaf for leaf in leaf_layers(model) if leaf.weights]


def _containers(model):
    """The nested models, innermost first, then the model."""
    found = []
    for layer in model.layers:
        if isinstance(layer, FreezingMixin):
            found += _containers(layer)
    return [*unique(found), model]


def _settle(model):
    """A nested model is trainable if a part of it is, and frozen if all of it is."""
    for container in _containers(model):
        parts = [layer for layer in container.layers if not _stays(layer)]
        if parts:
            own = any(v.trainable for v in container._trainable_variables)
            container._trainable = own or any(layer.trainable for layer in parts)
            augments = any(layer._augments for layer in container.layers)
            container._frozen = not augments and not container._trainable and all(layer._frozen for layer in parts)
    layers_changed()


def _stays(layer):
    """Whether there is nothing in the layer to freeze: random changes of images are no part of what was learned."""
    return isinstance(layer, InputLayer) or layer._augments


def _position(model, target):
    """Index among `_leaves` of the layer that `target` means; for a nested model, of its first layer."""
    leaves = _leaves(model)
    layer = _found(model, leaves, target)
    first = _leaves(layer)[0][1] if isinstance(layer, FreezingMixin) and layer.layers else layer
    for i, (_, leaf) in enumerate(leaves):
        if leaf is first:
            return i
    raise ValueError(f"Layer {layer.name!r} is not one of model {model.name!r}.")


def _found(model, leaves, target):
    if isinstance(target, Layer):
        return target
    if isinstance(target, int):
        return model.get_layer(index=target)
    nested = [(c.name, c) for c in _containers(model)[:-1]]
    named = [(path, layer) for path, layer in leaves + nested if target in (path, layer.name)]
    if len(named) > 1:
        raise ValueError(f"Model {model.name!r} has several layers {target!r}: {[p for p, _ in named]}. Give the path of one.")
    matching = named or [(p, x) for p, x in leaves if fnmatch.fnmatchcase(p, target) or fnmatch.fnmatchcase(x.name, target)]
    if not matching:
        import difflib  # only for this message

        names = [layer.name for _, layer in leaves + nested]
        close = difflib.get_close_matches(str(target), names, 3) or names[:3] + names[-3:]
        raise ValueError(
            f"Model {model.name!r} has no layer {target!r}. There are for example: {', '.join(dict.fromkeys(close))}."
        )
    return matching[0][1]
