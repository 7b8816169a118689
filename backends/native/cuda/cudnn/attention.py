"""Attention and its gradient, of half floats: the matrix of all scores is never in memory.

A mask becomes a bias of float32, which is added to the scores. Our ops say that a row in which all pairs are masked weighs all of them
alike, and gives no gradient to its query and the keys; so such queries are taken as zeros.
"""

from typing import NamedTuple

from mlkit.backends.native.cuda.cudnn.draft import dense, reordered
from mlkit.backends.native.cuda.cudnn.plans import numerics
from mlkit.backends.native.cuda.cudnn.row import HALVES, CudnnRow, room_for
from mlkit.core import dtypes
from mlkit.core.spec import Spec

# What is added to the score of a masked pair: its weight is 0 beside any other, and the logarithm of a sum of such ones is still exact to
# a quarter of a percent, from which the gradient computes weights of rows in which all are masked.
_MASKED = -65536.0
_STEP = 8  # of sizes of heads that there are engines for


def rows(device):
    return [Attention(device), AttentionGradient(device)]


# ---- graphs ----------------------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """Layouts and parameters. bias: None without a mask; causal: of calls without one."""

    q: object
    k: object
    v: object
    bias: object
    y: object
    statistics: object
    scale: float
    causal: bool


def _operands(draft, call):
    given = {name: draft.argument(getattr(call, name)) for name in ("q", "k", "v")}
    if call.bias is not None:
        given["bias"] = draft.argument(call.bias)
    return dict(given, attn_scale=call.scale, use_causal_mask=call.causal)


def forward(draft, call, keeps):
    """keeps: whether the logarithms of the sums of weights are a result as well."""
    y, statistics = draft.graph.sdpa(**_operands(draft, call), generate_stats=keeps)
    draft.result(y, call.y)
    if keeps:
        draft.result(statistics, call.statistics)


def gradient(draft, call, deterministic):
    operands = _operands(draft, call)
    of_result = {name: draft.argument(layout) for name, layout in (("o", call.y), ("dO", call.y), ("stats", call.statistics))}
    found = draft.graph.sdpa_backward(**operands, **of_result, use_deterministic_algorithm=deterministic)
    for result, layout in zip(found, (call.q, call.k, call.v)):
        draft.result(result, layout)


# ---- layouts ---------------------------------------------------------------------------------------------------------


def _heads(shape, dtype):
    """(batch, length, heads, size) as cuDNN counts its axes."""
    return reordered(dense(shape, dtype), (0, 2, 1, 3))


def call_of(q, k, v, mask, scale, causal):
    """The `Call` of an op's arguments, arrays or specs."""
    dtype = dtypes.name_of(q.dtype)
    batch, targets, heads, _ = q.shape
    shape = _bias_shape(mask, targets, k.shape[1], causal)
    layouts = [_heads(x.shape, dtype) for x in (q, k, v)]
    bias = None if shape is None else dense(shape, "float32")
    y = _heads((batch, targets, heads, v.shape[3]), dtype)
    return Call(*layouts, bias, y, dense(_statistics_shape(q), "float32"), scale, causal and mask is None)


def _statistics_shape(q):
    batch, targets, heads, _ = q.shape
    return batch, heads, targets, 1


def _bias_shape(mask, targets, sources, causal):
    if mask is None:
        return None
    shape = (1,) * (4 - len(mask.shape)) + tuple(mask.shape)
    return *shape[:2], targets if causal else shape[2], sources


# ---- rows ------------------------------------------------------------------------------------------------------------


class _Forward(NamedTuple):
    call: Call
    keeps: bool

    def find(self, plans):
        return plans.find(forward, self.call, self.keeps)


class _Gradient(NamedTuple):
    """again: whether result and statistics are computed before, for nobody has kept them."""

    call: Call
    again: bool

    def find(self, plans):
        found = plans.find(gradient, self.call, numerics().deterministic)
        if found is None or not self.again:
            return found
        before = _Forward(self.call, True).find(plans)
        return None if before is None else _Both(before, found)


class _Both:
    """Two plans, one after the other."""

    def __init__(self, first, second):
        self.first, self.second = first, second
        self.nbytes = max(first.nbytes, second.nbytes)


class _OfHeads(CudnnRow):
    dtypes = HALVES

    def suits(self, q, k, v):
        return all(x.shape[3] % _STEP == 0 for x in (q, v)) and not any(0 in x.shape for x in (q, k, v))

    def masked(self, q, k, mask, causal):
        """(queries, bias as a list, which queries have any pair or None) as a plan takes them."""
        if mask is None:
            return q, [], None
        xp = self.device.xp
        allowed = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
        if causal:
            allowed = xp.logical_and(allowed, xp.tri(q.shape[1], k.shape[1], dtype=bool))
        shape = *allowed.shape[:3], k.shape[1]
        bias = xp.where(xp.broadcast_to(allowed, shape), xp.float32(0), xp.float32(_MASKED))
        some = xp.any(allowed, axis=3).transpose(0, 2, 1)[..., None]
        return xp.where(some, q, q.dtype.type(0)), [bias], some


class Attention(_OfHeads):
    name = "attention"

    def fits(self, q, k, v, mask, **params):
        return self.suits(q, k, v) and super().fits(q, k, v, mask, **params)

    def keeps(self, q, k, v, mask, *, scale, causal):
        """The statistics, where there is a plan for the gradient that takes them."""
        call = call_of(q, k, v, mask, scale, causal)
        return Spec(_statistics_shape(q), "float32") if _Gradient(call, True).find(self.device.cudnn) else None

    def ways(self, q, k, v, mask, *, scale, causal, keep=None):
        yield _Forward(call_of(q, k, v, mask, scale, causal), keep is not None)

    def _results(self, args, params):
        return 1 if params.get("keep") is None else 2

    def call(self, way, plan, args, outs, room, params):
        q, k, v, mask = args
        q, bias, _ = self.masked(q, k, mask, params["causal"])
        plan([q, k, v, *bias, *outs], room.workspace)


class AttentionGradient(_OfHeads):
    name = "attention_grad"

    def fits(self, g, q, k, v, mask, *kept, **params):
        return self.suits(q, k, v) and super().fits(g, q, k, v, mask, *kept, **params)

    def ways(self, g, q, k, v, mask, *kept, scale, causal):
        yield _Gradient(call_of(q, k, v, mask, scale, causal), not kept)

    def room(self, way, g, q, k, v, mask, *kept, **params):
        return room_for(g.shape, dtypes.name_of(g.dtype)) + room_for(_statistics_shape(q), "float32") if way.again else 0

    def _results(self, args, params):
        return 3

    def call(self, way, plan, args, outs, room, params):
        g, q, k, v, mask, *kept = args
        q, bias, some = self.masked(q, k, mask, params["causal"])
        if way.again:
            kept = [room.take(g.shape, dtypes.name_of(g.dtype)), room.take(_statistics_shape(q), "float32")]
            plan.first([q, k, v, *bias, *kept], room.workspace)
            plan = plan.second
        y, statistics = kept
        plan([q, k, v, *bias, y, g, statistics, *outs], room.workspace)
        if some is not None:
            outs[0][...] = self.device.xp.where(some, outs[0], outs[0].dtype.type(0))
