"""Embeddings in the form in which TensorBoard's projector reads them."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlkit.layers.embedding import Embedding

_FOLDER = "embeddings"


class Projector:
    """Writes the tables of a model's Embedding layers as files of a log folder, and the config that leads TensorBoard to them.

    metadata: name of a file of labels, one a row, seen from the folder: one for all layers, or a dict from layer name to it.
    """

    def __init__(self, folder: str, metadata: str | Mapping[str, str] | None):
        self.folder = folder
        self.metadata = metadata

    def tables(self, model: Any) -> dict[str, tuple[Embedding, str | None]]:
        """Path -> (layer, its file of labels or None). Raises ValueError for labels of layers that are not there."""
        layers = [layer for layer in model._flatten_layers() if isinstance(layer, Embedding)]
        names = {layer.name for layer in layers}
        if not isinstance(self.metadata, Mapping):
            return {layer.path: (layer, self.metadata) for layer in layers}
        if unknown := sorted(set(self.metadata) - names):
            raise ValueError(
                f"TensorBoard: `embeddings_metadata` names {unknown}, but the Embedding layers of the model are {sorted(names)}."
            )
        return {layer.path: (layer, self.metadata.get(layer.name)) for layer in layers}

    def write(self, model: Any) -> None:
        """Write all tables as they are now, over those of earlier epochs."""
        os.makedirs(os.path.join(self.folder, _FOLDER), exist_ok=True)
        entries = []
        for path, (layer, labels) in self.tables(model).items():
            table = np.asarray(layer.embeddings.numpy(), "float32")
            file = f"{_FOLDER}/{path.replace('/', '.')}.tsv"
            np.savetxt(os.path.join(self.folder, file), table, fmt="%.7g", delimiter="\t")
            fields = {"tensor_name": path, "tensor_path": file, "metadata_path": labels}
            lines = [f"  {key}: {_quoted(value)}" for key, value in fields.items() if value is not None]
            lines += [f"  tensor_shape: {size}" for size in table.shape]
            entries.append("\n".join(["embeddings {", *lines, "}"]))
        with open(os.path.join(self.folder, "projector_config.pbtxt"), "w", encoding="utf-8") as config:
            config.write("\n".join([*entries, ""]))


def _quoted(text: str) -> str:
    """A string of protobuf's text format."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
