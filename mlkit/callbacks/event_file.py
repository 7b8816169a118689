"""EventFile: what TensorBoard shows, written in the form in which TensorFlow's summaries are."""

import io
import itertools
import json
import os
import time
import weakref
from typing import Any

import numpy as np
from PIL import Image

from mlkit.callbacks.protos import event_file_writer, event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2
from mlkit.core.typing import FilePath

_BUCKETS = 30  # of a histogram, as TensorFlow writes them
_BLOCK = 1 << 14  # numbers that are sorted into buckets at once: as float64 they stay in a core's cache
_FLOAT, _STRING = 1, 7  # numbers of TensorFlow's dtypes
_numbers = itertools.count()  # of the files of this process: their names must differ


class EventFile:
    """A file of events in a folder: "a run" of TensorBoard. It is made when the first thing is written to it.

    Every method that writes takes a tag, under which TensorBoard shows it, and a step.

    >>> import tempfile
    >>> file = EventFile(tempfile.mkdtemp())
    >>> file.scalar("loss", 0.5, step=3)
    >>> file.close()
    """

    def __init__(self, folder: FilePath):
        self.folder = os.fspath(folder)
        self._writer: Any = None

    def scalar(self, tag: str, value: float, step: int) -> None:
        """A number; TensorBoard draws those of one tag as a curve."""
        self._tensor("scalars", tag, step, float_val=[float(value)])

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """How an array's numbers are distributed; those that are not finite are left out."""
        rows = _buckets(values)
        self._tensor("histograms", tag, step, float_val=rows.ravel().tolist(), tensor_shape=_shape(*rows.shape))

    def images(self, tag: str, images: np.ndarray, step: int) -> None:
        """Images of bytes, (number, height, width, channels)."""
        pictures = []
        for image in images:
            file = io.BytesIO()
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
            pictures.append(file.getvalue())
        height, width = images.shape[1:3]
        strings = [str(width).encode(), str(height).encode(), *pictures]
        self._tensor("images", tag, step, string_val=strings, tensor_shape=_shape(len(strings)))

    def text(self, tag: str, text: str, step: int) -> None:
        """Markdown."""
        self._tensor("text", tag, step, string_val=[text.encode()])

    def keras_model(self, tag: str, config: dict[str, Any], step: int) -> None:
        """The config of a Functional or Sequential model, of which TensorBoard draws the layers."""
        self._tensor("graph_keras_model", tag, step, string_val=[json.dumps(config).encode()], version=b"1")

    def graph(self, graph_def: bytes) -> None:
        """The graph of this run, a serialized GraphDef."""
        self._write(event_pb2.Event(graph_def=graph_def))

    def flush(self) -> None:
        """Put all that was written on the disk."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Close the file; what comes later goes into another one of the same folder."""
        if self._writer is not None:
            self._close()
            self._writer = None

    def _tensor(self, plugin, tag, step, version=b"", **values):
        """A tensor for a plugin of TensorBoard; values: fields of its TensorProto."""
        dtype = _STRING if "string_val" in values else _FLOAT
        tensor = tensor_pb2.TensorProto(**{"dtype": dtype, "tensor_shape": _shape(), **values})
        data = summary_pb2.SummaryMetadata.PluginData(plugin_name=plugin, content=version)
        metadata = summary_pb2.SummaryMetadata(plugin_data=data)
        value = summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)
        self._write(event_pb2.Event(summary=summary_pb2.Summary(value=[value]), step=int(step)))

    def _write(self, event):
        if self._writer is None:
            os.makedirs(self.folder, exist_ok=True)
            suffix = f".{os.getpid()}.{next(_numbers)}.v2"
            self._writer = event_file_writer.EventsWriter(os.path.join(self.folder, "events"), suffix)
            self._close = weakref.finalize(self, self._writer.close)  # also where a run breaks off
        event.wall_time = time.time()
        self._writer.write_event(event)


def _buckets(values: np.ndarray) -> np.ndarray:
    """(from, to, number) of as many equal parts of where the finite values lie; of values that are all the same, around it.

    (A third of the time of `numpy.histogram`, which looks again at each number after it has found its bucket.)
    """
    values = np.ravel(values)
    finite = np.isfinite(values)
    values = values if finite.all() else values[finite]
    least, most = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if least == most:
        least, most = least - 0.5, most + 0.5
    counts = np.zeros(_BUCKETS, "int64")
    for first in range(0, values.size, _BLOCK):
        places = values[first : first + _BLOCK].astype("float64")
        places -= least
        places *= _BUCKETS / (most - least)
        counts += np.bincount(np.minimum(places.astype("int64"), _BUCKETS - 1), minlength=_BUCKETS)
    edges = np.linspace(least, most, _BUCKETS + 1)
    return np.stack([edges[:-1], edges[1:], counts], axis=-1)


def _shape(*sizes):
    dims = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in sizes]
    return tensor_shape_pb2.TensorShapeProto(dim=dims)
