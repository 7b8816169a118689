"""Control flow that depends on values: `cond`, loops, scans and maps.

Eager, these are plain Python. In a traced function their bodies become graphs, run by the executor, so that the choice and the
number of turns are made anew each time the compiled function is called.
"""

from mlkit.ops.control.associative import associative_scan
from mlkit.ops.control.branches import cond, switch
from mlkit.ops.control.loops import fori_loop, while_loop
from mlkit.ops.control.scans import map, scan, vectorized_map

__all__ = ["associative_scan", "cond", "fori_loop", "map", "scan", "switch", "vectorized_map", "while_loop"]
