"""All debug flags, read once from the environment. (`EXACT` may be set later: it is part of a program's signature.)

MLKIT_DEBUG    1 what is compiled, 2 also kernel times, 3 also the graph after each pass, 4 also generated sources
MLKIT_CHECK    1 each kernel's result is compared with its spec and searched for NaN; fused kernels also with their fallback
MLKIT_GUARD    1 what a C library works on lies between guard bytes, which are checked after each call
MLKIT_PASSES_OFF  names of graph passes to leave out, separated by commas; "all" for all of them
MLKIT_EAGER    1 nothing is traced: compiled functions run op by op
MLKIT_CAPTURE  0 on GPUs programs are launched kernel by kernel, not as graphs
MLKIT_EXACT    1 compiled functions compute what their ops do one by one, to the bit (`mlkit.config.set_exact`)
MLKIT_PROGRAM_MEMORY  bytes of compiled programs that are kept, 536870912 by default (`mlkit.config.set_program_memory`)
MLKIT_DEVICE   the device to compute on, such as cpu or cuda:0; the backend's own choice if it is not set
MLKIT_BACKEND  native, jax or the name of an installed backend: the one in force at import
MLKIT_THRESHOLDS  0 all sizes from which another way of computing pays are 0 (`mlkit/core/machine.py`)
MLKIT_JIT      off: loops never become native code; wait: their first run waits for it, so that all runs compute alike
MLKIT_ONEDNN   path of the oneDNN library to use; 0, "off" or "none" for none
"""

import os
import sys

LEVEL = int(os.environ.get("MLKIT_DEBUG", "0"))
CHECK = os.environ.get("MLKIT_CHECK", "0") == "1"
GUARD = os.environ.get("MLKIT_GUARD", "0") == "1"
PASSES_OFF = set(filter(None, os.environ.get("MLKIT_PASSES_OFF", "").split(",")))
CHECK_GRAPHS = False  # set by tests: Graph.check() after each pass
EAGER = os.environ.get("MLKIT_EAGER", "0") == "1"
CAPTURE = os.environ.get("MLKIT_CAPTURE", "1") != "0"
EXACT = os.environ.get("MLKIT_EXACT", "0") == "1"
PROGRAM_MEMORY = int(os.environ.get("MLKIT_PROGRAM_MEMORY", 1 << 29))
BACKEND = os.environ.get("MLKIT_BACKEND", "native")
DEVICE = os.environ.get("MLKIT_DEVICE", "")
THRESHOLDS = os.environ.get("MLKIT_THRESHOLDS", "1") != "0"
JIT = os.environ.get("MLKIT_JIT", "")
ONEDNN = os.environ.get("MLKIT_ONEDNN", "")


def is_off(name: str) -> bool:
    """Whether a graph pass is to be left out."""
    return name in PASSES_OFF or "all" in PASSES_OFF


def say(text: str) -> None:
    """Print a line of debug output."""
    print(f"[mlkit] {text}", file=sys.stderr)
