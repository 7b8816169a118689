"""What is kept of a fine-tuning while it runs: the best weights, the history and, in a folder, all that it takes to go on."""

import csv
import io
import json
import os
from typing import Any

from mlkit.callbacks.backup_and_restore import BackupAndRestore
from mlkit.callbacks.callback import Callback
from mlkit.core.typing import FilePath
from mlkit.finetuning.keep_best import KeepBest
from mlkit.finetuning.remaining import Remaining
from mlkit.models.saving.replacing import replacing
from mlkit.utils.console import print_message

_TITLES = {"head": "the head alone", "all": "all layers"}
MODEL, CLASSES, HISTORY, BACKUP = "model.keras", "classes.json", "history.csv", "backup"


class Recorder:
    """Keeps the best weights and the history of a training in several phases, in memory and, if wanted, in a folder.

    In the folder lie, from the first epoch on and each written whole or not at all: `model.keras`, the best model so far;
    `classes.json`; `history.csv`, a row an epoch with its phase and learning rate; and `backup`, from which the same calls of
    `fit` go on after a crash as if nothing had happened (see `BackupAndRestore`), until `finish` removes it.

    Args:
        model: the whole model; what is trained in a phase may be a part of it.
        monitor: the value by which the best epoch is chosen.
        folder: where to write, made if need be; None to keep all in memory.
        class_names: list of names, for the folder.

    >>> import mlkit, numpy as np
    >>> model = mlkit.Sequential([mlkit.Input((2,)), mlkit.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> recorder = Recorder(model, monitor="loss")
    >>> _ = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=recorder.phase("all"))
    >>> recorder.finish()
    >>> [(row["phase"], round(row["learning_rate"], 4)) for row in recorder.rows()]
    [('all', 0.01), ('all', 0.01)]
    """

    def __init__(
        self, model: Any, monitor: str = "val_accuracy", folder: FilePath | None = None, class_names: list | None = None
    ):
        self.model, self.folder = model, None if folder is None else os.fspath(folder)
        self.phases: list[Phase] = []
        if self.folder is not None:
            os.makedirs(self.folder, exist_ok=True)
            if class_names is not None:
                write_text(self._path(CLASSES), json.dumps(list(class_names), ensure_ascii=False, indent=1))
        self.best = KeepBest(model, monitor, filepath=None if self.folder is None else self._path(MODEL))

    def phase(self, name: str) -> list[Callback]:
        """The callbacks for the `fit` of a phase."""
        phase = Phase(self, name)
        self.phases.append(phase)
        if self.folder is None:
            return [self.best, phase]
        return [self.best, phase, BackupAndRestore(os.path.join(self._path(BACKUP), name), delete_checkpoint=False)]

    def restore_best(self) -> None:
        """Give the model its best weights back. Raises ValueError if no epoch has ended yet."""
        self.best.restore()

    def stop(self) -> None:
        """Restore the best weights and save the model; the backups stay, so that the training can go on."""
        self.restore_best()
        if self.folder is not None:
            self.model.save(self._path(MODEL), overwrite=True)

    def finish(self) -> None:
        """Restore the best weights, save the model and remove the backups."""
        self.stop()
        if self.folder is not None:
            remove_backups(self.folder)

    def rows(self) -> list[dict[str, Any]]:
        """A dict an epoch: its number, phase, learning rate, and what `fit` logged."""
        return [{"epoch": i, **row} for i, row in enumerate((row for phase in self.phases for row in phase.rows), 1)]

    def write_history(self) -> None:
        """Write `history.csv`, if there is a folder."""
        if self.folder is None:
            return
        rows = self.rows()
        text = io.StringIO()
        table = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
        table.writeheader()
        table.writerows(rows)
        write_text(self._path(HISTORY), text.getvalue())

    def _path(self, name):
        return os.path.join(self.folder, name)


class Phase(Callback):
    """Collects the epochs of one phase, and says (where `fit` is not silent) that it begins and about how long it will take. Its
    state for a backup includes the random seeds of the part of the model that does not train, such as layers that change images at
    random before a frozen network."""

    comes_last = True  # behind the line of the epoch

    def __init__(self, recorder: Recorder, name: str):
        super().__init__()
        self.recorder, self.name = recorder, name
        self.rows: list[dict[str, Any]] = []
        self.remaining = Remaining()

    @property
    def history(self) -> dict[str, list[Any]]:
        """Name -> values by epoch, as in a `History`."""
        names = dict.fromkeys(name for row in self.rows for name in row if name not in ("phase", "learning_rate"))
        return {name: [row.get(name, float("nan")) for row in self.rows] for name in names}

    def get_state(self) -> dict[str, Any]:
        return {"rows": self.rows, "seeds": [v.numpy() for v in self._seeds()]}

    def set_state(self, state: dict[str, Any]) -> None:
        self.rows = list(state["rows"])
        for variable, value in zip(self._seeds(), state["seeds"]):
            variable.assign(value)
        self.recorder.write_history()
        self._say(f"Phase {self._number()} goes on after epoch {len(self.rows)}.")

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        epochs = self.params["epochs"]
        title = _TITLES.get(self.name, self.name)
        self._say(f"Phase {self._number()}, {title}: {epochs} epoch{'s' if epochs != 1 else ''}")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.remaining.begin()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        rate = float(self.model.optimizer.learning_rate)
        self.rows.append({"phase": self.name, "learning_rate": rate, **(logs or {})})
        self.recorder.write_history()
        text = self.remaining.end(self.params["epochs"] - epoch - 1)
        if text:
            self._say(f"{text} left in phase {self._number()}.")

    def _number(self):
        return self.recorder.phases.index(self) + 1

    def _say(self, text):
        if self.params["verbose"]:
            print_message(text)

    def _seeds(self):
        trained = {id(v) for v in self.model.variables}
        rest = [v for v in self.recorder.model.variables if id(v) not in trained]
        return [v for v in rest if not v.trainable and not v.dtype.startswith(("float", "bfloat"))]


def read_history(folder: str, monitor: str) -> tuple[dict[str, list[float]], float]:
    """(name -> values by epoch, the best value) of a folder's `history.csv`."""
    with open(os.path.join(folder, HISTORY), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else ()) if name not in ("epoch", "phase", "learning_rate")]
    history = {name: [float(row[name] or "nan") for row in rows] for name in names}
    return history, (min if monitor.endswith("loss") else max)(history[monitor])


def write_text(path: str, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def remove_backups(folder: str) -> None:
    """Remove what `BackupAndRestore` has left of the phases, and nothing else."""
    root = os.path.join(folder, BACKUP)
    for place, folders, files in os.walk(root, topdown=False):
        for name in files:
            if "backup_" in name or name.startswith("training_state.json"):
                os.remove(os.path.join(place, name))
        for name in folders:
            _remove_empty(os.path.join(place, name))
    if os.path.isdir(root):
        _remove_empty(root)


def _remove_empty(folder):
    if not os.path.islink(folder) and not os.listdir(folder):
        os.rmdir(folder)
