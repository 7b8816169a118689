"""How much a primitive has to do, from the descriptors that it is made from: what is small is done by one thread.

Waking OpenMP's other threads takes some 10 us, and milliseconds where they have to wait for a core that others use.
"""

import math

from mlkit.core.machine import threshold

FEW_BYTES = threshold("one_thread")
FEW_MULTIPLICATIONS = threshold("product_on_one_thread")
_CONVOLUTIONS = "_convolution_", "_deconvolution_", "_inner_product_"
_OWN = "_rnn_", "_lstm_", "_gru_", "_lbr_"  # whose rows decide it from the steps of their sequences


def is_small(creator, descs):
    """Whether one thread is enough.

    Args:
        creator: name of the function that makes the primitive's descriptor.
        descs: its descriptors of tensors, in order: of products source, weights, (bias,) result, whichever of them is computed.
    """
    if any(kind in creator for kind in _OWN):
        return False
    if any(kind in creator for kind in ("_matmul_", *_CONVOLUTIONS)):
        return all(d.shape for d in descs) and _multiplications(creator, *descs) <= FEW_MULTIPLICATIONS
    return max(d.nbytes for d in descs) <= FEW_BYTES


def _multiplications(creator, source, weights, *others):
    result = others[-1].shape
    if "_matmul_" in creator:
        return math.prod(result) * weights.shape[-2]
    return math.prod(result) * math.prod(weights.shape) // max(result[1], 1)  # as many an element as a filter has weights
