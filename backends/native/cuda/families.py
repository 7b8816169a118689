"""All rows of a GPU, family by family: those whose kernels are our own, then cuDNN's, which come first where both have one."""

from mlkit.backends.native.cuda import (
    activation,
    attention,
    batch_norm,
    cudnn,
    indexing,
    movement,
    pool,
    product,
    random,
    reduction,
    resampling,
    row_norm,
    softmax,
    sorting,
)

FAMILIES = (
    activation,
    attention,
    batch_norm,
    indexing,
    movement,
    pool,
    product,
    random,
    reduction,
    resampling,
    row_norm,
    softmax,
    sorting,
    cudnn,
)


def rows(device):
    """The rows of a GPU."""
    return [row for family in FAMILIES for row in family.rows(device)]
