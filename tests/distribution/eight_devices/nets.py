"""Models and data for eight devices, on mlkit or Keras, and the ways to spread them."""

import numpy as np

CLASSES = 4


def data(n=44, dtype="float64"):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 12)).astype(dtype), rng.integers(0, CLASSES, n)


def dense(k, dropout=0.0):
    """Two dense layers, with what depends on the whole batch or on random numbers between them."""
    parts = [k.Input((12,)), k.layers.Dense(16, "relu", name="hidden"), k.layers.BatchNormalization(name="norm")]
    parts += [k.layers.Dropout(dropout, name="drop")] if dropout else []
    model = k.Sequential([*parts, k.layers.Dense(CLASSES, name="head")], name="net")
    model.compile("adam", k.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def on_two_axes(k):
    """Half of the batch by a quarter of the model."""
    mesh = k.distribution.DeviceMesh((2, 4), ["batch", "model"])
    layouts = k.distribution.LayoutMap(mesh)
    layouts[".*(hidden|head)/kernel"] = (None, "model")
    layouts[".*hidden/bias"] = ("model",)
    return k.distribution.ModelParallel(layout_map=layouts)


def in_all_parts(k):
    """No device has the whole model."""
    layouts = k.distribution.LayoutMap.shard_largest_axis(k.distribution.DeviceMesh((8,), ["data"]), "data", min_size=0)
    return k.distribution.ModelParallel(layout_map=layouts)


def on_one_axis(k):
    return k.distribution.DataParallel()


WAYS = (on_one_axis, on_two_axes, in_all_parts)
