"""The public ways to ask for gradients, and for compiled functions: what is made of functions of tensors."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from mlkit.core import tree
from mlkit.core.autograd import CustomVjp, Tape, alias, backward
from mlkit.core.function import function
from mlkit.core.interpreter import untaped
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axes, Structure, TensorLike
from mlkit.core.variable import value_of
from mlkit.primitives.convert import as_tensor
from mlkit.primitives.movement import full

__all__ = ["GradientTape", "custom_gradient", "function", "grad", "value_and_grad"]


class GradientTape(Tape):
    """Notes what is computed inside its block, so that gradients can be asked for afterwards.

    Trainable variables are watched when they are read; other tensors with `watch`. Tapes nest: a gradient taken inside an outer
    tape's block is recorded there, which gives second derivatives.

    Args:
        persistent: allow more than one call of `gradient`; what was noted is kept as long as the tape is.
        watch_accessed_variables: watch trainable variables of their own accord.

    >>> import mlkit
    >>> x = mlkit.ops.convert_to_tensor(3.0)
    >>> with mlkit.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x * x
    >>> float(tape.gradient(y, x))
    6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        super().__init__(watch_accessed_variables)
        self.persistent = persistent

    def watch(self, tensor: Structure) -> None:
        """Follow a tensor, a Variable, or a nested structure of them."""
        self._check_unused("watch")
        for t in tree.flatten(tensor):
            t = value_of(t)
            if type(t) is not Tensor:
                raise TypeError(f"GradientTape.watch: expected tensors or variables, but got {type(t).__name__}.")
            self.follow(t)

    def _check_unused(self, what: str) -> None:
        if self.records is None:
            raise RuntimeError(
                f"GradientTape.{what}: this tape has given its gradient. Use GradientTape(persistent=True) for several."
            )

    def stop_recording(self) -> AbstractContextManager[None]:
        """A block inside the tape's block whose ops are not noted."""
        return untaped()

    def reset(self) -> None:
        """Forget what was noted."""
        self.records = {}

    def gradient(
        self, target: TensorLike, sources: Structure, output_gradients: Structure = None, unconnected_gradients: str = "none"
    ) -> Structure:
        """Gradient of the sum of `target` with respect to `sources`, in the structure of `sources`.

        Args:
            target: tensor or structure of tensors.
            output_gradients: weights of the targets, in their structure (default: ones).
            unconnected_gradients: "none" or "zero", what stands for a source the target does not depend on.
        """
        self._check_unused("gradient")
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(
                f'GradientTape: `unconnected_gradients` must be "none" or "zero", but got {unconnected_gradients!r}.'
            )
        targets = list(map(value_of, tree.flatten(target)))
        places = list(map(value_of, tree.flatten(sources)))
        if output_gradients is None:
            seeds = [full(shape=t.shape, value=1, dtype=t.dtype) for t in targets]
        else:
            seeds = [as_tensor(g) for g in tree.flatten(output_gradients)]
        records = self.records
        if not self.persistent:
            self.records = None
        gs = backward(records, targets, seeds, places, consume=not self.persistent)
        if unconnected_gradients == "zero":
            gs = [full(shape=p.shape, value=0, dtype=p.dtype) if g is None else g for g, p in zip(gs, places)]
        return tree.pack_sequence_as(sources, gs)


def value_and_grad(fn: Callable[..., Any], argnums: Axes = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns (fn(*args), gradient of fn with respect to the arguments `argnums`).

    `fn` returns a scalar tensor, with has_aux=True a pair (scalar, anything). Arguments may be nested structures.

    Args:
        fn: function that returns a scalar tensor, with has_aux=True (scalar, anything).
        argnums: position, or positions, of the arguments to differentiate by; of several the gradients are a tuple.
        has_aux: whether `fn` returns something besides.

    >>> import mlkit
    >>> value, slope = mlkit.value_and_grad(lambda x: x ** 3)(mlkit.ops.convert_to_tensor(2.0))
    >>> float(value), float(slope)
    (8.0, 12.0)
    """

    def run(*args: Any, **kwargs: Any) -> tuple[Structure, Structure]:
        wanted = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        given = list(args)
        for i in wanted:
            given[i] = tree.map_structure(lambda a: alias(as_tensor(a)), given[i])
        with GradientTape() as tape:
            tape.watch([given[i] for i in wanted])
            out = fn(*given, **kwargs)
        value = as_tensor(out[0] if has_aux else out)
        if value.ndim:
            raise ValueError(
                f"grad: the function must return a scalar, but returned shape {value.shape}. Reduce it with ops.sum."
            )
        gs = tape.gradient(value, [given[i] for i in wanted], unconnected_gradients="zero")
        return out, gs[0] if isinstance(argnums, int) else tuple(gs)

    return run


def grad(fn: Callable[..., Any], argnums: Axes = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of `fn`; see `value_and_grad`. With has_aux=True: (gradient, aux).

    Args:
        fn: function that returns a scalar tensor, with has_aux=True (scalar, anything).
        argnums: position, or positions, of the arguments to differentiate by.
        has_aux: whether `fn` returns something besides.

    >>> import mlkit
    >>> float(mlkit.grad(mlkit.grad(lambda x: x ** 3))(mlkit.ops.convert_to_tensor(2.0)))
    12.0
    """
    both = value_and_grad(fn, argnums, has_aux)

    def run(*args: Any, **kwargs: Any) -> Structure:
        out, gs = both(*args, **kwargs)
        return (gs, out[1]) if has_aux else gs

    return run


def custom_gradient(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function a gradient of your own.

    `fn(*args)` returns (outputs, grad_fn); `grad_fn(*output_gradients)` returns the gradient of each argument.

    Args:
        fn: function of tensors (or structures of them).

    >>> import mlkit
    >>> @mlkit.custom_gradient
    ... def clipped(x):
    ...     return x, lambda g: mlkit.ops.clip(g, -1.0, 1.0)
    >>> float(mlkit.grad(lambda x: clipped(x) * 5.0)(mlkit.ops.convert_to_tensor(1.0)))
    1.0
    """

    def run(*args: Any, **kwargs: Any) -> Structure:
        args = tuple(alias(as_tensor(a)) for a in args)  # `grad_fn` uses them too: tapes on which it runs know them
        with untaped():
            out, grad_fn = fn(*args, **kwargs)

        def vjp(g: Structure, y: Structure, *xs: Any) -> tuple[Tensor | None, ...]:
            gs = g if type(g) is tuple else (g,)
            found = grad_fn(*gs)
            return tuple(found) if isinstance(found, (tuple, list)) else (found,)

        flat = tree.flatten(out)
        fresh = tuple(Tensor(t.data) if type(t) is Tensor else t for t in flat)
        if fresh:
            state.top.note(CustomVjp(vjp), args, fresh if len(fresh) > 1 else fresh[0])
        return tree.pack_sequence_as(out, list(fresh))

    return run
