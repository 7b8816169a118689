"""Several elementwise ops as one, so that a backend can do them in one pass over memory. The fusion pass makes these."""

from typing import Any

from mlkit.core.op import Op
from mlkit.core.spec import Spec, compatible, show
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
