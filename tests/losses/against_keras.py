"""Keras itself, on its JAX backend, as the judge, and the data that losses and metrics are compared on."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def one_hot(labels, classes):
    return np.eye(classes, dtype="float32")[labels]


def data(kind, shape=(6, 4), seed=0):
    """(y_true, y_pred) of a kind; float32, class numbers int32. The last axis holds classes where the kind has them."""
    rng = np.random.default_rng(seed)
    real = rng.normal(size=shape).astype("float32")
    other = rng.normal(size=shape).astype("float32")
    numbers = rng.integers(0, shape[-1], shape[:-1]).astype("int32")
    positive = np.abs(other) + 0.1
    return {
        "real": (real, other),
        "positive": (np.abs(real) + 0.1, positive),
        "counts": (np.floor(np.abs(3 * real)), positive),
        "signs": (np.sign(real), other),
        "bits": ((real > 0).astype("float32"), other),
        "binary": ((real > 0).astype("float32"), 1 / (1 + np.exp(-other))),
        "distributions": (softmax(real), softmax(other)),
        "categorical": (one_hot(numbers, shape[-1]), softmax(other)),
        "categorical_logits": (one_hot(numbers, shape[-1]), other),
        "sparse": (numbers, softmax(other)),
        "sparse_logits": (numbers, other),
        "embeddings": (
            numbers if numbers.ndim == 1 else numbers[..., 0],
            other / np.linalg.norm(other, axis=-1, keepdims=True),
        ),
        "channels": (np.moveaxis(one_hot(numbers, shape[-1]), -1, 1), np.moveaxis(softmax(other), -1, 1)),
        "sparse_channels": (numbers, np.moveaxis(softmax(other), -1, 1)),
        "sequences": (rng.integers(0, shape[-1], (shape[0], 3)).astype("int32"), other),
    }[kind]


def assert_close(ours, theirs, rtol=1e-5, atol=1e-6, message=""):
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=rtol, atol=atol, err_msg=message)


__all__ = ["assert_close", "data", "keras", "one_hot", "softmax"]
