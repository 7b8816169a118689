"""Directional derivatives."""

from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core import dtypes, tree
from mlkit.core.spec import Spec, compatible
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure
from mlkit.ops.gradients import GradientTape
from mlkit.primitives.convert import as_tensor
from mlkit.primitives.movement import full
from mlkit.primitives.shape import sum_

__all__ = ["jvp"]


def jvp(fun: Callable[..., Any], primals: Structure, tangents: Structure, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of a function and its derivative along a direction.

    Args:
        primals: the arguments of `fun`, a tuple or list of tensors or structures of them.
        tangents: the direction, structured and shaped alike.
        has_aux: `fun` returns (output, aux) and only the output is differentiated.
        fun: function of tensors, or structures of them.

    Returns (output, derivative of the output), with has_aux (output, derivative, aux).

    A gradient is linear in the output's cotangent u: u -> u J. Its own gradient along the direction is J times the direction,
    so two sweeps backwards make one forwards (Townsend, "A new trick for calculating Jacobian vector products", 2017).

    >>> y, dy = jvp(lambda x: x * x, (3.0,), (1.0,))
    >>> float(y), float(dy)
    (9.0, 6.0)
    """
    _check(primals, tangents)
    primals = tree.map_structure(_fresh, list(primals))
    directions = [as_tensor(t) for t in tree.flatten(list(tangents))]
    with GradientTape() as outer:
        with GradientTape() as inner:
            inner.watch(primals)
            out = fun(*primals)
            value, aux = out if has_aux else (out, None)
        outputs = tree.flatten(value)
        cotangents = [_zeros(y) for y in outputs]
        outer.watch(cotangents)
        gradients = inner.gradient(outputs, tree.flatten(primals), cotangents, unconnected_gradients="zero")
        slope = _inner_product(gradients, directions)
    slopes = outer.gradient(slope, cotangents, unconnected_gradients="zero")
    slopes = [Tensor(y.spec) if type(y.data) is Spec else s for s, y in zip(slopes, outputs)]
    tangent = tree.pack_sequence_as(value, slopes)
    return (value, tangent, aux) if has_aux else (value, tangent)


def _check(primals: Structure, tangents: Structure) -> None:
    for name, value in (("primals", primals), ("tangents", tangents)):
        if not isinstance(value, (list, tuple)):
            raise TypeError(
                f"jvp: `{name}` must be a tuple or list with one entry per argument of `fun`, but is {type(value).__name__}."
            )
    shapes = [[as_tensor(t).shape for t in tree.flatten(list(v))] for v in (primals, tangents)]
    if len(shapes[0]) != len(shapes[1]) or not all(map(compatible, *shapes)):
        raise ValueError(
            f"jvp: `tangents` must have the structure and shapes of `primals`, but have shapes {shapes[1]} and {shapes[0]}."
        )


def _fresh(x: Tensor) -> Tensor:
    """A tensor of its own for each argument, so that one given twice counts as two."""
    x = as_tensor(x)
    return Tensor(x.data, x.node, x.slot)


def _zeros(y: Tensor) -> Tensor:
    return full(shape=y.shape, value=0, dtype=y.dtype)


def _inner_product(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> Tensor:
    terms = [sum_(x * y, axes=tuple(range(x.ndim)), keepdims=False) for x, y in zip(xs, ys) if x.dtype in dtypes.FLOATS]
    if not terms:
        raise TypeError(f"jvp: none of the primals is a float; dtypes are {[x.dtype for x in xs]}. Cast one with ops.cast.")
    total = terms[0]
    for t in terms[1:]:
        total = total + t
    return total
