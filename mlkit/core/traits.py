"""Traits: what is worth knowing of an op besides its rules for shapes and gradients, so that nobody asks for ops by name.

They stand on the op's record, ``add.traits.neutral``, and never change. Passes, costs and backends read them; one that is not
stated is that of an op of which nothing is known.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple


class Images(NamedTuple):
    """Which tensors of an op are images (batch, height, width, channels) that may lie in blocks of channels instead.

    arguments, results  their numbers
    mixes               whether each result depends on all channels of the first image, which may then lie otherwise than the rest;
                        else all of them must lie alike
    fits                (images, params) -> whether images of these shapes may lie so, where channels work on their own
    """

    arguments: tuple
    results: tuple
    mixes: bool = False
    fits: Callable = lambda images, params: True


class Kept(NamedTuple):
    """Of a gradient that is a variant of an op: which of its arguments are the op's, and what it may be given of a call of that.

    gradients  how many of its first arguments are gradients of the op's results
    arguments  how many follow that are the op's own; what is given of its call comes behind them
    results    number of the op's result from which on it is given them; the last one is what the op's kernel keeps for it
    again      whether its fallback computes all of that call again, which is then no work of its own
    """

    gradients: int
    arguments: int
    results: int
    again: bool = True


class Traits(NamedTuple):
    """What is known of an op.

    elementwise  each element of the results depends on the elements at its place in the arguments, or in what these are
                 broadcast from
    broadcasts   an elementwise op whose arguments broadcast, each of which may be a number that stands for a tensor of it
    view         (value, offset, strides, **params) -> (offset, strides) of the result in the memory of the first argument, whose
                 offset and strides are given in bytes; or None where elements must be moved
    selects      it reads of its first argument no more elements than it returns
    images       its `Images`
    flops        (specs of the arguments, of the results, params) -> floating-point operations; by default those of the fallback, and
                 of an elementwise op one for each element of the results
    body_flops   of an op whose parameters are graphs: (params, cost) -> floating-point operations, where ``cost(graph)`` gives those
                 of one run of a graph
    epilogues    of an op of one tensor: name -> the op's parameters, for each way in which it may end a product and be applied while
                 that is at hand; fused products know it by this name
    neutral      number n with ``op(x, n) == x``
    commutes     ``op(x, y) == op(y, x)``
    involution   ``op(op(x)) == x``
    idempotent   ``op(op(x)) == op(x)``, or of two arguments ``op(x, x) == x``
    batch        (op, args, has, size, params) -> the results for arguments of which some have a further leading axis, see
                 `primitives.axes`; ops that broadcast need none
    communicates  its results depend on what other processes bring to it: it runs when its turn comes, once, and never while compiling
    kept         its `Kept`, if it may be given what the op of which it is the gradient has computed
    """

    elementwise: bool = False
    broadcasts: bool = False
    view: Callable | None = None
    selects: bool = False
    images: Images | None = None
    flops: Callable | None = None
    body_flops: Callable | None = None
    epilogues: Mapping = MappingProxyType({})
    neutral: float | None = None
    commutes: bool = False
    involution: bool = False
    idempotent: bool = False
    batch: Callable | None = None
    communicates: bool = False
    kept: Kept | None = None


UNKNOWN = Traits()
