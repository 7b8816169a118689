"""Runs cases, one after the other, in each process or in one alone. python run_cases.py FOLDER NAME ..."""

import sys
import traceback
import warnings

import numpy as np

from mlkit.core.state import state
from tests.distribution import cases

warnings.simplefilter("ignore")
for name in sys.argv[2:]:
    try:
        found = cases.run(name)
    except Exception:
        found = {"error": np.array(traceback.format_exc())}
    rank = "alone" if state.communicator is None else state.communicator.rank
    np.savez(f"{sys.argv[1]}/{name}.{rank}.npz", **found)
