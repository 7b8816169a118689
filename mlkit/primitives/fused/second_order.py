"""What gradients of fused ops share."""

from typing import Any

from mlkit.core import autograd
from mlkit.core.op import Op
from mlkit.core.tensor import Tensor


def through_fallback(op: Op, g: Any, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Tensor | None, ...]:
    """Gradients of an op by differentiating its fallback: for the case that some flow into the outputs that exist for the
    gradient's sake, as they do in second derivatives."""
    return autograd.vjp_of(lambda *xs: op.fallback(*xs, **params), args, g)
