"""Half floats computed in float32."""

from mlkit.core import dtypes


def in_single(row):
    """A row for half floats too: it gets them as float32, and its float32 results are rounded. LAPACK has none of them, and sums of
    many would stand still at 256."""

    def run(*args, **params):
        half = next((a.dtype for a in args if dtypes.name_of(getattr(a, "dtype", "bool")) in dtypes.HALF), None)
        if half is None:
            return row(*args, **params)
        out = row(*(a.astype("float32") if getattr(a, "dtype", None) == half else a for a in args), **params)
        rounded = tuple(o.astype(half) if o.dtype == "float32" else o for o in (out if type(out) is tuple else (out,)))
        return rounded if type(out) is tuple else rounded[0]

    return run
