"""Kernels of reductions and cumulative sums and products, written once over an array module `xp`, numpy today."""

from mlkit.backends.native.elementwise import is_half, quietly, single


def make(xp):
    """Op name -> kernel."""

    # Sums and products stay in the input's dtype; half floats accumulate in float32.

    def total(function):
        def kernel(x, axes, keepdims):
            out = function(x, axis=axes, keepdims=keepdims, dtype=xp.float32 if is_half(x) else x.dtype)
            return out.astype(x.dtype, copy=False)

        return quietly(xp, kernel)

    def extreme(function):
        return lambda x, axes, keepdims: function(single(x), axis=axes, keepdims=keepdims).astype(x.dtype, copy=False)

    def scan(function):
        def kernel(x, axis):
            return function(x, axis=axis, dtype=xp.float32 if is_half(x) else x.dtype).astype(x.dtype, copy=False)

        return quietly(xp, kernel)

    return dict(
        sum=total(xp.sum),
        prod=total(xp.prod),
        max=extreme(xp.max),
        min=extreme(xp.min),
        argmax=lambda x, axis: xp.argmax(single(x), axis=axis).astype("int32"),
        argmin=lambda x, axis: xp.argmin(single(x), axis=axis).astype("int32"),
        cumsum=scan(xp.cumsum),
        cumprod=scan(xp.cumprod),
    )
