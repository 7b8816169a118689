"""Functions of other libraries: JAX's own are called as they are, all others on the host."""

import jax
import jax.numpy as jnp
import numpy as np

from mlkit.core import dtypes
from mlkit.core.spec import Spec


def _foreign_call(*arrays, function):
    if function.in_jax:
        return tuple(function.on_jax(*arrays))
    return _on_host(function, *arrays)


def _on_host(function, *arrays):
    """Called back from JAX's program. The gradient is the function's own too: JAX cannot see into it."""

    @jax.custom_vjp
    def call(*arrays):
        kinds = [jax.ShapeDtypeStruct(s.shape, dtypes.as_numpy(s.dtype)) for s in function.infer(*map(_spec_of, arrays))]
        return tuple(jax.pure_callback(lambda *a: _called(function, a), tuple(kinds), *arrays))

    def backward(arrays, gradients):
        wanted = tuple(jnp.issubdtype(a.dtype, jnp.inexact) for a in arrays)
        given = tuple(g.dtype != jax.dtypes.float0 for g in gradients)
        seeds = [g for g, is_given in zip(gradients, given) if is_given]
        found = iter(_on_host(function.pullback(wanted, given), *arrays, *seeds))
        return tuple(next(found) if w else np.zeros(a.shape, jax.dtypes.float0) for w, a in zip(wanted, arrays))

    call.defvjp(lambda *arrays: (call(*arrays), arrays), backward)
    return call(*map(jnp.asarray, arrays))


def _called(function, arrays):
    return tuple(np.array(result) for result in function.run(*map(np.asarray, arrays)))


def _spec_of(array):
    return Spec(array.shape, dtypes.name_of(array.dtype))


ROWS = dict(foreign_call=_foreign_call)
