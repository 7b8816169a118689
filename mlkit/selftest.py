"""`python -m mlkit selftest`: half a minute that shows whether this machine computes right, with all that an issue should say of it."""

import argparse
import json
import time
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np

from mlkit import about, config, layers, ops, utils
from mlkit.core.backend import device
from mlkit.core.state import state
from mlkit.models import Sequential

SECONDS = 30  # after which no further check begins
STEPS = 20
_RIGHT, _FAILED, _LEFT_OUT = "right", "FAILED", "left out"


def command(options: argparse.Namespace) -> int:
    """Run the command. The exit status: 1 if a check failed."""
    if not options.json:
        return run()
    found = list(_results(SECONDS))
    failed = sum(one["state"] == _FAILED for one in found)
    print(json.dumps({"config": dict(about.config_lines()), "checks": found, "failed": failed}, ensure_ascii=False))
    return 1 if failed else 0


def run(seconds: float = SECONDS) -> int:
    """Print what there is, then check each device against NumPy and against the CPU.

    Args:
        seconds: After how many no further check begins.

    Returns:
        Exit status: 0, or 1 if a check failed.
    """
    about.show_config()
    failed = 0
    for one in _results(seconds):
        failed += one["state"] == _FAILED
        took = f" ({one['seconds']:.1f} s)" if one["state"] == _RIGHT else ""
        gap = "\n" if one["state"] == _FAILED else " "
        print(f"{one['state']:<11}{one['device']}: {one['check']}:{gap}{one['found']}{took}")
    print(f"{failed or 'No'} check{'s' if failed != 1 else ''} failed. Paste all of this into an issue.")
    return 1 if failed else 0


def _results(seconds: float) -> Iterator[dict[str, Any]]:
    """What each check on each device found, as soon as it is known."""
    start = time.perf_counter()
    for name in state.backend.devices():
        for check in CHECKS:
            began = time.perf_counter()
            outcome, found = _LEFT_OUT, f"{seconds} s are over"
            if began - start <= seconds:
                try:
                    with device(name):
                        outcome, found = _RIGHT, check()
                except Exception:
                    outcome, found = _FAILED, traceback.format_exc()
            words = (check.__doc__ or "").split(":")[0].rstrip(".")
            took = round(time.perf_counter() - began, 3)
            yield {"device": name, "check": words, "state": outcome, "found": found, "seconds": took}


def _ops():
    """Ops: as NumPy computes them."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(64, 48)), rng.normal(size=(48, 32))
    small, images = x.astype("float32"), rng.normal(size=(2, 9, 9, 3)).astype("float32")
    kernel = rng.normal(size=(3, 3, 3, 4)).astype("float32")
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
    exp = np.exp(x - x.max(-1, keepdims=True))
    pairs = {
        "exp": (ops.exp(small), np.exp(x)),
        "matmul": (ops.matmul(small, w.astype("float32")), x @ w),
        "sum": (ops.sum(small, axis=0), x.sum(0)),
        "softmax": (ops.softmax(small), exp / exp.sum(-1, keepdims=True)),
        "sort": (ops.sort(small), np.sort(x)),
        "take": (ops.take(small, np.array([3, 0]), axis=0), x[[3, 0]]),
        "conv": (ops.conv(images, kernel), np.einsum("nhwcij,ijco->nhwo", windows, kernel)),
    }
    worst = 0.0
    for name, (found, wanted) in pairs.items():
        error = float(np.abs(found.numpy() - wanted).max() / np.abs(wanted).max())
        if not error < 2e-3:  # TF32 among them
            raise AssertionError(f"{name}: the error is {error:.2g} of the largest value")
        worst = max(worst, error)
    return f"largest error {worst:.1g}"


def _training():
    """Training: as on the CPU."""
    before = config.float32()
    config.set_float32("exact")
    try:
        own, first, each = _losses()
        with device("cpu:0"):
            wanted, *_ = _losses()
    finally:
        config.set_float32(before)
    np.testing.assert_allclose(own, wanted, rtol=1e-3)
    if not own[-1] < own[0]:
        raise AssertionError(f"the loss did not fall: {own[0]:.4f}, then {own[-1]:.4f}")
    return f"loss {own[0]:.3f} to {own[-1]:.3f}; first step {first:.2f} s, each later one {1e3 * each:.2f} ms"


def _losses():
    """(losses of some steps, seconds of the first, of each later one)"""
    utils.set_random_seed(0)
    model = Sequential(
        [
            layers.Input((12, 12, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(1)
    y = rng.integers(0, 10, 32)
    x = (rng.random((32, 12, 12, 1)) + y[:, None, None, None] / 5).astype("float32")
    losses, times = [], []
    for _ in range(STEPS):
        start = time.perf_counter()
        losses.append(float(model.train_on_batch(x, y)))
        times.append(time.perf_counter() - start)
    return losses, times[0], float(np.median(times[1:]))


CHECKS = (_ops, _training)
