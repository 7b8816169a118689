"""Decompositions and solvers over `xp`."""

import math

from mlkit.backends.native.device import device_of


def make(xp):
    """Op name -> kernel."""
    la, device = xp.linalg, device_of(xp)

    def symmetric(x):
        """The Hermitian part, which alone counts."""
        return (x + x.conj().swapaxes(-1, -2)) / 2

    def solve(a, b):
        b = b.reshape((1,) * (a.ndim - b.ndim) + b.shape)  # NumPy below 2 takes one axis less for vectors
        return _named(device, "solve", la.solve, "matrix a is singular; ops.pinv and ops.lstsq know an answer")(a, b)

    def eig(x):
        w, v = la.eig(x)
        dtype = xp.result_type(x.dtype, "complex64")
        return w.astype(dtype, copy=False), v.astype(dtype, copy=False)

    def pinv(x, rcond):
        u, s, vh = la.svd(x, full_matrices=False)
        kept = s > rcond * s[..., :1]  # the first is the largest
        inverse = xp.where(kept, 1 / xp.where(kept, s, 1), 0)
        return xp.matmul(vh.conj().swapaxes(-1, -2) * inverse[..., None, :], u.conj().swapaxes(-1, -2))

    cholesky = _named(
        device, "cholesky", la.cholesky, "a matrix is not positive definite; a small multiple of the identity may help"
    )
    table = dict(
        solve=solve,
        # LU of a triangle is the triangle itself, so the general solver does no harm
        triangular_solve=lambda a, b, lower: solve(xp.tril(a) if lower else xp.triu(a), b),
        det=la.det,
        slogdet=lambda x: tuple(la.slogdet(x)),
        cholesky=lambda x: cholesky(symmetric(x)),
        lu=_lu(xp),
        qr=lambda x, mode: tuple(la.qr(x, mode)),
        eigh=lambda x: tuple(la.eigh(symmetric(x))),
        svd=lambda x, full_matrices: tuple(la.svd(x, full_matrices)),
        singular_values=lambda x: la.svd(x, compute_uv=False),
        pinv=pinv,
    )
    return {**{name: _widened(kernel) for name, kernel in table.items()}, "eig": _widened(eig, back=False)}


def _named(device, name, function, text):
    """LAPACK's complaint in the user's words."""

    def run(*args):
        try:
            with device.strict():
                return function(*args)
        except ValueError as error:  # LinAlgError is one
            raise ValueError(f"{name}: {text}. ({error})") from error

    return run


def _widened(kernel, back=True):
    """LAPACK knows no half floats: they are computed in float32."""

    def run(*arrays, **params):
        dtype = arrays[0].dtype
        if dtype.itemsize > 2:
            return kernel(*arrays, **params)
        out = kernel(*(a.astype("float32") for a in arrays), **params)
        several = out if type(out) is tuple else (out,)
        several = tuple(o.astype(dtype) if back and o.dtype.kind == "f" else o for o in several)
        return several if type(out) is tuple else several[0]

    return run


def _lu(xp):
    """Gaussian elimination with partial pivoting, column by column, all matrices of the batch together."""

    def lu(x):
        m, n = x.shape[-2:]
        a = xp.array(x).reshape(math.prod(x.shape[:-2]), m, n)
        every = xp.arange(len(a))
        pivots = xp.zeros((len(a), min(m, n)), "int32")
        permutation = xp.tile(xp.arange(m, dtype="int32"), (len(a), 1))
        for k in range(min(m, n)):
            pivot = k + xp.argmax(xp.abs(a[:, k:, k]), axis=1)
            pivots[:, k] = pivot
            for rows in (a, permutation):
                first = rows[:, k].copy()
                rows[:, k] = rows[every, pivot]
                rows[every, pivot] = first
            head = a[:, k, k]
            a[:, k + 1 :, k] /= xp.where(head == 0, 1, head)[:, None]  # a column of zeros stays one
            a[:, k + 1 :, k + 1 :] -= a[:, k + 1 :, k, None] * a[:, k, None, k + 1 :]
        batch = x.shape[:-2]
        return a.reshape(x.shape), pivots.reshape(*batch, min(m, n)), permutation.reshape(*batch, m)

    return lu
