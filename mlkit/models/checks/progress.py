"""Weights that do not move in the first steps: layers that learn nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlkit.layers.tracking import own_variables

STEPS = 3  # a gate that begins at 0 lets gradients through from the second step on
LARGEST = 1 << 24  # bytes of a variable that is watched; all of them may have four times as many


class Watch:
    """The weights as they were, and which layers have not moved since."""

    def __init__(self, model: Any):
        self.layers, left = [], 4 * LARGEST
        for layer in model._flatten_layers():
            own = [v for v in own_variables(layer) if v.trainable and layer.trainable]
            size = sum(4 * int(np.prod(v.shape)) for v in own)
            if not own or size > min(LARGEST, left):
                continue
            left -= size
            self.layers.append((layer, [(v, np.array(v.numpy())) for v in own]))

    def still(self) -> list[Any]:
        """The layers of which no weight has moved."""
        return [layer for layer, own in self.layers if all(np.array_equal(v.numpy(), before) for v, before in own)]


def applies(model: Any) -> bool:
    """Whether steps move all weights, as far as one can know."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return (
        model.built
        and not model._is_overridden("train_step")
        and optimizer is model.optimizer
        and optimizer is not None
        and not optimizer.gradient_accumulation_steps
        and not callable(getattr(optimizer, "_learning_rate", None))
        and bool(model.trainable_weights)
    )


def said_of(watch: Watch) -> str | None:
    """What is to be said of layers that have not moved; None if all have."""
    still = watch.still()
    if not still:
        return None
    names = ", ".join(f"{layer.name!r}" for layer in still[:5]) + (" ..." if len(still) > 5 else "")
    what = "all layers" if len(still) == len(watch.layers) else f"{len(still)} of {len(watch.layers)} layers with weights"
    return (
        f"no weight of {what} has moved in the first steps ({names}): their gradients are 0. Units of relu that are never on do this "
        "(a learning rate or inputs too large), and so do layers whose result nobody uses, round, argmax or stop_gradient behind them."
    )
