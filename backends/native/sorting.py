"""Sorting over `xp`. Half floats are compared in float32: NumPy does not know where a NaN of bfloat16 belongs."""

from mlkit.backends.native.elementwise import single


def make(xp):
    """Op name -> kernel."""
    return dict(
        sort=lambda x, axis: xp.sort(single(x), axis=axis, kind="stable").astype(x.dtype, copy=False),
        argsort=lambda x, axis: xp.argsort(single(x), axis=axis, kind="stable").astype("int32"),
        searchsorted=lambda line, values, side: xp.searchsorted(single(line), single(values), side).astype("int32"),
    )
