"""SIGTERM while a model trains: a request to end, which is granted between two batches."""

import os
import signal
import threading
from typing import Any

import numpy as np

from mlkit.core.communicator import replicas


class StopRequest:
    """Listens for SIGTERM, if nobody else does.

    Of processes that train together each may be asked at another time: they agree, after each batch, that one was.
    """

    def __init__(self) -> None:
        self._model, self._is_asked = None, False

    def listen(self, model: Any) -> None:
        """From now on SIGTERM is a request, while `model` trains. Only the main thread can listen."""
        self._model, self._is_asked = model, False
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._note)

    def close(self) -> None:
        """From now on SIGTERM ends the process at once, as before."""
        if signal.getsignal(signal.SIGTERM) == self._note:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def is_asked(self) -> bool:
        """Whether this process, or one that trains with it, was asked to end: the same on all, which call it together."""
        group = replicas()
        if group is None:
            return self._is_asked
        asked = np.array(self._is_asked, "int32")
        group.communicator.all_reduce(asked, "max", "whether a process is asked to end")
        return bool(asked)

    def _note(self, number, frame):
        self._is_asked = True
        if self._model._training.run is None:  # an error has ended it, and nobody looks
            self.close()
            os.kill(os.getpid(), signal.SIGTERM)
