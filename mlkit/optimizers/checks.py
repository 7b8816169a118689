"""What is checked of an optimizer's options, and of the gradients that it is given."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlkit.core.spec import broadcasts_to, show
from mlkit.core.tensor import Tensor
from mlkit.objects.variable import Variable


def check_options(optimizer: Any) -> None:
    """Raise ValueError for options that do not go together, or are out of range."""
    cls = type(optimizer).__name__
    clips = {name: getattr(optimizer, name) for name in ("clipnorm", "clipvalue", "global_clipnorm")}
    if sum(c is not None for c in clips.values()) > 1:
        raise ValueError(f"{cls}: Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set, but got {clips}.")
    for option, value in clips.items():
        if value is not None and value < 0:
            raise ValueError(f"{cls}: `{option}` must not be negative, but got {value!r}.")
    steps = optimizer.gradient_accumulation_steps
    if steps and steps < 2:
        raise ValueError(f"{cls}: `gradient_accumulation_steps` must be an integer >= 2 or None, but got {steps!r}.")
    if optimizer.use_ema and not 0 <= optimizer.ema_momentum <= 1:
        raise ValueError(f"{cls}: `ema_momentum` must be in the range [0, 1], but got {optimizer.ema_momentum!r}.")
    every = optimizer.ema_overwrite_frequency
    if optimizer.use_ema and every and (not isinstance(every, int) or every < 1):
        raise ValueError(f"{cls}: `ema_overwrite_frequency` must be an integer >= 1 or None, but got {every!r}.")


def check_gradients(
    owner: str, grads: Sequence[Tensor | None], variables: Sequence[Variable], known: Mapping[Variable, int]
) -> None:
    """Raise ValueError unless gradients and variables fit together. owner: the optimizer's name; known: what it is built for."""
    for v in variables:
        if v not in known:
            raise ValueError(
                f"{owner}.apply: Unknown variable {v.path!r}. The optimizer was built for {len(known)} other variables. Call "
                "optimizer.build(all_trainable_variables) to add to them, or make a new optimizer."
            )
    for g, v in zip(grads, variables):
        if g is not None and not broadcasts_to(np.shape(g), v.shape):
            raise ValueError(
                f"{owner}.apply: a gradient of shape {show(np.shape(g))} does not broadcast to its variable {v.path!r} of "
                f"shape {show(v.shape)}."
            )


def present(grads: Sequence[Tensor | None], variables: Sequence[Variable]) -> list[tuple[Tensor, Variable]]:
    """The pairs (gradient, variable) whose gradient is there; warns of the others."""
    pairs = [(g, v) for g, v in zip(grads, variables) if g is not None]
    if not pairs:
        raise ValueError("No gradients provided for any variable.")
    missing = [v.path for g, v in zip(grads, variables) if g is None]
    if missing:
        warnings.warn(
            f"Gradients do not exist for variables {missing} when minimizing the loss; they stay as they are. Does the loss "
            "depend on them, and was a `loss` given to `model.compile()`?"
        )
    return pairs
