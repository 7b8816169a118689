"""Images taken apart into blocks and put together again."""

from collections.abc import Iterator, Sequence
from typing import Any

from mlkit.core.settings import image_data_format
from mlkit.core.spec import Size, is_known, show, whole, wholes
from mlkit.core.tensor import Tensor
from mlkit.core.typing import IntOrSequence, TensorLike
from mlkit.primitives.convert import as_tensor
from mlkit.primitives.movement import concat, full, iota, pad, scatter_add, slice_
from mlkit.primitives.shape import reshape, transpose

__all__ = ["depth_to_space", "fold", "space_to_depth", "unfold"]


def _image_axes(name: str, x: Tensor, block_size: int, data_format: str | None) -> bool:
    """Whether channels come last, after checks."""
    data_format = data_format or image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f'{name}: `data_format` must be "channels_last" or "channels_first", but got {data_format!r}.')
    whole(name, "`block_size`", block_size, least=2)
    if x.ndim != 4:
        raise ValueError(f"{name}: expected a batch of images with 4 dimensions, but got shape {show(x.shape)}.")
    return data_format == "channels_last"


def _check_divisible(name: str, sizes: Sequence[Size], divisor: int, x: Tensor) -> None:
    if is_known(*sizes) and any(s % divisor for s in sizes):
        raise ValueError(f"{name}: {sizes} of shape {show(x.shape)} must be divisible by {divisor}.")


def depth_to_space(x: TensorLike, block_size: int, data_format: str | None = "channels_last") -> Tensor:
    """Channels laid out as blocks of pixels: (n, h, w, c) -> (n, h * b, w * b, c / b^2). Shi et al., CVPR 2016.

    Args:
        block_size: pixels along each side of a block.

    >>> depth_to_space([[[[1, 2, 3, 4]]]], 2).numpy()[0, :, :, 0]
    array([[1, 2],
           [3, 4]], dtype=int32)
    """
    x, b = as_tensor(x), block_size
    last = _image_axes("depth_to_space", x, b, data_format)
    n, h, w, c = x.shape if last else (x.shape[0], *x.shape[2:], x.shape[1])
    _check_divisible("depth_to_space", [c], b * b, x)
    c = c // (b * b)
    if last:
        x = transpose(reshape(x, shape=(n, h, w, b, b, c)), perm=(0, 1, 3, 2, 4, 5))
        return reshape(x, shape=(n, h * b, w * b, c))
    x = transpose(reshape(x, shape=(n, c, b, b, h, w)), perm=(0, 1, 4, 2, 5, 3))
    return reshape(x, shape=(n, c, h * b, w * b))


def space_to_depth(x: TensorLike, block_size: int, data_format: str | None = "channels_last") -> Tensor:
    """Blocks of pixels laid out as channels, the inverse of `depth_to_space`: (n, h, w, c) -> (n, h / b, w / b, c * b^2).

    Args:
        block_size: pixels along each side of a block.
    """
    x, b = as_tensor(x), block_size
    last = _image_axes("space_to_depth", x, b, data_format)
    n, h, w, c = x.shape if last else (x.shape[0], *x.shape[2:], x.shape[1])
    _check_divisible("space_to_depth", [h, w], b, x)
    h, w = h // b, w // b
    if last:
        x = transpose(reshape(x, shape=(n, h, b, w, b, c)), perm=(0, 1, 3, 2, 4, 5))
        return reshape(x, shape=(n, h, w, c * b * b))
    x = transpose(reshape(x, shape=(n, c, h, b, w, b)), perm=(0, 1, 3, 5, 2, 4))
    return reshape(x, shape=(n, c * b * b, h, w))


# ---- sliding blocks --------------------------------------------------------------------------------------------------


def _pairs(name: str, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Iterator[tuple[int, ...]]:
    """Each of these for height and width."""
    least = {"kernel_size": (kernel_size, 1), "dilation": (dilation, 1), "padding": (padding, 0), "stride": (stride, 1)}
    return (wholes(name, f"`{argument}`", value, 2, low) for argument, (value, low) in least.items())


def _windows(size: Size, kernel: int, dilation: int, padding: int, stride: int) -> Any:
    """Number of window positions along one axis."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def unfold(
    x: TensorLike,
    kernel_size: IntOrSequence,
    dilation: IntOrSequence = 1,
    padding: IntOrSequence = 0,
    stride: IntOrSequence = 1,
) -> Tensor:
    """All windows of images as columns: (n, c, h, w) -> (n, c * kh * kw, number of windows).

    Args:
        kernel_size, dilation, padding, stride: ints or pairs.
    """
    x = as_tensor(x)
    if x.ndim != 4:
        raise ValueError(f"unfold: expected images of shape (n, c, h, w), but got shape {show(x.shape)}.")
    kernel, dilation, padding, stride = _pairs("unfold", kernel_size, dilation, padding, stride)
    margins = (0, 0, *padding)
    if any(padding):
        x = pad(x, value=0, low=margins, high=margins, interior=(0,) * 4)
    n, c, h, w = x.shape
    positions = [_windows(s, k, d, 0, step) for s, k, d, step in zip((h, w), kernel, dilation, stride)]
    if any(is_known(m) and m < 1 for m in positions):
        raise ValueError(
            f"unfold: windows of size {kernel} (dilation {dilation}) do not fit into images of shape {show(x.shape)}."
        )
    parts = []
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            starts = (i * dilation[0], j * dilation[1])
            stops = tuple(a + (m - 1) * s + 1 for a, m, s in zip(starts, positions, stride))
            part = slice_(x, starts=(0, 0, *starts), stops=(n, c, *stops), strides=(1, 1, *stride))
            parts.append(reshape(part, shape=(n, c, 1, positions[0] * positions[1])))
    columns = concat(*parts, axis=2)
    return reshape(columns, shape=(n, c * kernel[0] * kernel[1], positions[0] * positions[1]))


def fold(
    x: TensorLike,
    output_size: IntOrSequence,
    kernel_size: IntOrSequence,
    dilation: IntOrSequence = 1,
    padding: IntOrSequence = 0,
    stride: IntOrSequence = 1,
) -> Tensor:
    """Windows added up in their places, the transpose of `unfold`: (n, c * kh * kw, number of windows) -> (n, c, h, w).

    Args:
        output_size: (h, w).

    The other arguments as in `unfold`.
    """
    x = as_tensor(x)
    if x.ndim != 3:
        raise ValueError(f"fold: expected windows of shape (n, c * kh * kw, windows), but got shape {show(x.shape)}.")
    size = wholes("fold", "`output_size`", output_size, 2, least=1)
    kernel, dilation, padding, stride = _pairs("fold", kernel_size, dilation, padding, stride)
    n, columns, windows = x.shape
    counts = [_windows(*a) for a in zip(size, kernel, dilation, padding, stride)]
    if is_known(columns, windows) and (
        columns % (kernel[0] * kernel[1]) or windows != counts[0] * counts[1] or min(counts) < 1
    ):
        raise ValueError(
            f"fold: x of shape {show(x.shape)} does not hold windows of {kernel} in {max(counts[0], 0)} x {max(counts[1], 0)} places, "
            f"as images of {size} with padding {padding}, dilation {dilation} and stride {stride} have."
        )
    c = columns // (kernel[0] * kernel[1])
    h, w = (s + 2 * p for s, p in zip(size, padding))
    rows, cols = (_coordinates(k, d, m, s) for k, d, m, s in zip(kernel, dilation, counts, stride))
    place = reshape(rows, shape=(kernel[0], 1, counts[0], 1)) * w + reshape(cols, shape=(1, kernel[1], 1, counts[1]))
    total = kernel[0] * kernel[1] * counts[0] * counts[1]
    values = transpose(reshape(x, shape=(n, c, total)), perm=(2, 0, 1))
    flat = scatter_add(full(shape=(h * w, n, c), value=0, dtype=x.dtype), reshape(place, shape=(total, 1)), values)
    image = transpose(reshape(flat, shape=(h, w, n, c)), perm=(2, 3, 0, 1))
    stops = (n, c, padding[0] + size[0], padding[1] + size[1])
    return slice_(image, starts=(0, 0, *padding), stops=stops, strides=(1,) * 4)


def _coordinates(kernel: int, dilation: int, count: Size, stride: int) -> Tensor:
    """Where element k of window m lies: (kernel, count)."""
    offset = reshape(iota(size=kernel, dtype="int32") * dilation, shape=(kernel, 1))
    return offset + iota(size=count, dtype="int32") * stride
