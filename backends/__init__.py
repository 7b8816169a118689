"""Engines that run mlkit graphs: `native` (NumPy and oneDNN, CuPy and cuDNN) and `jax_adapter`, which checks it."""
