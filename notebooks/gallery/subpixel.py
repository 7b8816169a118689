"""Sub-pixel convolution: pictures three times as large, computed at the small size.

Paper: Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network, 2016
    (https://arxiv.org/abs/1609.05158); here what is added to the bicubic picture.
Data: photos of scikit-image 0.26 to train on (sources and licences in the functions of skimage.data); the two of scikit-learn to
    judge (china.jpg by danielbuechele, flower.jpg by vultilion on Flickr: CC BY 2.0).
Needs: `depth_to_space`, one set of weights for pictures of all sizes.
Goal: mean PSNR of the brightness, dB; bicubic interpolation is the baseline.
"""

# %% The data: brightness of photos, and what averaging down to a third leaves of it
import numpy as np
from result import Result, main, picture

import mlkit as keras
from mlkit import layers, ops

TIMES, EDGE = 3, 3
TRAINED_ON = (
    "astronaut",
    "chelsea",
    "coffee",
    "rocket",
    "retina",
    "immunohistochemistry",
    "stereo_motorcycle",
    "camera",
    "hubble_deep_field",
)


def brightness(photo):
    """Values in [0, 1], as float32 (height, width, 1), both cut to multiples of TIMES."""
    grey = photo @ np.array([0.299, 0.587, 0.114]) if photo.ndim == 3 else photo
    height, width = (n // TIMES * TIMES for n in grey.shape)
    return (grey[:height, :width, None] / 255).astype("float32")


def pictures(quick):
    """(to train on, to judge)"""
    if quick:
        made = [np.random.default_rng(k).integers(0, 256, (48, 60, 3)) for k in range(3)]
        return [brightness(p) for p in made[:2]], [brightness(made[2])]
    import skimage.data
    from sklearn.datasets import load_sample_images

    photos = [getattr(skimage.data, name)() for name in TRAINED_ON]
    photos = [p[0] if isinstance(p, tuple) else p for p in photos]
    return [brightness(p) for p in photos], [brightness(p) for p in load_sample_images().images]


def resized(image, height, width):
    return ops.convert_to_numpy(ops.image.resize(image, (height, width), interpolation="bicubic", antialias=True))


def smaller(image):
    return resized(image, image.shape[0] // TIMES, image.shape[1] // TIMES)


# %% The network: nine numbers for each small pixel become a square of three by three
def network(width):
    x = keras.Input((None, None, 1))
    h = layers.Conv2D(width, 5, padding="same", activation="relu")(x)
    h = layers.Conv2D(width // 2, 3, padding="same", activation="relu")(h)
    h = layers.Conv2D(width // 2, 3, padding="same", activation="relu")(h)
    h = layers.Conv2D(TIMES**2, 3, padding="same")(h)
    return keras.Model(x, layers.UpSampling2D(TIMES, interpolation="bicubic")(x) + ops.depth_to_space(h, TIMES))


def patches(images, size, rng, count):
    """(small, large) cuttings of any photo, turned at random."""
    pairs = []
    for _ in range(count):
        small, large = images[rng.integers(len(images))]
        i, j = (rng.integers(0, n - size + 1) for n in small.shape[:2])
        pair = [small[i : i + size, j : j + size], large[TIMES * i : TIMES * (i + size), TIMES * j : TIMES * (j + size)]]
        turns = rng.integers(4)
        pairs.append([np.rot90(v, turns) for v in pair])
    return (np.stack(v) for v in zip(*pairs, strict=True))


def psnr(truth, made):
    inner = (slice(EDGE, -EDGE), slice(EDGE, -EDGE))
    return float(ops.psnr(truth[inner], np.clip(made, 0, 1)[inner], 1.0))


# %% Train on cuttings, judge whole pictures
def run(quick=False, seed=0):
    train, test = pictures(quick)
    train = [(smaller(p), p) for p in train]
    steps, batch, size = (2, 4, 8) if quick else (5000, 16, 16)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model = network(8 if quick else 64)
    model.compile(keras.optimizers.Adam(rate), "mse")
    rng = np.random.default_rng(seed)
    losses = [float(model.train_on_batch(*patches(train, size, rng, batch))) for _ in range(steps)]
    bicubic = [resized(smaller(p), *p.shape[:2]) for p in test]
    made = [model.predict(smaller(p)[None], verbose=0)[0] for p in test]
    baselines, figures = ([psnr(p, v) for p, v in zip(test, by, strict=True)] for by in (bicubic, made))
    text = "\n".join(
        f"Picture {k + 1}: bicubic {b:.2f} dB, network {f:.2f} dB"
        for k, (b, f) in enumerate(zip(baselines, figures, strict=True))
    )
    files = {"crops.png": picture(lambda f: draw(f, test, bicubic, made), 8, 5)}
    baseline = float(np.mean(baselines))
    return Result("PSNR, dB", float(np.mean(figures)), baseline, round(baseline + 0.9, 2), losses, files, text)


def draw(figure, test, bicubic, made):
    axes = figure.subplots(len(test), 4, squeeze=False)
    for row, (truth, smooth, sharp) in zip(axes, zip(test, bicubic, made, strict=True), strict=True):
        height, width = truth.shape[0] // 2, truth.shape[1] // 2
        repeated = smaller(truth).repeat(TIMES, 0).repeat(TIMES, 1)
        for place, name, image in zip(
            row, ("given", "bicubic", "network", "truth"), (repeated, smooth, sharp, truth), strict=True
        ):
            place.imshow(
                np.clip(image[height - 60 : height + 60, width - 60 : width + 60, 0], 0, 1), cmap="gray", vmin=0, vmax=1
            )
            place.set_title(name, fontsize=8)
            place.set_axis_off()


# %%
if __name__ == "__main__":
    main(run, __file__)
