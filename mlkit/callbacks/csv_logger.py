"""CSVLogger: a row of numbers for every epoch."""

import csv
import os
from typing import Any

import numpy as np

from mlkit.callbacks.callback import Callback
from mlkit.core.typing import FilePath


class CSVLogger(Callback):
    """Writes the logs of every epoch to a CSV file, a row at a time, so that a run that breaks off leaves its rows.

    Args:
        filename: path of the file.
        separator: what stands between two columns.
        append: whether to go on with an existing file (its header is not repeated) or to overwrite it.
    """

    only_on_rank_0 = True

    def __init__(self, filename: FilePath, separator: str = ",", append: bool = False):
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None
        self._write_header = True

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        with open(self.filename, "a" if self.append else "w", newline="") as file:
            self._write_header = file.tell() == 0
        self.keys = None

    def get_state(self) -> dict[str, Any]:
        """The rows so far: those that a run wrote after its last backup are written again."""
        with open(self.filename, newline="") as file:
            return {"text": file.read(), "keys": self.keys}

    def set_state(self, state: dict[str, Any]) -> None:
        with open(self.filename, "w", newline="") as file:
            file.write(state["text"])
        self._write_header, self.keys = not state["text"], state["keys"]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        is_first = self.keys is None
        if self.keys is None:
            self.keys = sorted(logs)
            if self.keys and not any(k.startswith("val_") for k in self.keys):
                # validation may come later (validation_freq), when the header stands already
                self.keys += ["val_" + k for k in self.keys]
        with open(self.filename, "a", newline="") as file:  # held open only for the row: a run may break off at any time
            writer = csv.DictWriter(file, ["epoch", *self.keys], delimiter=self.sep)
            if is_first and self._write_header:
                writer.writeheader()
            writer.writerow({"epoch": epoch, **{k: _cell(logs.get(k, "NA")) for k in self.keys}})


def _cell(value: Any) -> Any:
    if isinstance(value, str) or np.ndim(value) == 0:
        return value
    return f'"[{", ".join(map(str, np.asarray(value).tolist()))}]"'
