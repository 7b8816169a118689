"""Where tensors lie."""

from mlkit.core.mesh import DeviceMesh, TensorLayout
from mlkit.primitives.placement import relayout
from tests.ops.sample import Bad, P, f

_MESH = DeviceMesh((1, 1), ["batch", "model"], ["cpu:0"])

SAMPLES = [
    P(relayout.name, f(2, 3), layout=TensorLayout((None, "model"), _MESH)),
    P(relayout.name, f(2, 3), layout=TensorLayout((), _MESH)),
]

BAD = [Bad(relayout.name, f(2), layout=TensorLayout((None, "model"), _MESH), op=True, match=r"1 axes, but its layout")]
