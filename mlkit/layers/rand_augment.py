"""Augmentations made of others: RandAugment, AugMix, and Pipeline for any layers in a row."""

import functools
import math
from collections.abc import Sequence
from typing import Any

from mlkit import ops, random
from mlkit.core.tensor import Tensor
from mlkit.core.typing import FloatOrSequence
from mlkit.layers.argument_checks import positive, within
from mlkit.layers.augmentation import Augmentation, bounds, value_range_of
from mlkit.layers.call_info import call_info
from mlkit.layers.color import RandomBrightness, RandomColorDegeneration, RandomContrast, RandomPosterization
from mlkit.layers.enhance import AutoContrast, Equalization, RandomSharpness, Solarization
from mlkit.layers.layer import Layer
from mlkit.layers.masks import masks_of
from mlkit.layers.random_geometry import RandomRotation, RandomShear, RandomTranslation
from mlkit.objects.config_object import serialized
from mlkit.objects.seed_generator import Seed


class _OfOthers(Augmentation):
    """Base of augmentations that choose among others. Each is an attribute under its name, as in Keras's files."""

    geometric = True
    names = ()

    def _make(self, factor: Any, value_range, interpolation, seed: Any, data_format):
        base = {"data_format": data_format, "dtype": self.working_policy}
        moving = {"interpolation": interpolation, "seed": seed, **base}
        colors = {"value_range": value_range, **base}
        drawing = {"seed": seed, **colors}
        makers = {
            "random_shear": lambda: RandomShear(factor, factor, **moving),
            "random_translation": lambda: RandomTranslation(factor, factor, **moving),
            "random_rotation": lambda: RandomRotation(factor, **moving),
            "random_brightness": lambda: RandomBrightness(factor, **drawing),
            "random_color_degeneration": lambda: RandomColorDegeneration(factor, **drawing),
            "random_contrast": lambda: RandomContrast(factor, **drawing),
            "random_sharpness": lambda: RandomSharpness(factor, **drawing),
            "random_posterization": lambda: RandomPosterization(max(1, int(8 * factor[1])), **drawing),
            "solarization": lambda: Solarization(factor, factor, **drawing),
            "auto_contrast": lambda: AutoContrast(**colors),
            "equalization": lambda: Equalization(**colors),
        }
        for name in self.names:
            setattr(self, name, makers[name]())

    def _draw_all(self, images: Tensor, seed: Any):
        return {name: getattr(self, name).get_random_transformation(images, seed=seed) for name in self.names}

    def _chosen(self, index, data: Any, changes, method):
        """What the augmentation of this number (a tensor) makes of the data; numbers beyond the last change nothing."""
        branches = [functools.partial(getattr(getattr(self, n), method), transformation=changes[n]) for n in self.names]
        return ops.switch(index, [*branches, lambda x: x], data)

    def changed(self, images: Tensor, **change: Any) -> Any:
        return self.mixed(images, "transform_images", **change)

    def changed_masks(self, masks: Tensor, **change: Any) -> Any:
        return self.mixed(masks, "transform_segmentation_masks", **change)


_MOVING = ("random_shear", "random_translation", "random_rotation")
_COLORS = ("random_brightness", "random_color_degeneration", "random_contrast", "random_sharpness")
_TONES = ("random_posterization", "solarization", "auto_contrast", "equalization")


class RandAugment(_OfOthers):
    """`num_ops` augmentations chosen at random for a batch, each of a strength in `factor` (Cubuk et al., RandAugment,
    2019).

    Args:
        num_ops: changes for each image.
        factor: strength of the change: a number, or a pair (least, greatest) it is drawn from.
    """

    names = _MOVING + _COLORS + _TONES

    def __init__(
        self,
        value_range: FloatOrSequence = (0, 255),
        num_ops: int = 2,
        factor: FloatOrSequence = 0.5,
        interpolation: str = "bilinear",
        seed: Seed = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.value_range = value_range_of(self, value_range)
        self.num_ops, self.interpolation = positive(self, num_ops=num_ops, zero=True), interpolation
        self.factor = bounds(self, factor, 0)
        self._make(self.factor, value_range, interpolation, seed, data_format)

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        numbers = random.randint((self.num_ops,), 0, len(self.names), seed=seed)
        return {"layer_idxes": numbers, "transforms": self._draw_all(images, seed)}

    def mixed(self, data: Any, method: str, layer_idxes: Any, transforms: Any) -> Any:
        for i in range(self.num_ops):
            data = self._chosen(layer_idxes[i], data, transforms, method)
        return data


class AugMix(_OfOthers):
    """Images averaged with chains of random augmentations of them (Hendrycks et al., AugMix, 2020).

    Args:
        num_chains, chain_depth: number of chains and of augmentations in each.
        factor: strength.
        alpha: the weights are drawn from Dirichlet(alpha) and Beta(alpha, alpha).
        all_ops: False leaves out changes of brightness, color, contrast and sharpness.
    """

    def __init__(
        self,
        value_range: FloatOrSequence = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: FloatOrSequence = 0.3,
        alpha: FloatOrSequence = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: Seed = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.value_range = value_range_of(self, value_range)
        self.num_chains = positive(self, num_chains=num_chains)
        self.chain_depth = positive(self, chain_depth=chain_depth)
        within(self, 1e-6, math.inf, alpha=alpha)
        self.alpha, self.all_ops, self.interpolation = alpha, all_ops, interpolation
        self.factor = bounds(self, factor, 0)
        self.names = _MOVING + (_COLORS if all_ops else ()) + _TONES
        self._make(self.factor, value_range, interpolation, seed, data_format)

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        shares = random.gamma((self.num_chains,), self.alpha, seed=seed)
        steps = [
            [
                (random.randint((), 0, len(self.names) + 1, seed=seed), self._draw_all(images, seed))
                for _ in range(self.chain_depth)
            ]
            for _ in range(self.num_chains)
        ]
        return {
            "chain_mixing_weights": shares / ops.sum(shares),
            "weight_sample": random.beta((), self.alpha, self.alpha, seed=seed),
            "chain_transforms": steps,
        }

    def changed(self, images: Tensor, **change: Any) -> Any:
        return ops.clip(super().changed(images, **change), *self.value_range)

    def mixed(self, data: Any, method: str, chain_mixing_weights: Any, weight_sample: Any, chain_transforms: Any) -> Any:
        total = 0
        for i, chain in enumerate(chain_transforms):
            out = data
            for index, changes in chain:
                out = self._chosen(index, out, changes, method)
            total = total + out * ops.cast(chain_mixing_weights[i], data.dtype)
        weight = ops.cast(weight_sample, data.dtype)
        return weight * data + (1 - weight) * total


class Pipeline(Layer):
    """Layers one after the other, in training mode unless told otherwise: for the preparation of data.

    Args:
        layers: the layers, in order.

    Input: what the first layer takes; output: the shape that the last one gives.

    >>> import mlkit
    >>> prepare = mlkit.layers.Pipeline([mlkit.layers.RandomFlip(), mlkit.layers.Rescaling(1 / 255)])
    >>> prepare(mlkit.ops.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    def __init__(self, layers: Sequence[Any], name: str | None = None):
        super().__init__(name=name)
        self._pipeline_layers = list(layers)

    @property
    def layers(self) -> list[Any]:
        return self._pipeline_layers

    def call(self, inputs: Any, training: bool = True, mask: Any = None) -> Any:
        for layer in self._pipeline_layers:
            takes = call_info(type(layer))
            options = {"training": training} if takes.takes_training and training is not None else {}
            if "mask" in takes.parameters:
                options["mask"] = mask
            inputs = layer(inputs, **options)
            mask = masks_of(inputs)
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {"layers": serialized(self._pipeline_layers), "name": self.name}
