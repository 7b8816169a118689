"""Progbar: a moving line where somebody watches, one plain line where the output goes to a file."""

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from mlkit.utils import console
from mlkit.utils.progress_line import last_lines, moving_line


class Progbar:
    """Shows how far a loop has come, with running values.

    On a terminal and in a notebook it is one line that moves and, when all is done, becomes the line that stays. Where the line is
    too narrow, long names are shortened; numbers never are.

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
        self._columns = 0  # that the moving line takes; 0 while there is none
        self.reset(target)

    def reset(self, target: int | None, description: str = "") -> None:
        """Start over, for the next epoch say."""
        self.close()
        self.target = target
        self.description = description
        self.seen = 0
        self._sums = {}  # name -> [sum of values, their number]
        self._start = time.perf_counter()
        self._drawn = 0.0

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
        elif finalize and self.verbose in (1, 2):
            console.print_message(self._last(current, None))

    def is_due(self) -> bool:
        """Whether an update now would draw: the bar is drawn once in `interval` seconds, and on a live display only."""
        return self.verbose == 1 and time.perf_counter() - self._drawn >= self.interval and console.is_live()

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Tell that n more steps are done."""
        self.update(self.seen + n, values)

    def close(self) -> None:
        """Leave the line as it stands and draw no more of it."""
        if self._columns:
            console.redraw(self._text, self._columns, "\n")
            self._columns = 0

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
        if finalize:
            console.redraw(self._last(current, console.columns()), self._columns, "\n")
            self._columns = 0
        else:
            self._text = self._moving(current, now - self._start)
            self._columns = console.redraw(self._text, self._columns)

    def _moving(self, current, seconds):
        done = min(current / self.target, 1.0) if self.target else None
        count = f"{current}/{self.target}" if self.target else str(current)
        left = f"<{_clock(seconds * (1 - done) / done)}" if done else ""
        plain = not console.can_show("━╌…")
        return moving_line(
            self.description, count, done, self.width, _clock(seconds) + left, self._values(), console.columns(), plain
        )

    def _last(self, current, width):
        """The text that stays."""
        seconds = time.perf_counter() - self._start
        each = f"{_duration(seconds / max(current, 1))}/{self.unit_name}"
        count = f"{current}/{self.target}" if self.target else f"{current} {self.unit_name}s"
        parts = [part for part in (self.description, count, f"{seconds:.0f}s", each) if part]
        return last_lines(parts, self._values(), width, not console.can_show("…"))

    def _values(self):
        return [(name, _short(total / count)) for name, (total, count) in self._sums.items()]


def _short(value: Any) -> str:
    return f"{value:.4f}" if abs(value) > 1e-3 or value == 0 else f"{value:.4e}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f}s" if seconds >= 1 else f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return (
        f"{seconds}s"
        if not minutes
        else f"{minutes}:{seconds:02d}"
        if minutes < 60
        else f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
    )
