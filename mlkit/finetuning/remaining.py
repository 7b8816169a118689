"""How long a training will still take."""

import time
from collections.abc import Callable

LEAST, PAUSE = 20.0, 60.0  # seconds: shorter waits are not worth a word, and words not more often


class Remaining:
    """Estimates the time left from the epochs so far. The first one, which also traces the step, counts only while it is alone.

    clock: gives seconds.

    >>> times = iter([0, 0, 30, 30, 40])
    >>> left = Remaining(clock=lambda: next(times))
    >>> left.begin(); left.end(epochs=10)
    'About 5 min'
    >>> left.begin(); left.end(epochs=9)
    ''
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock, self.took, self.started, self.said = clock, [], clock(), None

    def begin(self) -> None:
        """An epoch begins."""
        self.started = self.clock()

    def end(self, epochs: int) -> str:
        """An epoch has ended, and so many are to come. The time these will take in words, or "" if there is nothing to say now."""
        now = self.clock()
        self.took.append(now - self.started)
        counted = self.took[1:] or self.took
        seconds = epochs * sum(counted) / len(counted)
        if seconds < LEAST or (self.said is not None and now - self.said < PAUSE):
            return ""
        self.said = now
        return f"About {in_words(seconds)}"


def in_words(seconds: float) -> str:
    """A time, roughly.

    >>> in_words(42), in_words(200), in_words(5 * 3600)
    ('42 s', '3 min', '5.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
