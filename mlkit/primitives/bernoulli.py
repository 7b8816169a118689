"""How true and false are drawn from random bytes: what the op's definition and a backend's kernel have in common."""

from collections.abc import Sequence
from typing import Any

from mlkit.core.spec import Size, size_of

SHARED = 1 << 10  # elements of which all have the same threshold


def thresholds(shape: Sequence[Size], p: float) -> tuple[Any, Any, int, int]:
    """How `bernoulli` draws: (rows, width, whole, part). Of `rows` rows of ``width + 2`` random bytes the last two, an integer
    r with the low byte first, decide on the row's threshold, ``whole + (r < part)``; the others are true where they are below it.

    So p is right to 24 bits at the cost of 8. Elements of one row depend on one another a little: their covariance is at most 2**-18.
    """
    n = size_of(shape)
    width = min(max(n, 1), SHARED)
    return -(-n // width), width, *divmod(round(p * 2**24), 2**16)


def limits(xp: Any, last: Any, whole: int, part: int) -> Any:
    """The thresholds of rows from the two bytes at their ends, arrays of the module `xp`; see `thresholds`."""
    up = xp.ascontiguousarray(last).view("uint16") < part
    return (up + xp.uint16(whole)).astype("uint8" if whole < 255 else "uint16")
