"""The core: what an op is and how calls of ops are read. Imports nothing of mlkit above itself."""

from mlkit.core import backend  # which tells the state how to find the default one
