"""Decompositions and solvers over `xp`."""


def make(xp):
    """Op name -> kernel."""
    table = dict(triangular_solve=_triangular_solve(xp), qr=lambda x, mode: tuple(xp.linalg.qr(x, mode)))
    return {name: _widened(kernel) for name, kernel in table.items()}


def _widened(kernel):
    """LAPACK knows no half floats: they are computed in float32."""

    def run(*arrays, **params):
        dtype = arrays[0].dtype
        if dtype.itemsize > 2:
            return kernel(*arrays, **params)
        out = kernel(*(a.astype("float32") for a in arrays), **params)
        return tuple(o.astype(dtype) for o in out) if type(out) is tuple else out.astype(dtype)

    return run


def _triangular_solve(xp):
    """LU of a triangle is the triangle itself, so the general solver does no harm."""

    def triangular_solve(a, b, lower):
        return xp.linalg.solve(xp.tril(a) if lower else xp.triu(a), b)

    return triangular_solve
