"""What the workers of one server have counted, put down in a folder, so that whichever is asked can tell all of it."""

import contextlib
import os
import threading

from mlkit.serving.metrics import Metrics

_SECONDS = 0.5  # between two snapshots: as much is lost of a worker that is killed


class MetricsFolder:
    """A folder with a file for each worker that there has been; files of those that have ended keep what they counted.

    Args:
        folder: Where it is.
        metrics: Those of this process.
    """

    def __init__(self, folder: str, metrics: Metrics):
        self._folder, self._metrics = folder, metrics
        self._own = f"{os.getpid()}.json"
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write_again_and_again, name="mlkit-metrics", daemon=True)
        self._thread.start()

    def all(self) -> Metrics:
        """The sum over all processes."""
        total = Metrics()
        total.add(self._metrics.snapshot())
        for name in os.listdir(self._folder):
            if name.endswith(".json") and name != self._own:
                with open(os.path.join(self._folder, name), encoding="utf-8") as file:
                    total.add(file.read())
        return total

    def close(self) -> None:
        """Put down the last of it."""
        self._end.set()
        self._thread.join()

    def _write_again_and_again(self) -> None:
        with contextlib.suppress(FileNotFoundError):  # who made the folder has ended, and taken it away
            while True:
                ended = self._end.wait(_SECONDS)
                part = os.path.join(self._folder, f"{self._own}.part")
                with open(part, "w", encoding="utf-8") as file:
                    file.write(self._metrics.snapshot())
                os.replace(part, os.path.join(self._folder, self._own))
                if ended:
                    return
