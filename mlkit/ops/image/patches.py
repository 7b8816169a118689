"""Patches cut from images and volumes."""

import itertools
from collections.abc import Sequence
from typing import Any

from mlkit.core.spec import Size, is_known, show, wholes, window_output, window_padding
from mlkit.core.tensor import Tensor
from mlkit.core.typing import IntOrSequence, TensorLike
from mlkit.ops.image.layout import channels_last
from mlkit.primitives.convert import as_tensor
from mlkit.primitives.movement import concat, pad, slice_
from mlkit.primitives.shape import inverse_permutation, reshape, transpose

__all__ = ["extract_patches", "extract_patches_3d"]


def extract_patches(
    images: TensorLike,
    size: IntOrSequence,
    strides: IntOrSequence | None = None,
    dilation_rate: IntOrSequence = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Patches of images, each flattened into the channels.

    Args:
        images: (height, width, channels), a batch of them, or with channels first.
        size: of a patch, an int or (height, width); three numbers make it `extract_patches_3d`.
        strides: pixels between patches, by default the size.
        dilation_rate: pixels between the pixels of a patch.
        padding: "valid", or "same": zeros beyond the edges.

    Returns (batch, rows of patches, columns of patches, height * width * channels).
    """
    if not isinstance(size, int):
        if not isinstance(size, (tuple, list)):
            raise TypeError(f"extract_patches: `size` must be an int or a tuple, but got {size!r} ({type(size).__name__}).")
        if len(size) not in (2, 3):
            raise ValueError(f"extract_patches: `size` must have 2 or 3 numbers, but got {size}.")
        if len(size) == 3:
            return extract_patches_3d(images, size, strides, dilation_rate, padding, data_format)
    return _patches("extract_patches", images, 2, size, strides, dilation_rate, padding, data_format)


def extract_patches_3d(
    volumes: TensorLike,
    size: IntOrSequence,
    strides: IntOrSequence | None = None,
    dilation_rate: IntOrSequence = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Patches of volumes (depth, height, width, channels), each flattened into the channels; arguments as in `extract_patches`.

    Args:
        volumes: (depth, height, width, channels), a batch of them, or with channels first.
        size: of a patch, an int or (depth, height, width).
    """
    return _patches("extract_patches_3d", volumes, 3, size, strides, dilation_rate, padding, data_format)


def _patches(
    name: str,
    images: TensorLike,
    n: int,
    size: IntOrSequence,
    strides: IntOrSequence | None,
    dilation: IntOrSequence,
    padding: str,
    data_format: str | None,
) -> Tensor:
    """For n spatial axes."""
    if isinstance(size, (list, tuple)) and len(size) != n:
        raise TypeError(f"{name}: `size` must be an integer or {n} of them, but is {size}.")
    if padding not in ("valid", "same"):
        raise ValueError(f'{name}: `padding` must be "valid" or "same", but got {padding!r}.')
    x, last = as_tensor(images), channels_last(name, data_format)
    if x.ndim not in (n + 1, n + 2):
        raise ValueError(f"{name}: expected {n + 1} dimensions, or {n + 2} for a batch, but got shape {show(x.shape)}.")
    size = wholes(name, "`size`", size, n, least=1)
    strides = wholes(name, "`strides`", strides, n, least=1) if strides else size
    dilation = wholes(name, "`dilation_rate`", dilation, n, least=1)
    single = x.ndim == n + 1
    if single:
        x = reshape(x, shape=(1, *x.shape))
    perm = (0, *range(2, n + 2), 1)  # channels to the end
    x = x if last else transpose(x, perm=perm)
    x, counts = _framed(x, n, size, strides, dilation, padding)
    if any(is_known(c) and c < 1 for c in counts):
        raise ValueError(
            f"{name}: patches of size {size} (dilation {dilation}) do not fit into images of shape {show(as_tensor(images).shape)}."
        )
    tiled = strides == size and set(dilation) == {1} and is_known(*x.shape[1:])
    y = (_tiles if tiled else _windows)(x, counts, size, strides, dilation)
    y = y if last else transpose(y, perm=inverse_permutation(perm))
    return reshape(y, shape=y.shape[1:]) if single else y


def _framed(
    x: Tensor, n: int, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int], padding: str
) -> tuple[Tensor, list[Any]]:
    """(x with the padding, number of patches along each axis)"""
    sizes = x.shape[1 : n + 1]
    counts = [window_output(padding, i, *args) for i, args in enumerate(zip(sizes, size, strides, dilation))]
    if padding == "valid" or not is_known(*sizes):  # of unknown sizes only the result's shape is asked for
        return x, counts
    margins = [window_padding(padding, i, *args) for i, args in enumerate(zip(sizes, size, strides, dilation))]
    low, high = ((0, *side, 0) for side in zip(*margins))
    return (pad(x, value=0, low=low, high=high, interior=(0,) * x.ndim) if any(low + high) else x), counts


def _tiles(x: Tensor, counts: Sequence[Size], size: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Tensor:
    """Patches side by side: a reshape and a transpose."""
    n, batch, channels = len(size), x.shape[0], x.shape[-1]
    stops = tuple(c * s for c, s in zip(counts, size))
    x = slice_(x, starts=(0,) * x.ndim, stops=(batch, *stops, channels), strides=(1,) * x.ndim)
    x = reshape(x, shape=(batch, *(d for pair in zip(counts, size) for d in pair), channels))
    x = transpose(x, perm=(0, *range(1, 2 * n, 2), *range(2, 2 * n + 1, 2), 2 * n + 1))
    length = channels
    for s in size:
        length = length * s
    return reshape(x, shape=(batch, *counts, length))


def _windows(x: Tensor, counts: Sequence[Size], size: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Tensor:
    """For each pixel of a patch one strided slice."""
    batch, channels = x.shape[0], x.shape[-1]
    parts = []
    for offset in itertools.product(*map(range, size)):
        starts = tuple(o * d for o, d in zip(offset, dilation))
        stops = tuple(a + (c - 1) * s + 1 for a, c, s in zip(starts, counts, strides))
        part = slice_(x, starts=(0, *starts, 0), stops=(batch, *stops, channels), strides=(1, *strides, 1))
        parts.append(reshape(part, shape=(batch, *counts, channels)))
    return concat(*parts, axis=x.ndim - 1)
