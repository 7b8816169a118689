"""The core: what an op is and how calls of ops are read. Imports nothing of mlkit above itself."""

from mlkit.core import backend, interpreter  # they tell the state of threads what is in force by default
