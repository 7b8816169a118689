"""Graph passes: functions Graph -> Graph, applied in a fixed order before a plan is made.

Each can be switched off, to find out which one is to blame: ``MLKIT_PASSES_OFF=cse,fuse_chains``, or `debug.PASSES_OFF`.
`inplace` and `hoist` are part of making the plan and can be switched off too; `lower` is needed and stays.
"""

from mlkit.core import debug
from mlkit.core.passes.block_channels import WINDOWS, block_channels
from mlkit.core.passes.cse import cse
from mlkit.core.passes.fold import fold
from mlkit.core.passes.fold_pads import CONVOLUTIONS, fold_pads
from mlkit.core.passes.fold_scales import fold_scales
from mlkit.core.passes.fuse_chains import fuse_chains
from mlkit.core.passes.fuse_norm_relu import fuse_norm_relu
from mlkit.core.passes.fuse_products import fuse_products
from mlkit.core.passes.keep_for_gradients import keep_for_gradients
from mlkit.core.passes.keep_wide import keep_wide
from mlkit.core.passes.lower import lower
from mlkit.core.passes.prune import prune
from mlkit.core.passes.simplify import simplify
from mlkit.core.passes.update_rows import update_rows
from mlkit.core.passes.zero_sums import zero_sums

PASSES = {
    "prune": lambda graph, backend: prune(graph),
    "lower": lambda graph, backend: lower(graph, backend.kernels),
    "simplify": lambda graph, backend: simplify(graph),
    "cse": lambda graph, backend: cse(graph),
    "fold": lambda graph, backend: fold(graph, backend.kernels),
    "fold_pads": lambda graph, backend: fold_pads(graph),
    "fold_scales": lambda graph, backend: fold_scales(prune(graph)),
    "zero_sums": lambda graph, backend: zero_sums(graph),
    "update_rows": lambda graph, backend: update_rows(graph),
    "fuse_norm_relu": lambda graph, backend: fuse_norm_relu(prune(graph), backend.kernels),
    "fuse_products": lambda graph, backend: fuse_products(prune(graph), backend.kernels),
    "keep_wide": lambda graph, backend: keep_wide(prune(graph), backend.kernels),
    "block_channels": lambda graph, backend: block_channels(prune(graph), backend.channel_block(), backend.can_chain),
    "fuse_chains": lambda graph, backend: fuse_chains(prune(graph), backend.can_chain, backend.gains_alone),
    "keep_for_gradients": lambda graph, backend: keep_for_gradients(graph, backend.keeps),
}


_NEEDED = {  # pass -> ops without any of which a graph stays as it is
    "fold_pads": {"conv_input", *CONVOLUTIONS},
    "zero_sums": {"batch_norm_grad"},
    "fuse_norm_relu": {"batch_norm"},
    "block_channels": WINDOWS,
}


def optimize(graph, backend):
    """The graph made ready for a backend by all passes."""
    for name, apply in PASSES.items():
        if debug.is_off(name) and name != "lower":
            continue
        if name in _NEEDED and not any(call.op.name in _NEEDED[name] for call in graph.calls):
            continue
        before, graph = graph, apply(graph, backend)
        if debug.LEVEL >= 3 and graph is not before:
            debug.say(f"after {name}: {graph}")
        if debug.LEVEL >= 3 or debug.CHECK_GRAPHS:
            graph.check()
    return graph
