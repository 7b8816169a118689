"""vmap: a function of single elements as a function of all of them."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core import tree
from mlkit.core.spec import Size, Spec, normalize_axis, same_size, show
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure, TensorLike
from mlkit.primitives.convert import as_tensor
from mlkit.primitives.mapping import Mapping

__all__ = ["vmap"]


def vmap(fn: Callable[..., Any], in_axes: Structure = 0, out_axes: Structure = 0) -> Callable[..., Any]:
    """A function that calls `fn` for the elements of its arguments along an axis, all at once.

    The calls are one: each op in `fn` runs once for all elements. So randomness that does not depend on an element is the same for all,
    and Python code may not branch on values that differ between them; `ops.cond`, `ops.while_loop` and `ops.scan` may.

    Args:
        fn: A function of tensors, and of structures of tensors.
        in_axes: The axis along which the elements of each argument lie: an integer for all, or a tuple or list with an entry for each
            positional argument, which may be a structure itself, of axes for the parts of a dict, list or tuple. None: the argument, or
            part, is the same for all elements. Keyword arguments are mapped along axis 0.
        out_axes: The axis along which the elements of results shall lie: an integer for all, or a structure of them for the parts of what
            `fn` returns. None: the result is the same for all elements, and is returned once.

    Returns:
        A function of the arguments of `fn`.

    Raises:
        TypeError: If `in_axes` is a structure, but no tuple or list.
        ValueError: If the axes of the arguments have different sizes, nothing is mapped, a structure of axes does not fit what it is for,
            or a result that differs between the elements has the axis None.

    >>> import mlkit
    >>> from mlkit import ops
    >>> x, y = ops.ones((5, 3)), ops.ones((5, 3))
    >>> mlkit.vmap(lambda a, b: ops.sum(a * b))(x, y).shape
    (5,)
    >>> each = mlkit.vmap(mlkit.grad(lambda w, a: ops.sum(w * a) ** 2), in_axes=(None, 0))  # a gradient for each sample
    >>> each(ops.ones(3), x).shape
    (5, 3)
    >>> layer = {"w": ops.ones((3, 2)), "b": ops.ones((5, 2))}  # a bias for each sample
    >>> mlkit.vmap(lambda p, a: ops.matmul(a, p["w"]) + p["b"], in_axes=({"w": None, "b": 0}, 0), out_axes=1)(layer, x).shape
    (2, 5)
    """

    def run(*args: Any, **kwargs: Any) -> Structure:
        axes = _axes_of_arguments(in_axes, args) + [0] * len(tree.flatten(kwargs))
        leaves = [x if axis is None else _mapped(x) for x, axis in zip(tree.flatten((args, kwargs)), axes)]
        size, symbolic = _size([(x, axis) for x, axis in zip(leaves, axes) if axis is not None])
        mapping = Mapping(size, state.top)
        enter, leave = (_without, functools.partial(_along, size)) if symbolic else (mapping.enter, mapping.leave)

        def left(t: Tensor | None, axis: int | None) -> Tensor | None:
            return None if t is None else leave(t, axis if axis is None else normalize_axis("vmap", axis, t.ndim + 1))

        pairs = zip(leaves, axes)
        entered = iter([x if axis is None else enter(x, normalize_axis("vmap", axis, x.ndim)) for x, axis in pairs])
        args, kwargs = tree.map_structure(lambda _: next(entered), (args, kwargs))
        with contextlib.nullcontext() if symbolic else swapped(top=mapping):
            out = tree.map_structure(lambda x: None if x is None else as_tensor(x), fn(*args, **kwargs))
        places = iter(_one_for_each("out_axes", out_axes, out))
        return tree.map_structure(lambda t: left(t, next(places)), out)

    return run


def _axes_of_arguments(in_axes: Structure, args: tuple[Any, ...]) -> list[int | None]:
    """The axis, or None, of each leaf of the positional arguments."""
    if not tree.is_nested(in_axes):
        in_axes = (in_axes,) * len(args)
    if not isinstance(in_axes, (tuple, list)):
        raise TypeError(
            f"vmap: `in_axes` must be an axis, None, or a tuple with an entry for each argument, but got {in_axes!r}."
        )
    if len(in_axes) != len(args):
        raise ValueError(f"vmap: `in_axes` has {len(in_axes)} entries, but the function is called with {len(args)} arguments.")
    return [axis for axes, argument in zip(in_axes, args) for axis in _one_for_each("in_axes", axes, argument)]


def _one_for_each(name: str, axes: Structure, structure: Structure) -> list[int | None]:
    """An axis for each leaf of a structure. One that `axes` has in the place of a part is that of all leaves of the part."""
    if not tree.is_nested(axes):
        return [axes] * len(tree.flatten(structure))

    def of_part(axis: int | None, part: Structure) -> Structure:
        return tree.map_structure(lambda _: axis, part)

    try:
        each = tree.map_structure_up_to(axes, of_part, axes, structure)
    except ValueError as error:
        raise ValueError(f"vmap: `{name}` does not fit what it is for. {error}") from None
    return tree.flatten(tree.map_structure(lambda _, axis: axis, structure, each))  # in the order of the structure's leaves


def _mapped(x: TensorLike | None) -> Tensor:
    """What is to be mapped, as a tensor."""
    if x is None:
        raise ValueError("vmap: a mapped argument is None. Give it the axis None in `in_axes`.")
    t = as_tensor(x)
    if not t.ndim:
        raise ValueError(
            "vmap: a mapped argument must have an axis, but one is a scalar. Give it the axis None in `in_axes`, "
            "or, if it is a keyword argument, bind it outside: vmap(lambda x: f(x, name=value))."
        )
    return t


def _size(mapped: Sequence[tuple[Tensor, int]]) -> tuple[Size, bool]:
    """How many elements there are, and whether they are known by their specs only."""
    if not mapped:
        raise ValueError("vmap: there is nothing to map over: at least one argument must have an axis in `in_axes`.")
    sizes = [x.shape[normalize_axis("vmap", axis, x.ndim)] for x, axis in mapped]
    if any(not same_size(s, sizes[0]) for s in sizes):
        raise ValueError(f"vmap: mapped axes must have one size, but have {show(sizes)}.")
    return sizes[0], any(type(x.data) is Spec for x, _ in mapped)


def _without(x: Tensor, axis: int) -> Tensor:
    """The spec of one part along an axis."""
    return Tensor(Spec((*x.shape[:axis], *x.shape[axis + 1 :]), x.dtype))


def _along(size: Size, t: Tensor, axis: int | None) -> Tensor:
    """The spec of all parts, of which there are so many; of any of them where there is no axis."""
    return t if axis is None else Tensor(Spec((*t.shape[:axis], size, *t.shape[axis:]), t.dtype))
