"""All rows whose kernels are our own, family by family."""

from mlkit.backends.native.cuda import activation, indexing, norm, pool, random, softmax

FAMILIES = (activation, indexing, norm, pool, random, softmax)


def rows(device):
    """The rows of a GPU."""
    return [row for family in FAMILIES for row in family.rows(device)]
