"""Tensors side by side in one vector, so that one call works on all of them, and the way back."""

import itertools
from collections.abc import Sequence

from mlkit.core.op import Op
from mlkit.core.spec import Spec, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives.counts import free
from mlkit.primitives.movement import concat, slice_
from mlkit.primitives.shape import broadcast_to, reshape


def _pack_spec(*xs: Spec, sizes: Sequence[int]) -> Spec:
    if len(xs) != len(sizes) or not xs:
        raise ValueError(f"pack: there are {len(xs)} tensors and {len(sizes)} sizes.")
    if len({x.dtype for x in xs}) > 1:
        raise TypeError(f"pack: the tensors must have one dtype, but have {', '.join(x.dtype for x in xs)}.")
    for x, size in zip(xs, sizes):
        if x.shape and size_of(x.shape) != size:
            raise ValueError(f"pack: a tensor of shape {show(x.shape)} has no {size} elements.")
    return Spec((sum(sizes),), xs[0].dtype)


def _pack(*xs: Tensor, sizes: Sequence[int]) -> Tensor:
    parts = [reshape(x, shape=(n,)) if x.shape else broadcast_to(x, shape=(n,)) for x, n in zip(xs, sizes)]
    return concat(*parts, axis=0)


def _unpack_spec(vector: Spec, shapes: Sequence[tuple[int, ...]]) -> tuple[Spec, ...]:
    if vector.shape != (sum(map(size_of, shapes)),):
        raise ValueError(f"unpack: a tensor of shape {show(vector.shape)} has not the elements of {list(map(show, shapes))}.")
    return tuple(Spec(shape, vector.dtype) for shape in shapes)


def _unpack(vector: Tensor, shapes: Sequence[tuple[int, ...]]) -> tuple[Tensor, ...]:
    ends = list(itertools.accumulate(map(size_of, shapes)))
    parts = (slice_(vector, starts=(a,), stops=(b,), strides=(1,)) for a, b in zip([0, *ends], ends))
    return tuple(reshape(part, shape=shape) for part, shape in zip(parts, shapes))


# tensors of one dtype -> their elements one behind the other; sizes: of each, of which a number stands for as many
pack = Op("pack", _pack_spec, fallback=_pack, traits=Traits(flops=free))
# such a vector -> tensors of these shapes, a tuple
unpack = Op("unpack", _unpack_spec, fallback=_unpack, traits=Traits(flops=free, selects=True))
