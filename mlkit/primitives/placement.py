"""The primitive that says where a tensor lies; its elements stay what they are."""

from typing import Any

from mlkit.core.mesh import TensorLayout
from mlkit.core.op import Op
from mlkit.core.spec import Spec
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives.counts import free


def _spec(x: Spec, layout: Any) -> Spec:
    if isinstance(layout, TensorLayout):  # else it is one of the backend's own, which checks it
        layout.check(x.shape, "distribute_tensor: the tensor")
    return x


def _vjp(g: Tensor, y: Tensor, x: Tensor, layout: Any) -> tuple[Tensor]:
    return (relayout(g, layout=layout),)


def _batch(op: Op, args: tuple[Any, ...], has: Any, size: Any, params: dict[str, Any]) -> Tensor:
    """The further leading axis is whole."""
    layout = params["layout"]
    if not isinstance(layout, TensorLayout):
        raise NotImplementedError("vmap: distribute_tensor takes a TensorLayout there, and none of the backend's own layouts.")
    return op(*args, layout=TensorLayout((None, *layout.axes), layout.device_mesh))


# x on the devices of a mesh, as a TensorLayout says
relayout = Op(
    "relayout",
    _spec,
    _vjp,
    keep="",
    traits=Traits(view=lambda x, offset, strides, layout: (offset, strides), flops=free, batch=_batch),
)
