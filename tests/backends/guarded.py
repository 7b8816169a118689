"""Runs the samples of all fused ops and of those that oneDNN computes, forward and backward, eagerly and compiled. With MLKIT_GUARD=1
each buffer of a primitive lies between guard bytes. Prints how many buffers that were, and what does not agree with the composed form.

    MLKIT_GUARD=1 python -m tests.backends.guarded
"""

import sys

from mlkit.backends.native.onednn import guard, rows
from tests.ops.misfit import Misfit, composed, disagreement
from tests.ops.sample import gather


def main():
    by_onednn, faults = {row.name for row in rows()}, 0
    for row in gather("SAMPLES"):
        if row.op and (row.name in by_onednn or Misfit(row).op.fallback is not None):
            call = Misfit(row)
            fault = disagreement(call, composed(call))
            if fault is not None:
                faults += 1
                print(f"{call}: {fault}")
    print(f"{guard.handed.total()} buffers of {len(guard.handed)} implementations")
    return 1 if faults or not guard.handed else 0


if __name__ == "__main__":
    sys.exit(main())
