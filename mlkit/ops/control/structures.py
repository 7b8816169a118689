"""What control flow does with structures of tensors: take apart, put together, compare."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from mlkit.core import tree
from mlkit.core.body_trace import Body
from mlkit.core.spec import Dim, Spec, is_known, same_size, show
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure, TensorLike
from mlkit.primitives.convert import as_tensor, cast
from mlkit.primitives.shape import reshape


def tensors_of(structure: Structure) -> list[Tensor]:
    """The leaves as Tensors; a leaf None is left out."""
    return [as_tensor(x) for x in tree.flatten(structure) if x is not None]


def restore(structure: Structure, tensors: Iterable[Tensor]) -> Structure:
    """Tensors in the form of a structure; None stays None."""
    tensors = iter(tensors)
    return tree.map_structure(lambda x: None if x is None else next(tensors), structure)


def as_tensors(structure: Structure) -> Structure:
    """The same structure with Tensors as leaves."""
    return tree.map_structure(lambda x: None if x is None else as_tensor(x), structure)


def is_symbolic(tensors: Iterable[Tensor]) -> bool:
    return any(type(t.data) is Spec for t in tensors)


def specs_of(tensors: Iterable[Tensor]) -> list[Spec]:
    return [t.spec for t in tensors]


def show_specs(structure: Structure) -> Structure:
    return tree.map_structure(lambda x: None if x is None else as_tensor(x).spec, structure)


def check_same(name: str, what: str, before: Structure, after: Structure) -> None:
    """Raise unless two structures have the same form and their tensors the same dtypes and shapes; the tensors' specs."""
    try:
        tree.assert_same_structure(before, after)
        old, new = tensors_of(before), tensors_of(after)
        fits = len(old) == len(new) and all(map(_same_spec, old, new))
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name}: {what} must agree in structure, shapes and dtypes, but are {show_specs(before)} and {show_specs(after)}."
        )


def _same_spec(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.ndim == b.ndim and all(map(same_size, a.shape, b.shape))


def merged(before: Structure, after: Structure) -> Structure:
    """Specs that stand for either of two structures of tensors."""

    def one(a: Tensor, b: Tensor) -> Tensor:
        return Tensor(Spec((m if m is n or m == n else Dim() for m, n in zip(a.shape, b.shape)), a.dtype))

    return restore(before, map(one, tensors_of(before), tensors_of(after)))


def check_callable(name: str, argument: str, value: object) -> None:
    if not callable(value):
        raise TypeError(f"{name}: `{argument}` should be a callable. Received: {argument}={value!r}")


def as_bool(name: str, x: TensorLike) -> Tensor:
    """A scalar tensor as a bool tensor of shape ()."""
    advice = "Reduce it with ops.all or ops.any, or choose element by element with ops.where."
    t = as_scalar(f"{name}: a condition", as_tensor(x), advice)
    return t if t.dtype == "bool" else cast(t, "bool")


def as_scalar(what: str, t: Tensor, advice: str) -> Tensor:
    """A tensor of one element as one of shape ()."""
    if is_known(*t.shape) and math.prod(t.shape) != 1:
        raise ValueError(f"{what} must be one number, but this has shape {show(t.shape)}. {advice}")
    return t if t.shape == () else reshape(t, shape=())


def body_tensors(body: Body) -> list[Tensor]:
    """What a body returned, as Tensors of its trace."""
    return [_staged_in(body, t) for t in tree.flatten(body.out) if t is not None]


def _staged_in(body: Body, x: Tensor) -> Structure:
    with swapped(top=body):
        return as_tensor(x)


def finish(structure: Structure, out: Sequence[Tensor], written: Sequence[Any]) -> Structure:
    """The op's outputs: first what the function returns, then the new values of the variables it assigned."""
    n = len(out) - len(written)
    for v, t in zip(written, out[n:]):
        state.top.write(v, t)
    return restore(structure, out[:n])
