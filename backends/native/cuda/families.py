"""All rows of a GPU, family by family: those whose kernels are our own, then cuDNN's, which come first where both have one."""

from mlkit.backends.native.cuda import (
    activation,
    attention,
    cudnn,
    indexing,
    movement,
    norm,
    pool,
    product,
    random,
    reduction,
    resampling,
    softmax,
    sorting,
)

FAMILIES = (
    activation,
    attention,
    indexing,
    movement,
    norm,
    pool,
    product,
    random,
    reduction,
    resampling,
    softmax,
    sorting,
    cudnn,
)


def rows(device):
    """The rows of a GPU."""
    return [row for family in FAMILIES for row in family.rows(device)]
