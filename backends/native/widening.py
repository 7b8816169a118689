"""Products and sums of half floats with float32 results, over `xp`: computed in float32."""

from mlkit.backends.native import matmul, reduction, window
from mlkit.backends.native.fused import in_single
from mlkit.backends.native.table import Rows


def make(xp):
    """Op name -> kernel."""
    table = dict(
        matmul=Rows(*matmul.make(xp)["matmul"]),
        conv_kernel=Rows(*window.make(xp)["conv_kernel"]),
        sum=reduction.make(xp)["sum"],
    )
    return {f"{name}_wide": in_single(xp, kernel, rounded=0) for name, kernel in table.items()}
