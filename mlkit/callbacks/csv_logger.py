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
        self.keys = None
        self.writer = None
        self.csv_file = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._close()
        has_header = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        self._write_header = not has_header
        self.csv_file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115  (it is closed when training ends)
        self.keys = None

    def get_state(self) -> dict[str, Any]:
        """The rows so far: those that a run wrote after its last backup are written again."""
        with open(self.filename, newline="") as file:
            return {"text": file.read(), "keys": self.keys}

    def set_state(self, state: dict[str, Any]) -> None:
        self._close()
        self.csv_file = open(self.filename, "w", newline="")  # noqa: SIM115  (it is closed when training ends)
        self.csv_file.write(state["text"])
        self.csv_file.flush()
        self._write_header, self.keys = not state["text"], state["keys"]
        if self.keys is not None:
            self.writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        if self.writer is None:
            self.keys = sorted(logs)
            if self.keys and not any(k.startswith("val_") for k in self.keys):
                # validation may come later (validation_freq), when the header stands already
                self.keys += ["val_" + k for k in self.keys]
            self.writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep)
            if self._write_header:
                self.writer.writeheader()
        self.writer.writerow({"epoch": epoch, **{k: _cell(logs.get(k, "NA")) for k in self.keys}})
        self.csv_file.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._close()

    def _close(self) -> None:
        if self.csv_file is not None:
            self.csv_file.close()
        self.csv_file = self.writer = None


def _cell(value: Any) -> Any:
    if isinstance(value, str) or np.ndim(value) == 0:
        return value
    return f'"[{", ".join(map(str, np.asarray(value).tolist()))}]"'
