"""Which distribution is in force, and tensors laid out by hand."""

from typing import TYPE_CHECKING, Any

from mlkit.core.mesh import TensorLayout
from mlkit.core.state import State, state
from mlkit.core.typing import TensorLike
from mlkit.objects import seed_generator
from mlkit.objects.keras_tensor import KerasTensor
from mlkit.primitives.convert import convert_to_tensor
from mlkit.primitives.placement import relayout

if TYPE_CHECKING:
    from mlkit.distribution.strategies import Distribution


def distribution() -> "Distribution | None":
    """The distribution in force, or None."""
    return state.distribution


def set_distribution(value: "Distribution | None") -> None:
    """Put a distribution in force, in all threads: variables made from now on, and batches of `fit`, `evaluate` and `predict`, lie as it
    says. A model is made after that.

    Args:
        value: A `DataParallel` or `ModelParallel`, or None for none.

    >>> import mlkit
    >>> mlkit.distribution.set_distribution(mlkit.distribution.DataParallel())
    >>> mlkit.distribution.distribution().num_model_replicas
    1
    >>> mlkit.distribution.set_distribution(None)
    """
    if value is not None and not hasattr(value, "get_variable_layout"):
        raise TypeError(f"set_distribution: expected a Distribution or None, but got {value!r}.")
    for holder in (State, state):  # what holds for all threads, and for this one, where a block may have set its own
        holder.distribution = value
    seed_generator.lay_out_again()


def distribute_tensor(tensor: TensorLike, layout: TensorLayout) -> Any:
    """The tensor, laid out so; in a compiled function too.

    Args:
        tensor: Any tensor. A KerasTensor comes back as it is: a model under construction lies nowhere.
        layout: A `TensorLayout`, or what the backend itself has for one (a `jax.sharding.Sharding`).

    Returns:
        A tensor of the same elements.

    Raises:
        ValueError: An axis cannot be cut into equal parts, or the layout has more axes than the tensor.
        NotImplementedError: The backend keeps each tensor on one device.
    """
    if isinstance(tensor, KerasTensor):
        return tensor
    t = convert_to_tensor(tensor)
    if isinstance(layout, TensorLayout):
        layout.check(t.shape, "distribute_tensor: the tensor")
        if layout.num_shards > 1:
            state.backend.sharding(layout)  # says so where the backend has none
    elif isinstance(layout, (tuple, list, str)) or layout is None:
        raise TypeError(f"distribute_tensor: `layout` must be a TensorLayout, but got {layout!r}.")
    return relayout(t, layout=layout)
