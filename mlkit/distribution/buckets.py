"""Buckets: tensors that travel together, so that small ones do not pay for a message each."""

from collections.abc import Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.spec import size_of

BUCKET_BYTES = 8 << 20  # a bucket is full with so many: large enough for the speed of memory, small enough to begin early
BUCKET_LIMIT = 25 << 20  # no tensor joins others beyond this


def in_buckets(tensors: Sequence[tuple[int, Any]], full: int = BUCKET_BYTES, limit: int = BUCKET_LIMIT) -> list[list[int]]:
    """Numbers of tensors, bucket by bucket in the order given; each bucket is of one dtype.

    Args:
        tensors: pairs (number, anything with shape and dtype).
        full: Bytes from which on a bucket takes no more.
        limit: Bytes that a bucket of several tensors never has.

    >>> import numpy as np
    >>> in_buckets([(0, np.zeros(3)), (1, np.zeros(2)), (2, np.zeros(9, "float32"))], full=32)
    [[0, 1], [2]]
    """
    buckets: list[list[int]] = []
    open_: dict[str, tuple[list[int], int]] = {}  # dtype -> (bucket, bytes in it)
    for number, tensor in tensors:
        dtype = dtypes.name_of(tensor.dtype) if not isinstance(tensor.dtype, str) else tensor.dtype
        nbytes = size_of(tensor.shape) * dtypes.itemsize(dtype)
        bucket, held = open_.get(dtype, ([], full))
        if held >= full or held + nbytes > limit:
            bucket, held = [], 0
            buckets.append(bucket)
        bucket.append(number)
        open_[dtype] = bucket, held + nbytes
    return buckets
