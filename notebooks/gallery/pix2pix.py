"""pix2pix: aerial photos get their colours back from grey.

Paper: Isola, Zhu, Zhou and Efros, Image-to-Image Translation with Conditional Adversarial Networks, 2017
    (https://arxiv.org/abs/1611.07004)
Data: the aerial photos that come with mlkit (MIT): 500 of one landscape to train on, 300 of another to judge.
Needs: a net with connections across, a critic of patches, a train step with two losses for one network.
Goal: mean error of the two colour channels (Cb, Cr) in levels of 255; the mean colour of the training photos is the baseline.
"""

# %% The data: brightness is given, two channels of colour are asked for
import numpy as np
from result import Result, grid, main

import mlkit as keras
from mlkit import layers, ops

TO_CHROMA = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], "float32").T  # of JPEG, with zero for grey
NEARNESS, SCALE = 100.0, 8.0  # weight of the absolute error; colours of these photos lie within an eighth of the range


def parts(photos):
    """Brightness (n, h, w, 1) in [-1, 1] and colours (n, h, w, 2), much of it in [-1, 1]."""
    x = photos.astype("float32") / 255
    return 2 * (x @ np.array([[0.299], [0.587], [0.114]], "float32")) - 1, SCALE * x @ TO_CHROMA


def joined(grey, chroma):
    """The photo again, in [0, 1]."""
    y, cb, cr = grey[..., 0] / 2 + 0.5, chroma[..., 0] / SCALE, chroma[..., 1] / SCALE
    return np.clip(np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], -1), 0, 1)


# %% The two networks: a U of convolutions, and a critic that judges each patch with the grey photo beside it
def smaller(x, filters):
    return layers.LeakyReLU(0.2)(
        layers.BatchNormalization()(layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=False)(x))
    )


def larger(x, beside, filters):
    x = layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False)(layers.ReLU()(x))
    return layers.Concatenate()([layers.BatchNormalization()(x), beside])


def networks(width):
    grey, chroma = keras.Input((None, None, 1)), keras.Input((None, None, 2))
    down = [layers.Conv2D(width, 5, padding="same", activation="relu")(grey)]
    for times in (1, 2, 4, 4):
        down.append(smaller(down[-1], times * width))
    x = layers.Dropout(0.3)(down.pop())
    for times in (4, 2, 1, 1):
        x = larger(x, down.pop(), times * width)
    maker = keras.Model(grey, layers.Conv2D(2, 5, padding="same")(x), name="maker")
    x = smaller(smaller(layers.Concatenate()([grey, chroma]), width), 2 * width)
    return maker, keras.Model([grey, chroma], layers.Conv2D(1, 4, padding="same")(x), name="critic")


# %% One step: the critic learns to tell, the maker to be near and to be taken for real
class Pix2Pix(keras.Model):
    def __init__(self, width, steps):
        super().__init__()
        self.maker, self.critic = networks(width)
        rates = (keras.optimizers.schedules.CosineDecay(rate, steps) for rate in (1e-3, 2e-4))
        self.of_maker, self.of_critic = (keras.optimizers.Adam(rate, beta_1=0.5) for rate in rates)
        self.of_maker.build(self.maker.trainable_variables)
        self.of_critic.build(self.critic.trainable_variables)

    def call(self, grey, training=False):
        return self.maker(grey, training=training)

    def train_step(self, data):
        grey, chroma = data
        with keras.GradientTape(persistent=True) as tape:
            made = self.maker(grey, training=True)
            refused = self.critic([grey, made], training=True)
            taken = self.critic([grey, chroma], training=True)
            nearness = ops.mean(ops.abs(made - chroma))
            maker = ops.mean(ops.softplus(-refused)) + NEARNESS * nearness
            critic = (ops.mean(ops.softplus(refused)) + ops.mean(ops.softplus(-taken))) / 2
        of_maker = tape.gradient(maker, self.maker.trainable_variables)
        of_critic = tape.gradient(critic, self.critic.trainable_variables)
        self.of_maker.apply(of_maker)
        self.of_critic.apply(of_critic)
        return {"loss": maker, "critic": critic, "nearness": nearness}


# %% Train on cuttings, turned and in other light; colour whole photos
def photos(quick):
    if quick:
        made = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), np.uint8)
        return made[:8], made[8:]
    (x, _), (x_test, _) = keras.datasets.aerial_trees.load_data()
    return x, x_test


def levels(chroma, truth):
    """Mean absolute error of the colours, in levels of 255."""
    return float(np.abs(chroma - truth).mean()) * 255 / SCALE


def run(quick=False, seed=0):
    train, test = photos(quick)
    (grey, chroma), (grey_test, chroma_test) = parts(train), parts(test)
    steps, size = (2, 16) if quick else (2000, 64)
    model, rng, losses = Pix2Pix(4 if quick else 16, steps), np.random.default_rng(seed), []
    model.compile()
    for _ in range(steps):
        rows, turns = rng.integers(0, len(grey), 4 if quick else 8), rng.integers(4)
        top, left = rng.integers(0, train.shape[1] - size + 1, 2)
        pair = [np.rot90(v[rows, top : top + size, left : left + size], turns, axes=(1, 2)) for v in (grey, chroma)]
        light = rng.uniform(0.8, 1.2, (len(rows), 1, 1, 1)), rng.uniform(-0.15, 0.15, (len(rows), 1, 1, 1))
        pair[0] = (light[0] * pair[0] + light[1]).astype("float32")  # other landscapes are lighter or darker
        losses.append(float(model.train_on_batch(*pair, return_dict=True)["loss"]))
    made = model.predict(grey_test, batch_size=50, verbose=0)
    baseline = levels(chroma.mean((0, 1, 2)), chroma_test)
    shown = np.random.default_rng(seed).permutation(len(test))[:8]
    rows = joined(grey_test, 0 * made)[shown], joined(grey_test, made)[shown], test[shown] / 255
    files = {"photos.png": grid(np.concatenate(rows), len(shown))}
    text = "Rows: given, made, true."
    figure = levels(made, chroma_test)
    return Result(
        "error of colours, levels of 255", figure, baseline, round(0.85 * baseline, 2), losses, files, text, lower=True
    )


# %%
if __name__ == "__main__":
    main(run, __file__)
