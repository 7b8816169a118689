"""Several elementwise ops as one, so that a backend can do them in one pass over memory. Fusion passes make these."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mlkit.core.op import Op
from mlkit.core.spec import ShapesDiffer, Spec, compatible, show, size_of
from mlkit.core.traits import Traits


def _spec(*specs: Any, chain: Any) -> tuple[Spec, ...]:
    outs = chain.run(specs, lambda op, args, params: op.spec(*args, **params))
    if not all(compatible(o.shape, outs[0].shape) for o in outs):
        shapes = ", ".join(str(show(o.shape)) for o in outs)
        raise ValueError(f"fused_elementwise: all outputs must have one shape, but they have {shapes}.")
    return outs


# operands -> the chain's outputs, a tuple; all of them have the same shape, to which the operands broadcast
fused_elementwise = Op(
    "fused_elementwise",
    _spec,
    fallback=lambda *xs, chain: chain.run(xs, lambda op, args, params: op(*args, **params)),
    traits=Traits(elementwise=True),
)


def _multi_spec(*specs: Any, chains: Sequence[Any]) -> tuple[Spec, ...]:
    found: list[Spec] = []
    for operands, chain in split(specs, chains):
        outs = _spec(*operands, chain=chain)
        if not all(s.shape == outs[0].shape or size_of(s.shape) == 1 for s in operands):
            raise ShapesDiffer(
                f"multi_tensor_apply: operands {operands} must have the shape {show(outs[0].shape)} or be numbers."
            )
        found += outs
    return tuple(found)


def split(operands: Sequence[Any], chains: Sequence[Any]) -> Iterator[tuple[Sequence[Any], Any]]:
    """Pairs (operands, chain) of the parts of a call of `multi_tensor_apply`."""
    first = 0
    for chain in chains:
        yield operands[first : first + chain.operands], chain
        first += chain.operands


def apply_all(operands: Sequence[Any], chains: Sequence[Any], apply: Callable[..., Any]) -> tuple[Any, ...]:
    """The outputs of all chains; ``apply(op, args, params)`` makes a step."""
    return tuple(out for own, chain in split(operands, chains) for out in chain.run(own, apply))


# operands of all chains -> the outputs of all, a tuple. No chain needs what another gives; the operands of one have the shape of its
# outputs or are single numbers
multi_tensor_apply = Op(
    "multi_tensor_apply",
    _multi_spec,
    fallback=lambda *xs, chains: apply_all(xs, chains, lambda op, args, params: op(*args, **params)),
)
