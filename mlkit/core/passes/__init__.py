"""Graph passes: functions Graph -> Graph, applied in a fixed order before a plan is made."""

from mlkit.core.passes.lower import lower
from mlkit.core.passes.prune import prune


def optimize(graph, backend):
    """The graph made ready for a backend."""
    return prune(lower(prune(graph), backend.kernels))
