"""Masking, as dropout does."""

from mlkit.core.op import Op
from mlkit.core.spec import ShapesDiffer, Spec, broadcasts_to, require_float, show
from mlkit.core.traits import Traits
from mlkit.primitives import elementwise as el


def _masked_scale_spec(x: Spec, keep: Spec, scale: float) -> Spec:
    require_float("masked_scale", "x", x)
    if keep.dtype != "bool":
        raise TypeError(f"masked_scale: the mask must be bool, but is {keep.dtype}.")
    if not broadcasts_to(keep.shape, x.shape):
        raise ShapesDiffer(
            f"masked_scale: a mask of shape {show(keep.shape)} does not broadcast to x of shape {show(x.shape)}."
        )
    return x


# x * scale where `keep`, else 0; keep broadcasts to x
masked_scale = Op(
    "masked_scale",
    _masked_scale_spec,
    vjp=lambda g, y, x, keep, scale: (masked_scale(g, keep, scale=scale), None),
    keep="1",
    fallback=lambda x, keep, scale: el.where(keep, x * scale, 0.0),
    traits=Traits(elementwise=True),
)
