"""Engines that run mlkit graphs: `native` (NumPy and oneDNN) and `jax_adapter`, which checks it."""
