"""Graph passes: functions Graph -> Graph, applied in a fixed order before a plan is made.

There are two lists. *Exact* passes keep every bit of every result. *Rounding* passes compute the same formulas in another way, which may
round otherwise; docs/how_it_works.md names each with what it may change, and `mlkit.config.set_exact(True)` leaves them all out.

Each can be switched off, to find out which one is to blame: ``MLKIT_PASSES_OFF=cse,fuse_chains``, or `debug.PASSES_OFF`.
`inplace` and `hoist` are part of making the plan, exact, and can be switched off too; `lower` is needed and stays.
"""

import operator

from mlkit.compiler.passes import (
    block_channels,
    cse,
    fold,
    fold_pads,
    fold_scales,
    fuse_chains,
    fuse_norm_relu,
    fuse_products,
    keep_for_gradients,
    keep_wide,
    lower,
    prune,
    simplify,
    update_rows,
    zero_sums,
)
from mlkit.core import debug
from mlkit.primitives.fused.normalization import batch_norm, batch_norm_grad
from mlkit.primitives.fused.recurrent import gru_grad, lstm_grad, rnn_grad
from mlkit.primitives.movement import sum_rows
from mlkit.primitives.window import conv_input

_OP = operator.attrgetter("op")  # of a call


class Pass:
    """A step of the way from a traced graph to the one that is planned.

    name   as `MLKIT_PASSES_OFF` has it
    exact  whether it keeps every bit of every result
    run    (graph, backend) -> graph
    needs  ops without any of which a graph stays as it is; empty where that is not known
    """

    __slots__ = ("name", "needs", "exact", "run")

    def __init__(self, name, exact, run, needs=()):
        self.name, self.exact, self.run, self.needs = name, exact, run, frozenset(needs)

    def is_wanted(self, exact):
        """Whether it is to be applied. exact: whether every bit is to be kept."""
        return self.name == "lower" or not (debug.is_off(self.name) or exact and not self.exact)

    def has_work(self, graph):
        """Whether the graph has any of the ops it needs."""
        return not self.needs or not self.needs.isdisjoint(map(_OP, graph.calls))


def _exact(name, run, needs=()):
    return Pass(name, True, run, needs)


def _rounding(name, run, needs=()):
    return Pass(name, False, run, needs)


_ORDER = (
    _exact("prune", lambda graph, backend: prune.prune(graph)),
    _exact("lower", lambda graph, backend: lower.lower(graph, backend.kernels)),
    _rounding("simplify", lambda graph, backend: simplify.simplify(graph)),
    _exact("cse", lambda graph, backend: cse.cse(graph)),
    _exact("fold", lambda graph, backend: fold.fold(graph, backend.kernels)),
    _rounding("fold_pads", lambda graph, backend: fold_pads.fold_pads(graph), fold_pads.CONVOLUTIONS | {conv_input}),
    _rounding("fold_scales", lambda graph, backend: fold_scales.fold_scales(prune.prune(graph))),
    _rounding("zero_sums", lambda graph, backend: zero_sums.zero_sums(graph), {batch_norm_grad}),
    _rounding("update_rows", lambda graph, backend: update_rows.update_rows(graph), {sum_rows}),
    _rounding(
        "fuse_norm_relu",
        lambda graph, backend: fuse_norm_relu.fuse_norm_relu(prune.prune(graph), backend.kernels),
        {batch_norm},
    ),
    _rounding("fuse_products", lambda graph, backend: fuse_products.fuse_products(prune.prune(graph), backend.kernels)),
    _rounding("keep_wide", lambda graph, backend: keep_wide.keep_wide(prune.prune(graph), backend.kernels)),
    _rounding(
        "block_channels",
        lambda graph, backend: block_channels.block_channels(prune.prune(graph), backend.channel_block()),
        block_channels.OF_IMAGES,
    ),
    _rounding(
        "fuse_chains",
        lambda graph, backend: fuse_chains.fuse_chains(prune.prune(graph), backend.can_chain, backend.gains_alone),
    ),
    _rounding(
        "keep_for_gradients",
        lambda graph, backend: keep_for_gradients.keep_for_gradients(graph, backend.keeps),
        {lstm_grad, gru_grad, rnn_grad},
    ),
)
PASSES = {p.name: p for p in _ORDER}  # in the order in which they are applied


def optimize(graph, backend, exact=False):
    """The graph made ready for a backend by all passes. exact: only by those that keep every bit."""
    for p in PASSES.values():
        if not p.is_wanted(exact) or not p.has_work(graph):
            continue
        before, graph = graph, p.run(graph, backend)
        if debug.LEVEL >= 3 and graph is not before:
            debug.say(f"after {p.name}: {graph}")
        if debug.LEVEL >= 3 or debug.CHECK_GRAPHS:
            graph.check()
    return graph
