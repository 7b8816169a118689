"""BackupAndRestore: training that broke off goes on where it was."""

import contextlib
import fnmatch
import functools
import json
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from mlkit.callbacks.callback import Callback
from mlkit.callbacks.in_background import of_folder
from mlkit.callbacks.save_interval import SaveInterval
from mlkit.callbacks.stop_request import StopRequest
from mlkit.core.communicator import replicas
from mlkit.core.exit_status import STOPPED
from mlkit.core.state import state as in_force
from mlkit.core.typing import FilePath
from mlkit.utils.atomic import arriving, remove_unfinished
from mlkit.utils.console import print_message

_STATE = "training_state.json"


def _is_first():
    """Whether this process is the first of those that train together: it says which backup counts, and removes old ones."""
    return in_force.backend.processes()[1] == 0


class BackupAndRestore(Callback):
    """Keeps the state of training in a folder, and begins from there when `fit` is called again after a crash.

    The state is all that decides what comes next: the variables of model, optimizer and metrics, random states, the place in the
    data and its order, and what other callbacks know (`Callback.get_state`). So a run that was killed and is called again ends in the
    very numbers of one that was not, if its data are the same again. A thread writes it from a copy: each backup is a new file with a
    checksum; then a small file that names it is replaced, so a crash in between leaves the backup before.

    SIGTERM is a request to end, as of machines that are about to be taken away: after the batch at hand a backup is written, and the
    process ends with exit status 85 (`SystemExit`). Where the program handles the signal itself, it stays as it is.

    Args:
        backup_dir: folder of the backup, for this run alone.
        save_freq: "epoch", or a number of batches; then training goes on in the middle of an epoch.
        double_checkpoint: whether to keep the backup before the last as well, and to use it if the last cannot be read.
        delete_checkpoint: whether to remove the backup when training has come to its end.

    Example: `model.fit(x, y, epochs=100, callbacks=[BackupAndRestore("backup")])`
    """

    comes_last = True

    def __init__(
        self,
        backup_dir: FilePath,
        save_freq: int | str = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        if not backup_dir:
            raise ValueError(f"BackupAndRestore: `backup_dir` must name a folder, but is {backup_dir!r}.")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._interval = SaveInterval(save_freq)
        self._epoch = self._number = 0
        self._writing = of_folder(os.path.abspath(self.backup_dir))
        self._request = StopRequest()

    def get_state(self) -> dict[str, Any]:
        return {"interval": self._interval.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        self._interval.set_state(state["interval"])

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        with contextlib.suppress(Exception):  # of a run before, which has raised it
            self._writing.wait()
        states = self._states()
        if _is_first():
            self._clean(states)
        self._request.listen(self.model)
        self._number = states[0]["number"] + 1 if states else 0
        if not states:
            return
        if not self.model.built:
            raise ValueError(
                f"BackupAndRestore: the model is not built, so the backup in {self.backup_dir} cannot be loaded. "
                "Build it first: give it an Input, or call it on a batch."
            )
        optimizer = self.model.optimizer
        if optimizer is not None and not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        self._load(states)

    def _load(self, states: Any) -> None:
        """Load the first state that can be read."""
        for i, state in enumerate(states):
            try:
                self.model._load_run(self._path(state["weights"]))
            except (OSError, ValueError) as error:
                if i + 1 == len(states):
                    raise
                warnings.warn(f"BackupAndRestore: {error} The backup before it is loaded instead.", stacklevel=2)
            else:
                self._epoch = state["epoch"]
                return

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch + 1
        if self.save_freq == "epoch":
            self._save()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        is_due, is_asked = self._interval.is_due(batch), self._request.is_asked()
        if is_due or is_asked:
            self._save()
        if is_asked:
            self._end(batch)

    def _end(self, batch):
        """End the process, once the backup is written: all processes that train together at once."""
        self._writing.wait()
        self._request.close()
        group = replicas()
        if group is not None:
            group.communicator.all_gather_values(None, "whether the backup is written")
        if _is_first():
            print_message(
                f"SIGTERM: training ends after batch {batch} of epoch {self._epoch}. It is saved in {self.backup_dir}, and goes on from "
                f"there when `fit` is called again. Exit status {STOPPED}."
            )
        raise SystemExit(STOPPED)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._request.close()
        self._writing.wait()
        if not self.delete_checkpoint or not _is_first():
            return
        for state in self._states():
            self._remove(state["weights"])
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._path(_STATE))
        if os.path.isdir(self.backup_dir) and not os.listdir(self.backup_dir):
            os.rmdir(self.backup_dir)  # whatever else lies there is not ours to delete

    def _save(self) -> None:
        write = self.model._captured_run(self._epoch)
        if write is not None:  # the first process writes what all know, others what they alone hold
            self._writing.start(functools.partial(self._write, write, self._epoch, self._number))
        self._number += 1

    def _write(self, write: Callable[[str], None], epoch: int, number: int) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        states = self._states()
        new = {"number": number, "epoch": epoch, "weights": f"backup_{number}.npz"}
        write(self._path(new["weights"]))
        if not _is_first():
            return
        kept = 2 if self.double_checkpoint else 1
        with arriving(self._path(_STATE)) as part, open(part, "w") as file:
            json.dump([new, *states][:kept], file)
        for state in [new, *states][kept:]:
            self._remove(state["weights"])

    def _states(self):
        """The backups that there are, newest first."""
        if not os.path.exists(self._path(_STATE)):
            return []
        with open(self._path(_STATE)) as file:
            return json.load(file)

    def _clean(self, states):
        """Remove what processes that were killed have left half written, and files that no state names."""
        remove_unfinished(self.backup_dir, "backup_*.npz", "backup_*.npz.*", _STATE)
        self._remove("backup_*.npz", but=[state["weights"] for state in states])

    def _path(self, name: str) -> str:
        return os.path.join(self.backup_dir, name)

    def _remove(self, weights: str, but: Sequence[str] = ()) -> None:
        """Remove the files of backups whose name is of that pattern, those of all processes, except some."""
        for name in os.listdir(self.backup_dir) if os.path.isdir(self.backup_dir) else ():
            own = name if name.endswith(".npz") else name.rpartition(".")[0]
            if fnmatch.fnmatchcase(own, weights) and own not in but:
                os.remove(self._path(name))
