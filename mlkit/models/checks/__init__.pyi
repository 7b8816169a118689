# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.models.checks.run import before_fit as before_fit
from mlkit.models.checks.run import of_arrays as of_arrays
