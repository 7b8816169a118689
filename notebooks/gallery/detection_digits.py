"""Detection with anchors, once more: digits among pieces of digits.

Paper: as in detection.py, whose network, loss and suppression these are; pieces among whole ones as in Ba, Mnih and Kavukcuoglu,
    Multiple Object Recognition with Visual Attention, 2015 (https://arxiv.org/abs/1412.7755)
Data: scenes composed of the digits that ship with mlkit (a part of MNIST, CC BY-SA 3.0), of 14 to 30 pixels; test scenes of digits not
    seen in training.
Needs: overlaps of boxes, encoding them by anchors, non-maximum suppression.
Goal: F1 of boxes at IoU .5; boxes of one size on a grid are the baseline.
"""

# %% Scenes: digits of several sizes, and pieces of others that are none
import numpy as np
from detection import MOST, Detector, detected, matched, on_a_grid
from PIL import Image
from result import Result, main, picture

import mlkit as keras

SIZE = 96


def put(scene, image, top, left):
    part = scene[top : top + image.shape[0], left : left + image.shape[1]]
    np.maximum(part, image[: part.shape[0], : part.shape[1]], out=part)


def scene_of(digits, rng):
    """(photo (SIZE, SIZE, 3), boxes of the ink of its digits)."""
    scene, taken, boxes = rng.uniform(0, 60, (SIZE, SIZE)).astype("float32"), [], []
    for _ in range(8):
        digit = digits[rng.integers(len(digits))]
        rows, columns = (np.flatnonzero(digit.max(axis)) for axis in (1, 0))
        ink = Image.fromarray(digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        height = rng.integers(14, 31)
        width = max(4, round(ink.width * height / ink.height))
        top, left = rng.integers(0, SIZE - height), rng.integers(0, SIZE - width)
        box = np.array([left, top, left + width, top + height])
        if all((np.minimum(box[2:], b[2:]) - np.maximum(box[:2], b[:2])).min() < 1 for b in taken):  # lies on no other
            taken.append(box)
            image = np.asarray(ink.resize((width, height)), "float32")
            if rng.random() < 0.4:
                image = image[: height // 2, : width // 2]  # a piece
            else:
                boxes.append(box)
            put(scene, image, top, left)
    return np.repeat(scene[:, :, None], 3, 2), np.array(boxes, "float32").reshape(-1, 4)


def scenes(digits, count, rng):
    photos, found = np.empty((count, SIZE, SIZE, 3), "float32"), np.full((count, MOST, 4), -1, "float32")
    for k in range(count):
        photos[k], boxes = scene_of(digits, rng)
        found[k, : len(boxes)] = boxes
    return photos, found


# %% Right boxes: each digit has one box that covers it
def f1(found, truth):
    pairs = [(boxes, b) for boxes, b in zip(found, truth, strict=True) if len(boxes) and len(b)]
    right = sum(matched(boxes, b, 0.5).sum() for boxes, b in pairs)
    return 2 * right / (sum(map(len, found)) + sum(map(len, truth)))


# %% Train, judge
def run(quick=False, seed=0):
    (train, _), (new, _) = keras.datasets.digits.load_data()
    rng, steps, batch = np.random.default_rng(seed), 2 if quick else 500, 2 if quick else 16
    model = Detector(SIZE, 4 if quick else 12)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)))
    losses = [float(model.train_on_batch(*scenes(train, batch, rng))) for _ in range(steps)]
    test = [scene_of(new, rng) for _ in range(3 if quick else 100)]
    found = [boxes[scores > 0.5] for boxes, scores in (detected(model, photo, 24) for photo, _ in test)]
    truth = [boxes for _, boxes in test]
    baseline = f1([on_a_grid(photo, 20) for photo, _ in test], truth)
    files = {"scenes.png": picture(lambda f: draw(f, test, found), 8, 3)}
    return Result("F1 of boxes", f1(found, truth), baseline, 0.85, losses, files)


def draw(figure, test, found):
    for axes, (photo, _), boxes in zip(figure.subplots(1, 3), test, found, strict=False):
        axes.imshow(photo[..., 0], cmap="gray")
        for x1, y1, x2, y2 in boxes:
            axes.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], "y", linewidth=1)
        axes.set_axis_off()


# %%
if __name__ == "__main__":
    main(run, __file__)
