"""Detection with anchors: the crowns of trees from the air.

Paper: Ren, He, Girshick and Sun, Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks, 2015
    (https://arxiv.org/abs/1506.01497), its proposals alone; the loss of Lin et al., Focal Loss for Dense Object Detection, 2017
    (https://arxiv.org/abs/1708.02002)
Data: two scenes with boxes of the PyPI package deepforest 2.1.0 (MIT): 574 trees to train on, 279 to judge.
Needs: overlaps of boxes, encoding them by anchors, non-maximum suppression; a network for pictures of all sizes.
Goal: average precision at IoU .4 on the scene not seen; twice that of boxes of one size on a grid, the baseline.
"""

# %% Anchors: three squares around each fourth pixel
import numpy as np
from images import tree_crowns
from result import Result, main, picture

import mlkit as keras
from mlkit import layers, ops
from mlkit.utils import bounding_boxes as bb

STRIDE, SIDES, MOST = 4, (13.0, 20.0, 30.0), 24
SPREAD = (0.2, 0.2, 0.3, 0.3)


def anchors(height, width):
    """(height / STRIDE * width / STRIDE * 3, 4) as x1, y1, x2, y2."""
    y, x = np.meshgrid(*(np.arange(0, n, STRIDE) + STRIDE / 2 for n in (height, width)), indexing="ij")
    centre = np.stack([x, y], -1)[:, :, None]
    half = np.array(SIDES)[:, None] / 2
    return np.concatenate([centre - half, centre + half], -1).reshape(-1, 4).astype("float32")


# %% The network: for each anchor a logit and four numbers of how the box differs from it
def network(width):
    x = keras.Input((None, None, 3))
    h = layers.Rescaling(1 / 64, -2.0)(x)
    for filters, stride, dilation in ((1, 2, 1), (2, 1, 1), (2, 2, 1), (4, 1, 1), (4, 1, 2), (4, 1, 4)):
        h = layers.Conv2D(filters * width, 3, strides=stride, dilation_rate=dilation, padding="same", use_bias=False)(h)
        h = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(h))
    rare = keras.initializers.Constant(-3.0)
    logits = layers.Conv2D(len(SIDES), 1, bias_initializer=rare)(h)
    deltas = layers.Conv2D(4 * len(SIDES), 1)(h)
    return keras.Model(x, [layers.Reshape((-1,))(logits), layers.Reshape((-1, 4))(deltas)])


class Detector(keras.Model):
    """Trains on photos and their boxes (batch, MOST, 4), filled up with -1."""

    def __init__(self, size, width):
        super().__init__()
        self.network, self.squares = network(width), anchors(size, size)

    def call(self, photos, training=False):
        return self.network(photos, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        logits, deltas = y_pred
        overlap = bb.compute_iou(self.squares, y, "xyxy")
        best = ops.max(overlap, axis=2)
        is_best_of_a_tree = ops.logical_and(overlap >= ops.max(overlap, axis=1, keepdims=True), overlap > 0.2)
        taken = ops.logical_or(best > 0.5, ops.any(is_best_of_a_tree, axis=2))
        counts = ops.cast(ops.logical_or(taken, best < 0.4), "float32")  # what lies between is neither
        taken = ops.cast(taken, "float32")
        count = ops.sum(taken) + 1
        focal = keras.losses.binary_focal_crossentropy(taken[..., None], logits[..., None], from_logits=True)
        box = ops.take_along_axis(y, ops.argmax(overlap, axis=2)[..., None], axis=1)
        wanted = bb.encode_box_to_deltas(self.squares, box, "xyxy", "xyxy", "center_xywh", SPREAD)
        apart = keras.losses.huber(wanted, deltas)
        return (4 * ops.sum(counts * focal) + ops.sum(taken * apart)) / count


# %% Cuttings of the scene to train on, turned and in other light
def cuttings(photo, boxes, size, count, rng):
    photos, found = np.empty((count, size, size, 3), "float32"), np.full((count, MOST, 4), -1, "float32")
    for k in range(count):
        top, left = (rng.integers(0, n - size + 1) for n in photo.shape[:2])
        image, b = photo[top : top + size, left : left + size], boxes - np.array([left, top, left, top], "float32")
        inside = np.clip(b, 0, size)
        b = inside[(inside[:, 2:] - inside[:, :2]).prod(1) > 0.5 * (b[:, 2:] - b[:, :2]).prod(1)][:MOST]
        if rng.random() < 0.5:
            image, b = image[:, ::-1], np.stack([size - b[:, 2], b[:, 1], size - b[:, 0], b[:, 3]], 1)
        if rng.random() < 0.5:
            image, b = image.transpose(1, 0, 2), b[:, [1, 0, 3, 2]]
        photos[k] = np.clip(image * rng.uniform(0.8, 1.2) + rng.uniform(-15, 15), 0, 255)
        found[k, : len(b)] = b
    return photos, found


# %% The boxes of a whole scene, and their average precision
def detected(model, photo, most):
    """(boxes, scores), the best first."""
    height, width = (n // STRIDE * STRIDE for n in photo.shape[:2])
    logits, deltas = (v[0] for v in model.predict(photo[None, :height, :width].astype("float32"), verbose=0))
    likely = np.argsort(-logits)[: 4 * most]
    boxes = bb.decode_deltas_to_boxes(anchors(height, width)[likely], deltas[likely], "xyxy", "xyxy", "center_xywh", SPREAD)
    kept = ops.convert_to_numpy(bb.non_max_suppression(boxes, logits[likely], 0.3, most))
    kept = kept[kept >= 0]
    return ops.convert_to_numpy(boxes)[kept], 1 / (1 + np.exp(-logits[likely][kept]))


def on_a_grid(photo, side):
    corners = np.stack(np.meshgrid(*(np.arange(0, n - side, side) for n in photo.shape[1::-1])), -1).reshape(-1, 2)
    return np.concatenate([corners, corners + side], 1).astype("float32")


def matched(boxes, truth, least):
    """1 for each box that is right, else 0; the best first, each takes what it covers best and no other has taken."""
    overlap = ops.convert_to_numpy(bb.compute_iou(boxes, truth, "xyxy"))
    right = np.zeros(len(boxes))
    for k, row in enumerate(overlap):
        if row.max() >= least:
            right[k] = 1
            overlap[:, row.argmax()] = 0
    return right


def average_precision(boxes, truth, least=0.4):
    """Area under precision by recall."""
    right = matched(boxes, truth, least)
    precision = right.cumsum() / np.arange(1, len(right) + 1)
    return float((np.maximum.accumulate(precision[::-1])[::-1] * right).sum() / len(truth))


def run(quick=False, seed=0):
    (photo, boxes), (test, truth) = tree_crowns(made=quick)
    rng, size, steps = np.random.default_rng(seed), 32 if quick else 128, 2 if quick else 450
    model = Detector(size, 4 if quick else 16)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)))
    losses = [float(model.train_on_batch(*cuttings(photo, boxes, size, 2 if quick else 8, rng))) for _ in range(steps)]
    found, scores = detected(model, test, 20 if quick else 600)
    side = np.median(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1)))
    files = {"scene.png": picture(lambda f: draw(f, test, truth, found[scores > 0.4]), 9, 5)}
    figure, baseline = (average_precision(b, truth) for b in (found, on_a_grid(test, side)))
    return Result("average precision", figure, baseline, round(2 * baseline, 3), losses, files)


def draw(figure, photo, truth, found):
    for axes, name, boxes in zip(figure.subplots(1, 2), ("marked by people", "found"), (truth, found), strict=True):
        axes.imshow(photo[:320, :320])
        for x1, y1, x2, y2 in boxes[(boxes[:, :2] < 315).all(1)]:
            axes.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], "y", linewidth=0.8)
        axes.set(title=name, xlim=(0, 320), ylim=(320, 0))
        axes.set_axis_off()


# %%
if __name__ == "__main__":
    main(run, __file__)
