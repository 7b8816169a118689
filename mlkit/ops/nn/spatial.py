"""What convolution and pooling functions share: one int per spatial axis, and data formats.

The primitives know channels_last only; channels_first is a transpose around them, and neighbouring transposes cancel in a
graph.
"""

import operator

from mlkit.core.settings import image_data_format
from mlkit.core.spec import show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import IntOrSequence
from mlkit.primitives.shape import transpose

LARGEST = 2**48  # no memory has more addresses


def per_axis(function: str, name: str, value: IntOrSequence, rank: int) -> tuple[int, ...]:
    """An int, or a sequence of `rank` ints, as a tuple of positive ints."""
    values = tuple(value) if hasattr(value, "__iter__") else (value,) * rank
    if len(values) != rank or not all(hasattr(v, "__index__") and v >= 1 for v in values):
        raise ValueError(
            f"{function}: `{name}` must be a positive int or {rank} of them, one per spatial axis, but is {value!r}."
        )
    if max(values) > LARGEST:
        raise ValueError(f"{function}: `{name}` is {value!r}, but no axis has more than {LARGEST} places.")
    return tuple(map(operator.index, values))


def spatial_rank(function: str, x: Tensor, most: int = 3) -> int:
    """Number of spatial axes of a batch of images, after a check."""
    rank = len(x.shape) - 2
    if not 1 <= rank <= most:
        raise ValueError(
            f"{function}: expected an input of 3 to {most + 2} axes (batch, 1 to {most} spatial axes, channels), "
            f"but its shape is {show(x.shape)}."
        )
    return rank


def check_padding(function: str, padding: str) -> str:
    """The padding in lower case."""
    lower = padding.lower() if isinstance(padding, str) else padding
    if lower not in ("valid", "same"):
        raise ValueError(f'{function}: `padding` must be "valid" or "same", but is {padding!r}.')
    return lower


def is_channels_last(function: str, data_format: str | None) -> bool:
    """Whether the data format (None: the configured one) puts channels last."""
    data_format = data_format or image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f'{function}: `data_format` must be "channels_last" or "channels_first", but is {data_format!r}.')
    return data_format == "channels_last"


def to_last(x: Tensor, last: bool) -> Tensor:
    """Channels moved to the end, if they are not there."""
    return x if last else transpose(x, perm=(0, *range(2, x.ndim), 1))


def from_last(x: Tensor, last: bool) -> Tensor:
    """Channels moved back behind the batch axis, if that is where they were."""
    return x if last else transpose(x, perm=(0, x.ndim - 1, *range(1, x.ndim - 1)))
