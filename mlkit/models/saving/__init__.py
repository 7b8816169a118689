"""Reading and writing models: `.keras`, `.weights.h5`, the weights of older `.h5` files. Public names: `mlkit.saving`."""
