"""Progbar: a tqdm bar where somebody watches, one plain line where the output goes to a file."""

import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from mlkit.utils import console

_FORMAT = "{desc}{n_fmt}/{total_fmt} |{bar:%d}| {elapsed}<{remaining}{postfix}"


class Progbar:
    """Shows how far a loop has come, with running values.

    Args:
        target: number of steps, or None where unknown.
        width: characters of the bar.
        verbose: 0 silent, 1 a moving bar (on a terminal or in a notebook; elsewhere as 2), 2 one line at the end.
        interval: least seconds between two drawings.
        stateful_metrics: names of values shown as given; all others are averaged over the steps, until the values given at the
            end replace the averages.
        stateless_metrics: names of values averaged over the steps; all others are shown as given. Exclusive with the former.
        unit_name: what a step is called.

    >>> bar = Progbar(target=2, verbose=2)
    >>> bar.update(1, [("loss", 3.0)])
    >>> bar.update(2, [("loss", 1.0)])  # doctest: +ELLIPSIS
    2/2 - ...s/step - loss: 1.0000
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: bool | int | str = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Only one of `stateful_metrics` and `stateless_metrics` can be given: each implies the other.")
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateful_metrics = set(stateful_metrics or ()) if stateless_metrics is None else None
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._bar = None
        self.reset(target)

    def reset(self, target: int | None, description: str = "") -> None:
        """Start over, for the next epoch say. In a notebook the bar on the page is used again."""
        self.target = target
        self.description = description
        self.seen = 0
        self._sums = {}  # name -> [sum of values, their number]
        self._start = time.perf_counter()
        self._drawn = 0.0
        if self._bar is not None:
            self._bar.reset(total=target)

    def update(self, current: int, values: Iterable[tuple[str, Any]] | None = None, finalize: bool | None = None) -> None:
        """Tell that `current` steps are done.

        Args:
            current: steps done so far.
            values: list of (name, value) pairs of the last step.
            finalize: whether this is the end; by default when the target is reached.
        """
        finalize = self.target is not None and current >= self.target if finalize is None else finalize
        for name, value in values or ():
            self._add(name, value, max(current - self.seen, 1), finalize)
        self.seen = current
        if self.verbose == 1 and console.is_live():
            self._draw(current, finalize)
        if finalize and (self.verbose == 2 or (self.verbose == 1 and (not console.is_live() or console.in_notebook()))):
            console.print_message(self._line(current))

    def is_due(self) -> bool:
        """Whether an update now would draw: the bar is drawn once in `interval` seconds, and on a live display only."""
        return self.verbose == 1 and time.perf_counter() - self._drawn >= self.interval and console.is_live()

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Tell that n more steps are done."""
        self.update(self.seen + n, values)

    def close(self) -> None:
        """Leave the bar as it stands and stop drawing it."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _add(self, name, value, steps, finalize: bool | None):
        averaged = name not in self.stateful_metrics if self.stateful_metrics is not None else name in self.stateless_metrics
        value = float(np.mean(value))
        if not averaged or finalize or name not in self._sums:  # the values given at the end are the final ones, as in Keras
            self._sums[name] = [value * steps, steps]
        else:
            self._sums[name][0] += value * steps
            self._sums[name][1] += steps

    def _draw(self, current: int, finalize: bool | None):
        now = time.perf_counter()
        if not finalize and now - self._drawn < self.interval:
            return
        self._drawn = now
        if self._bar is None:
            self._bar = _new_bar(self.target, self.unit_name, self.width, now - self._start)
        self._bar.n = current
        self._bar.total = self.target
        self._bar.set_description_str(self.description and self.description + " ", refresh=False)
        self._bar.set_postfix_str(self._values(), refresh=False)
        self._bar.refresh()
        if finalize and not console.in_notebook():
            self.close()

    def _values(self):
        return " - ".join(f"{name}: {_short(total / count)}" for name, (total, count) in self._sums.items())

    def _line(self, current: int):
        seconds = time.perf_counter() - self._start
        each = f"{_duration(seconds / max(current, 1))}/{self.unit_name}"
        count = f"{current}/{self.target}" if self.target else f"{current} {self.unit_name}s"
        return " - ".join(part for part in (self.description, count, f"{seconds:.0f}s", each, self._values()) if part)


def _new_bar(total, unit, width, elapsed):
    import tqdm  # takes long to import; only where a bar is seen

    cls = tqdm.tqdm
    if console.in_notebook():
        try:
            import ipywidgets  # noqa: F401  tqdm draws its notebook bar with it, and warns where it is missing
            import tqdm.notebook

            cls = tqdm.notebook.tqdm
        except ImportError:
            cls = tqdm.tqdm
    bar = cls(total=total, unit=unit, bar_format=_FORMAT % width, file=sys.stdout, leave=True, dynamic_ncols=True)
    bar.start_t -= elapsed  # the first step counts too
    return bar


def _short(value: Any) -> str:
    return f"{value:.4f}" if abs(value) > 1e-3 or value == 0 else f"{value:.4e}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f}s" if seconds >= 1 else f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"
