"""Several elementwise ops as one, so that a backend can do them in one pass over memory. The fusion pass makes these."""

from mlkit.core.op import Op

# operands -> the chain's outputs, a tuple; all of them have the same shape, to which the operands broadcast
fused_elementwise = Op(
    "fused_elementwise",
    lambda *specs, chain: chain.run(specs, lambda op, args, params: op.spec(*args, **params)),
    fallback=lambda *xs, chain: chain.run(xs, lambda op, args, params: op(*args, **params)),
)
