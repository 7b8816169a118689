"""How images lie in memory: every function works on (batch, height, width, channels)."""

from collections.abc import Callable, Collection
from typing import Any

from mlkit.core.settings import image_data_format
from mlkit.core.spec import show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.primitives.convert import as_tensor
from mlkit.primitives.shape import reshape, transpose


def channels_last(name: str, data_format: str | None) -> bool:
    """Whether channels come last; None means the global setting."""
    data_format = image_data_format() if data_format is None else str(data_format).lower()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f'{name}: `data_format` must be "channels_last" or "channels_first", but got {data_format!r}.')
    return data_format == "channels_last"


def as_batch(name: str, images: TensorLike, data_format: str | None) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """(batch with channels last, function that gives a result of that form the form of the input)."""
    x = as_tensor(images)
    last = channels_last(name, data_format)
    single = x.ndim == 3
    if x.ndim not in (3, 4):
        raise ValueError(f"{name}: expected an image of 3 dimensions or a batch of 4, but got shape {show(x.shape)}.")
    if single:
        x = reshape(x, shape=(1, *x.shape))
    if not last:
        x = transpose(x, perm=(0, 2, 3, 1))

    def restore(y: Tensor) -> Tensor:
        y = y if last else transpose(y, perm=(0, 3, 1, 2))
        return reshape(y, shape=y.shape[1:]) if single else y

    return x, restore


def check_choice(name: str, argument: str, value: object, choices: Collection[Any]) -> None:
    """Raise unless `value` is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name}: `{argument}` must be one of {', '.join(map(repr, choices))}, but got {value!r}.")
