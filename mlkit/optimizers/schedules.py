"""Learning rate schedules: callables from the number of steps done to the learning rate."""

import math
from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.core.dtypes import floatx
from mlkit.core.tensor import Tensor
from mlkit.core.typing import FloatOrSequence, TensorLike
from mlkit.objects.config_object import Configurable
from mlkit.objects.lookup import Lookup

__all__ = (
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule",
    "PiecewiseConstantDecay", "PolynomialDecay", "deserialize", "one_cycle", "serialize",
)  # fmt: skip


class LearningRateSchedule(Configurable):
    """Base class. An optimizer takes a schedule as `learning_rate` and calls it with its step counter.

    The call is traced along with the training step: compute with `mlkit.ops`, do not branch on the step.

    >>> class Halving(LearningRateSchedule):
    ...     def __init__(self, start):
    ...         self.start = start
    ...     def __call__(self, step):
    ...         return self.start * 0.5 ** ops.cast(step, "float32")
    >>> float(Halving(0.8)(2)), Halving(0.8).get_config()
    (0.20000000298023224, {'start': 0.8})
    """

    def __call__(self, step: TensorLike) -> Tensor:
        """The learning rate (a scalar tensor) after `step` steps (a scalar integer tensor, or an int)."""
        raise NotImplementedError(f"The learning rate schedule {type(self).__name__} must define __call__(self, step).")


class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``; with `staircase` the exponent is rounded down.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: steps in which it is multiplied by `decay_rate`.
        decay_rate: that factor.
        staircase: whether it falls in stairs.
        name: of the schedule.

    >>> float(ExponentialDecay(1.0, decay_steps=10, decay_rate=0.5)(20))
    0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = "ExponentialDecay",
    ):
        self.initial_learning_rate, self.decay_steps, self.decay_rate = initial_learning_rate, decay_steps, decay_rate
        self.staircase, self.name = staircase, name
        _check_positive(self, "decay_steps")

    def __call__(self, step: TensorLike) -> Tensor:
        periods = _float(step) / self.decay_steps
        return self.initial_learning_rate * ops.power(self.decay_rate, ops.floor(periods) if self.staircase else periods)


class InverseTimeDecay(LearningRateSchedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``; with `staircase` the quotient is rounded down.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: steps in which the divisor grows by `decay_rate`.
        decay_rate: that growth.
        staircase: whether it falls in stairs.
        name: of the schedule.

    >>> float(InverseTimeDecay(1.0, decay_steps=10, decay_rate=0.5)(20))
    0.5
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = "InverseTimeDecay",
    ):
        self.initial_learning_rate, self.decay_steps, self.decay_rate = initial_learning_rate, decay_steps, decay_rate
        self.staircase, self.name = staircase, name
        _check_positive(self, "decay_steps")

    def __call__(self, step: TensorLike) -> Tensor:
        periods = _float(step) / self.decay_steps
        return self.initial_learning_rate / (1.0 + self.decay_rate * (ops.floor(periods) if self.staircase else periods))


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[0]`` up to and including step ``boundaries[0]``, then ``values[1]`` up to ``boundaries[1]``, and so on.

    Args:
        boundaries: rising step numbers.
        values: learning rates, one more than boundaries.
        name: of the schedule.

    >>> schedule = PiecewiseConstantDecay([100, 200], [1.0, 0.5, 0.25])
    >>> float(schedule(100)), float(schedule(101)), float(schedule(900))
    (1.0, 0.5, 0.25)
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str | None = "PiecewiseConstant"):
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                f"PiecewiseConstantDecay: there must be one value more than boundaries, but got {len(boundaries)} boundaries "
                f"{boundaries} and {len(values)} values {values}."
            )
        self.boundaries, self.values, self.name = boundaries, values, name

    def __call__(self, step: TensorLike) -> Tensor:
        rate = ops.convert_to_tensor(self.values[0])
        for boundary, value in zip(self.boundaries, self.values[1:]):
            rate = ops.where(ops.greater(step, boundary), value, rate)
        return rate


class PolynomialDecay(LearningRateSchedule):
    """From `initial_learning_rate` to `end_learning_rate` in `decay_steps` steps, along ``(1 - step / decay_steps) ** power``.

    Args:
        cycle: after the end start anew with a period twice, three times ... as long, instead of staying at the end.
        initial_learning_rate: the rate at step 0.
        decay_steps: length of the decay.
        end_learning_rate: the rate at its end.
        power: exponent of the part of the steps that is left; 1: a straight line.
        name: of the schedule.

    >>> float(PolynomialDecay(1.0, decay_steps=10, end_learning_rate=0.5)(5))
    0.75
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = "PolynomialDecay",
    ):
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.end_learning_rate, self.power, self.cycle, self.name = end_learning_rate, power, cycle, name
        _check_positive(self, "decay_steps")

    def __call__(self, step: TensorLike) -> Tensor:
        step = _float(step)
        if self.cycle:
            period = self.decay_steps * ops.maximum(ops.ceil(step / self.decay_steps), 1.0)
        else:
            step, period = ops.minimum(step, self.decay_steps), self.decay_steps
        span = self.initial_learning_rate - self.end_learning_rate
        left = ops.maximum(1 - step / period, 0.0)  # a compiler that multiplies by 1 / period may come out just below
        return span * ops.power(left, self.power) + self.end_learning_rate


class CosineDecay(LearningRateSchedule):
    """Half a cosine wave from the start value down to `alpha` times it, after a linear warmup if wanted.

    Args:
        initial_learning_rate: where the warmup starts, or (without one) the decay.
        decay_steps: length of the decay.
        alpha: the last value as a part of the first.
        warmup_target: the learning rate at the end of the warmup; None for no warmup.
        warmup_steps: length of the warmup.
        name: of the schedule.

    Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983.

    >>> schedule = CosineDecay(0.0, decay_steps=100, warmup_target=1.0, warmup_steps=10)
    >>> float(schedule(5)), float(schedule(10)), round(float(schedule(60)), 6)
    (0.5, 1.0, 0.5)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: FloatOrSequence = 0.0,
        name: str | None = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ):
        self.initial_learning_rate, self.decay_steps, self.alpha, self.name = initial_learning_rate, decay_steps, alpha, name
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps
        _check_positive(self, "decay_steps")

    def __call__(self, step: TensorLike) -> Tensor:
        step = _float(step)
        if self.warmup_target is None:
            return self._decayed(self.initial_learning_rate, step)
        # with no warmup steps the first branch is never taken; the 1 only keeps it finite
        progress = step / (self.warmup_steps or 1)
        warming = self.initial_learning_rate + (self.warmup_target - self.initial_learning_rate) * progress
        return ops.where(step < self.warmup_steps, warming, self._decayed(self.warmup_target, step - self.warmup_steps))

    def _decayed(self, start, step: TensorLike):
        progress = ops.minimum(step, self.decay_steps) / self.decay_steps
        return start * _cosine(progress, self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decays one after the other, each starting high again.

    Args:
        first_decay_steps: length of the first.
        t_mul: each is so many times as long as the one before.
        m_mul: and starts at so many times its start.
        alpha: the least value as a part of `initial_learning_rate`.
        initial_learning_rate: the rate at step 0.
        name: of the schedule.

    SGDR, Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983.

    >>> schedule = CosineDecayRestarts(1.0, first_decay_steps=10, m_mul=0.5)
    >>> [round(float(schedule(step)), 6) for step in (0, 5, 10)]
    [1.0, 0.5, 0.5]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: FloatOrSequence = 0.0,
        name: str | None = "SGDRDecay",
    ):
        self.initial_learning_rate, self.first_decay_steps = initial_learning_rate, first_decay_steps
        self.t_mul, self.m_mul, self.alpha, self.name = t_mul, m_mul, alpha, name
        _check_positive(self, "first_decay_steps")

    def __call__(self, step: TensorLike) -> Tensor:
        periods = _float(step) / self.first_decay_steps  # time in units of the first decay
        if self.t_mul == 1.0:
            restarts = ops.floor(periods)
            progress = periods - restarts
        else:  # after n restarts 1 + t + ... + t^(n-1) = (1 - t^n) / (1 - t) units have passed
            restarts = ops.floor(ops.log(1.0 - periods * (1.0 - self.t_mul)) / math.log(self.t_mul))
            length = ops.power(self.t_mul, restarts)
            progress = (periods - (1.0 - length) / (1.0 - self.t_mul)) / length
        return self.initial_learning_rate * _cosine(progress, self.alpha, ops.power(self.m_mul, restarts))


def one_cycle(
    max_learning_rate: float, total_steps: int, warmup: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4
) -> "LearningRateSchedule":
    """The one-cycle schedule: straight up to the highest learning rate, then down far below the first one along a cosine.

    Short trainings get by with much higher rates in this way (super-convergence: Smith & Topin 2017,
    https://arxiv.org/abs/1708.07120; Smith 2018, https://arxiv.org/abs/1803.09820). The momentum stays as it is, which Smith
    found as good where its value is. `mlkit.lr_find` finds the highest rate.

    Args:
        max_learning_rate: the top.
        total_steps: length of the whole cycle in steps; afterwards the rate stays at its end.
        warmup: fraction of the steps that go up, in [0, 1).
        div_factor: the top divided by the first rate.
        final_div_factor: the first rate divided by the last.

    Returns:
        A `CosineDecay` with these warmup and end, which Keras too reads in files.

    >>> schedule = one_cycle(1.0, total_steps=100, warmup=0.3, div_factor=25.0, final_div_factor=1e4)
    >>> [round(float(schedule(step)), 6) for step in (0, 30, 65, 100)]
    [0.04, 1.0, 0.500002, 4e-06]
    """
    numbers = {"max_learning_rate": max_learning_rate, "div_factor": div_factor, "final_div_factor": final_div_factor}
    for name, value in numbers.items():
        if not value > 0:
            raise ValueError(f"one_cycle: `{name}` must be positive, but got {value!r}.")
    if not 0 <= warmup < 1:
        raise ValueError(f"one_cycle: `warmup` must be a fraction in [0, 1), but got {warmup!r}.")
    up = round(warmup * total_steps)
    if not up < total_steps:
        raise ValueError(f"one_cycle: `total_steps` must be at least 1, but got {total_steps!r}.")
    first = max_learning_rate / div_factor
    return CosineDecay(
        first, total_steps - up, 1 / (div_factor * final_div_factor), warmup_target=max_learning_rate, warmup_steps=up
    )


def _cosine(progress, alpha, height=1.0):
    """From `height` at progress 0 to `alpha` at progress 1, along a cosine."""
    return (1.0 - alpha) * (0.5 * height * (1.0 + ops.cos(math.pi * progress))) + alpha


def _float(step: TensorLike):
    return ops.cast(step, floatx())


def _check_positive(schedule, name):
    value = getattr(schedule, name)
    if value <= 0:
        raise ValueError(f"{type(schedule).__name__}: `{name}` must be positive, but got {value!r}.")


_lookup = Lookup(
    "learning rate schedule",
    __name__,
    "ExponentialDecay InverseTimeDecay PiecewiseConstantDecay PolynomialDecay CosineDecay CosineDecayRestarts".split(),
)


def serialize(learning_rate_schedule: Any) -> Any:
    """The schedule as a dict that `deserialize` reads."""
    return _lookup.serialize(learning_rate_schedule)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The schedule that `serialize` wrote. custom_objects: name -> class, for classes that are not built in."""
    return _lookup.deserialize(config, custom_objects)
