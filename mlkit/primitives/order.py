"""Primitives that put elements in order along one axis. Both are stable, ascending, and place NaN last."""

from mlkit.core.op import Op
from mlkit.core.spec import Spec, normalize_axis
from mlkit.primitives.movement import take_along_axis


def _order_spec(name, dtype=None):
    def spec(x, axis):
        normalize_axis(name, axis, len(x.shape))
        return Spec(x.shape, dtype or x.dtype)

    return spec


def _sort_vjp(g, y, x, axis):
    """Element i went to the place that the inverse of the ordering permutation names."""
    rank = argsort(argsort(x, axis=axis), axis=axis)
    return (take_along_axis(g, rank, axis=axis),)


# axis: 0 <= axis < rank
sort = Op("sort", _order_spec("sort"), _sort_vjp, keep="x")
argsort = Op("argsort", _order_spec("argsort", "int32"), keep="")


def _searchsorted_spec(line, values, side):
    return Spec(values.shape, "int32")


# line: ascending vector; where each value belongs in it, before ("left") or after ("right") equal elements
searchsorted = Op("searchsorted", _searchsorted_spec, keep="")
