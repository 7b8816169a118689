"""Products and sums of half floats whose result stays in float32, in which it was summed. The pass `keep_wide` makes these."""

from typing import Any

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Spec, require_float
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.linear import matmul
from mlkit.primitives.shape import sum_
from mlkit.primitives.window import conv_kernel


def _wide(op: Op) -> Op:
    """The op with results in float32 or wider, as a variant of it."""

    def wide(x: Spec | Tensor) -> str:
        return dtypes.result_type(x.dtype, "float32")

    def spec(*args: Any, **params: Any) -> Spec:
        for a in args:
            require_float(f"{op.name}_wide", "an operand", a)
        if len({a.dtype for a in args}) > 1:
            raise TypeError(f"{op.name}_wide: operands have dtypes {' and '.join(a.dtype for a in args)}.")
        return op.spec(*(Spec(a.shape, wide(a)) for a in args), **params)

    def fallback(*args: Any, **params: Any) -> Tensor:
        return op(*(el.cast(a, dtype=wide(a)) for a in args), **params)

    return op.variant("wide", spec, fallback=fallback, traits=Traits(images=op.traits.images))


matmul_wide, conv_kernel_wide, sum_wide = map(_wide, (matmul, conv_kernel, sum_))
