"""Reading and writing models: `.keras`, `.weights.h5` and the weights of older `.h5` files. The public names are in `mlkit.saving`."""
