"""The compiled programs that are kept: those used last, as many as a number of bytes holds. All functions share it.

Programs may have a part of the bytes at first. Each that is dropped and then needed again is a sign that this is too little, and gives
them room for one more. So sequences of ever new lengths, which never come again, take little memory, and an epoch of many lengths
is compiled once. (Method: the "ghost" entries of Megiddo and Modha, ARC: A self-tuning, low overhead replacement cache, FAST 2003.)
"""

import itertools
import weakref
from typing import Any

from mlkit.core import debug, locks

AT_FIRST = 16  # the part of the bytes that there is room for at first is one of so many
ALWAYS_KEPT = 8  # programs used last, whatever they take: steps of training, evaluation and prediction take turns
BYTES_OF_A_CALL = 1 << 14  # of a program, measured: Python's objects
_MB = 1 << 20

uses = itertools.count(1)  # a program notes the next number when it is used


class ProgramCache:
    """Knows programs weakly: a function that goes takes its programs with it.

    limit: bytes. A program tells its `nbytes` (about, without memory that programs share) and when it was `used`, and its
    function forgets it by `drop`. One that is running runs to its end: its caller holds it.
    """

    def __init__(self, limit: int):
        self._programs: weakref.WeakSet[Any] = weakref.WeakSet()
        self.limit = limit

    @property
    def limit(self) -> int:
        return self._limit

    @limit.setter
    def limit(self, nbytes: int) -> None:
        with locks.making:
            self._limit, self._room = nbytes, nbytes // AT_FIRST
            self._shrink()

    @property
    def nbytes(self) -> int:
        """What the programs kept now take, about."""
        with locks.making:
            return sum(p.nbytes for p in self._programs)

    def add(self, program: Any, again: bool = False) -> None:
        """Keep a new program, and drop those used longest ago where there is no room for all. again: it was dropped before."""
        with locks.making:
            if again:
                self._room = min(self._room + program.nbytes, self._limit)
            self._programs.add(program)
            self._shrink()

    def _shrink(self) -> None:
        kept = sorted(self._programs, key=lambda p: p.used)
        total = sum(p.nbytes for p in kept)
        while total > self._room and len(kept) > ALWAYS_KEPT:
            oldest = kept.pop(0)
            total -= oldest.nbytes
            self._programs.discard(oldest)
            oldest.drop()
            if debug.LEVEL >= 1:
                left = f"{len(kept)} programs of {total / _MB:.1f} MB are left"
                debug.say(f"dropped the program of {oldest} ({oldest.nbytes / _MB:.1f} MB), used longest ago; {left}")


cache = ProgramCache(debug.PROGRAM_MEMORY)
