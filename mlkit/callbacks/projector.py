"""Embeddings in the form in which TensorBoard's projector reads them."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlkit.layers.embedding import Embedding

_FOLDER = "embeddings"


class Projector:
    """The tables of a model's Embedding layers as files of a log folder, and the config that leads TensorBoard to them.

    metadata: name of a file of labels, one a row, seen from the folder: one for all layers, or a dict from layer name to it.
    """

    def __init__(self, folder: str, model: Any, metadata: str | Mapping[str, str] | None):
        self.folder = folder
        self.layers = {layer.path: layer for layer in model._flatten_layers() if isinstance(layer, Embedding)}
        names = {layer.name for layer in self.layers.values()}
        if isinstance(metadata, Mapping) and (unknown := sorted(set(metadata) - names)):
            raise ValueError(
                f"TensorBoard: `embeddings_metadata` names {unknown}, but the Embedding layers of the model are {sorted(names)}."
            )
        self.metadata = dict.fromkeys(names, metadata) if isinstance(metadata, str) else dict(metadata or {})

    def write(self) -> None:
        """Write all tables as they are now, over those of earlier epochs."""
        os.makedirs(os.path.join(self.folder, _FOLDER), exist_ok=True)
        entries = []
        for path, layer in self.layers.items():
            table = np.asarray(layer.embeddings.numpy(), "float32")
            file = f"{_FOLDER}/{path.replace('/', '.')}.tsv"
            np.savetxt(os.path.join(self.folder, file), table, fmt="%.7g", delimiter="\t")
            fields = {"tensor_name": path, "tensor_path": file}
            if layer.name in self.metadata:
                fields["metadata_path"] = self.metadata[layer.name]
            lines = [f"  {key}: {_quoted(value)}" for key, value in fields.items()]
            lines += [f"  tensor_shape: {size}" for size in table.shape]
            entries.append("\n".join(["embeddings {", *lines, "}"]))
        with open(os.path.join(self.folder, "projector_config.pbtxt"), "w") as config:
            config.write("\n".join([*entries, ""]))


def _quoted(text: str) -> str:
    """A string of protobuf's text format."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
