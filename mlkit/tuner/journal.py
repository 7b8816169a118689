"""Journal: the file of a search that processes share, as Optuna writes it."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from mlkit.core.deferred import Deferred

optuna = Deferred("optuna", "mlkit.tuner searches with Optuna, which is not installed: pip install optuna")


class Journal:
    """Optuna's `JournalFileBackend`, in which several records can be written at once: each writing waits for the disk.

    Args:
        path: Of the file; made if it is not there.
    """

    def __init__(self, path: str):
        self._file = optuna.storages.journal.JournalFileBackend(path)
        self._held: list[dict[str, Any]] | None = None  # records of a block `at_once`

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The records from this number on."""
        return self._file.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write records."""
        if self._held is None:
            self._file.append_logs(logs)
        else:
            self._held += logs

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """A block whose records are written together at its end, so that others see all of them or none; nothing after an error."""
        self._held = held = []
        try:
            yield
        finally:
            self._held = None
        self._file.append_logs(held)
