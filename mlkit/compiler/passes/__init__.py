"""Graph passes, each in a file of its own, applied in a fixed order before a plan is made.

There are two lists. *Exact* passes keep every bit of every result. *Rounding* passes compute the same formulas in another way, which may
round otherwise; docs/how_it_works.md names each with what it may change, and `mlkit.config.set_exact(True)` leaves them all out.

Each can be switched off, to find out which one is to blame: ``MLKIT_PASSES_OFF=cse,fuse_chains``, or `debug.PASSES_OFF`.
`inplace`, `hoist` and `carry` are part of making the plan, exact, and can be switched off too; `lower` is needed and stays.
"""

from mlkit.compiler.contract import Target
from mlkit.compiler.passes import (
    block_channels,
    cse,
    fold,
    fold_pads,
    fold_scales,
    fuse_chains,
    fuse_gradients,
    fuse_horizontally,
    fuse_norm_relu,
    fuse_products,
    group_updates,
    keep_for_gradients,
    keep_wide,
    lower,
    overlap,
    prune,
    simplify,
    split_scans,
    update_rows,
    zero_sums,
)
from mlkit.core import debug
from mlkit.core.graph import Graph

_ORDER = (
    prune, split_scans, lower, simplify, cse, fold, fold_pads, fold_scales, zero_sums, update_rows, fuse_norm_relu, fuse_products,
    fuse_gradients, keep_wide, block_channels, fuse_chains, fuse_horizontally, group_updates, keep_for_gradients,
    overlap,
)  # fmt: skip
PASSES = {module.PASS.name: module.PASS for module in _ORDER}  # in the order in which they are applied


def optimize(graph: Graph, target: Target, exact: bool = False) -> Graph:
    """The graph made ready for a target by all passes. exact: only by those that keep every bit."""
    for p in PASSES.values():
        if not p.is_wanted(exact) or not p.has_work(graph):
            continue
        before, graph = graph, p.run(graph, target)
        if debug.LEVEL >= 3 and graph is not before:
            debug.say(f"after {p.name}: {graph}")
        if debug.LEVEL >= 3 or debug.CHECK_GRAPHS:
            graph.check()
    return graph
