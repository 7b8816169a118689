"""All rows of a GPU, family by family: those whose kernels are our own, then cuDNN's, which come first where both have one."""

from mlkit.backends.native.cuda import activation, cudnn, indexing, norm, pool, random, softmax

FAMILIES = (activation, indexing, norm, pool, random, softmax, cudnn)


def rows(device):
    """The rows of a GPU."""
    return [row for family in FAMILIES for row in family.rows(device)]
