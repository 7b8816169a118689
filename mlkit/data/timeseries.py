"""Sliding windows over a time series."""

from typing import Any

import numpy as np

from mlkit.core.typing import TensorLike
from mlkit.data.dataset import Dataset
from mlkit.data.grain_format import check_format, in_format
from mlkit.data.pipeline import elements
from mlkit.data.pipeline.elements import TensorSpec
from mlkit.data.pipeline.node import Node
from mlkit.data.pipeline.sources import Counted


def timeseries_dataset_from_array(
    data: TensorLike,
    targets: TensorLike | None,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> Any:
    """Sliding windows over a time series, as a dataset of batches.

    Args:
        data: array (time steps, ...).
        targets: array whose element i belongs to the window that starts at step i, or None.
        sequence_length: steps in a window.
        sequence_stride: steps between the starts of two windows.
        sampling_rate: every how many steps a window takes one.
        batch_size: windows in a batch; None yields windows one by one.
        shuffle, seed: a new order each epoch, following from the seed.
        start_index, end_index: only the part `data[start_index:end_index]` is used.
        format: "tf" for a `Dataset`, "grain" for a `grain.IterDataset`.

    Returns:
        A `Dataset` whose batches are `x` (batch, sequence_length, ...) or `(x, y)`.

    >>> windows = timeseries_dataset_from_array(np.arange(5), np.arange(5) * 10, sequence_length=3, batch_size=2)
    >>> [(x.tolist(), y.tolist()) for x, y in windows]
    [([[0, 1, 2], [1, 2, 3]], [0, 10]), ([[2, 3, 4]], [20])]
    """
    check_format("timeseries_dataset_from_array", format)
    steps = {"sequence_length": sequence_length, "sequence_stride": sequence_stride, "sampling_rate": sampling_rate}
    for name, number in steps.items():
        if number < 1:
            raise ValueError(f"timeseries_dataset_from_array: `{name}` must be at least 1, but is {number}.")
    part = slice(start_index, end_index)
    data = np.asarray(data)[part]
    targets = None if targets is None else np.asarray(targets)[part]
    count = len(data) - (sequence_length - 1) * sampling_rate
    if targets is not None:
        count = min(count, len(targets))
    if count < 1:
        raise ValueError(
            f"No window fits: {len(data)} steps of data are fewer than a window of {sequence_length} steps "
            f"at sampling_rate={sampling_rate} spans."
        )
    starts = np.arange(0, count, sequence_stride)
    windows = Dataset(Windows(data, targets, starts, np.arange(sequence_length) * sampling_rate))
    windows = windows.shuffle(len(starts), seed) if shuffle else windows
    return in_format(windows if batch_size is None else windows.batch(batch_size), format)


class Windows(Node):
    """Windows of a time series, each with its target."""

    Pass = Counted

    def __init__(self, data: np.ndarray, targets: np.ndarray | None, starts: np.ndarray, offsets: np.ndarray):
        super().__init__()
        self.data, self.targets, self.starts, self.offsets = data, targets, starts, offsets

    def cardinality(self):
        return len(self.starts)

    def spec(self):
        return elements.map_spec(TensorSpec.unbatched, elements.spec_of(self.block(slice(1))))

    def at(self, i):
        return elements.row(self.block(slice(i, i + 1)), 0)

    def block(self, numbers):
        starts = self.starts[numbers]
        x = self.data[np.add.outer(starts, self.offsets)]
        return x if self.targets is None else (x, self.targets[starts])
