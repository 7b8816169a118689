"""Which arrays programs have written into after they were made.

Arrays do not change, with one exception: a program may put the new value of a variable where the old one lay. What somebody
derived from such an array (weights in another layout, say) holds as long as the array's stamp stays the same.
"""

import itertools

MOST = 1 << 16  # arrays whose stamps are remembered
_stamps = {}  # id of an array -> number of the last program run that wrote into it
_clock = itertools.count(1)
_forgotten = 0  # the stamp of all others


def stamp(array):
    """A number that changes when a program writes into the array."""
    return _stamps.get(id(array), _forgotten)


def written(arrays):
    """Note that arrays have been written into. (An id that a new array takes over from a dead one keeps its stamp, which does
    no harm: who compares stamps compares the arrays as well.)"""
    global _forgotten
    if len(_stamps) > MOST:
        _forgotten = next(_clock)  # all that was derived from any array is out of date
        _stamps.clear()
    now = next(_clock)
    for a in arrays:
        _stamps[id(a)] = now
