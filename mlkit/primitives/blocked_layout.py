"""Images whose channels lie in blocks: (batch, channels / block, height, width, block)."""

from collections.abc import Sequence

from mlkit.core.spec import Size


def shape_in_blocks(shape: Sequence[Size], block: int) -> tuple[Size, ...]:
    n, h, w, c = shape
    return n, c // block, h, w, block


def plain_shape(shape: Sequence[Size]) -> tuple[Size, ...]:
    n, blocks, h, w, block = shape
    return n, h, w, blocks * block
