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
        in_axes: The axis along which the elements of each argument lie: an integer, or a tuple or list with an integer or None for each
            positional argument. None: the argument is the same for all elements. Keyword arguments are mapped along axis 0.
        out_axes: The axis along which the elements of results shall lie.

    Returns:
        A function of the arguments of `fn`.

    Raises:
        ValueError: If the axes of the arguments have different sizes, or nothing is mapped.

    >>> import mlkit
    >>> from mlkit import ops
    >>> x, y = ops.ones((5, 3)), ops.ones((5, 3))
    >>> mlkit.vmap(lambda a, b: ops.sum(a * b))(x, y).shape
    (5,)
    >>> each = mlkit.vmap(mlkit.grad(lambda w, a: ops.sum(w * a) ** 2), in_axes=(None, 0))  # a gradient for each sample
    >>> each(ops.ones(3), x).shape
    (5, 3)
    """

    def run(*args: Any, **kwargs: Any) -> Structure:
        axes = in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise ValueError(f"vmap: `in_axes` has {len(axes)} entries, but the function is called with {len(args)} arguments.")
        pairs = [(argument, axis) for argument, axis in zip(args, axes)] + [(value, 0) for value in kwargs.values()]
        size, symbolic = _size(pairs)
        mapping = Mapping(size, state.top)
        enter, leave = (_without, functools.partial(_along, size)) if symbolic else (mapping.enter, mapping.leave)

        def entered(argument: Structure, axis: Structure) -> Structure:
            def one(x: TensorLike) -> Tensor:
                x = as_tensor(x)
                return enter(x, normalize_axis("vmap", axis, x.ndim))

            return argument if axis is None else tree.map_structure(one, argument)

        def left(t: TensorLike | None) -> Tensor | None:
            return None if t is None else leave(t, normalize_axis("vmap", out_axes, t.ndim + 1))

        args = [entered(a, axis) for a, axis in zip(args, axes)]
        kwargs = {k: entered(v, 0) for k, v in kwargs.items()}
        with contextlib.nullcontext() if symbolic else swapped(top=mapping):
            out = tree.map_structure(lambda x: None if x is None else as_tensor(x), fn(*args, **kwargs))
        return tree.map_structure(left, out)

    return run


def _size(pairs: Sequence[tuple[Any, Any]]) -> tuple[Size, bool]:
    """How many elements there are, and whether they are known by their specs only."""
    found = []
    for argument, axis in pairs:
        for leaf in [] if axis is None else tree.flatten(argument):
            if leaf is None:
                raise ValueError("vmap: a mapped argument is None. Give it the axis None in `in_axes`.")
            x = as_tensor(leaf)
            if not x.ndim:
                raise ValueError(
                    "vmap: a mapped argument must have an axis, but one is a scalar. Give it the axis None in `in_axes`, "
                    "or, if it is a keyword argument, bind it outside: vmap(lambda x: f(x, name=value))."
                )
            found.append((x.shape[normalize_axis("vmap", axis, x.ndim)], type(x.data) is Spec))
    if not found:
        raise ValueError("vmap: there is nothing to map over: at least one argument must have an axis in `in_axes`.")
    size = found[0][0]
    if any(not same_size(s, size) for s, _ in found):
        raise ValueError(f"vmap: mapped axes must have one size, but have {show(s for s, _ in found)}.")
    return size, any(symbolic for _, symbolic in found)


def _without(x: Tensor, axis: int) -> Tensor:
    """The spec of one part along an axis."""
    return Tensor(Spec((*x.shape[:axis], *x.shape[axis + 1 :]), x.dtype))


def _along(size: Size, t: Tensor, axis: int) -> Tensor:
    """The spec of all parts, of which there are so many."""
    return Tensor(Spec((*t.shape[:axis], size, *t.shape[axis:]), t.dtype))
