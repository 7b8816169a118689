"""Layers that disturb their inputs in training."""

from mlkit import random
from mlkit.layers.layer import Layer

__all__ = ["Dropout"]


class Dropout(Layer):
    """In training sets each element to 0 with probability `rate` and scales the others by 1 / (1 - rate) (Srivastava et al., 2014).

    noise_shape: shape of the mask, with 1 (or None: as the input) where it is shared. seed: an integer makes the masks repeatable.
    """

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
            raise ValueError(f"Dropout: `rate` must be a number between 0 and 1, but got {rate!r}.")
        self.rate, self.noise_shape, self.seed = rate, noise_shape, seed
        self.seed_generator = random.SeedGenerator(seed) if rate > 0 else None
        self.built = True

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        return random.dropout(inputs, self.rate, noise_shape=self._mask_shape(inputs), seed=self.seed_generator)

    def _mask_shape(self, inputs):
        if self.noise_shape is None:
            return None
        return tuple(s if n is None else n for n, s in zip(self.noise_shape, inputs.shape))
