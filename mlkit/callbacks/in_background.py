"""Writing files while training goes on."""

import threading
import weakref
from collections.abc import Callable
from typing import Any


class InBackground:
    """A thread for one piece of work at a time. What goes wrong in it is raised where somebody waits for it."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __reduce__(self) -> Any:  # copies begin with nothing to do
        return InBackground, ()

    def start(self, work: Callable[[], None]) -> None:
        """Do this, once the work before is done. The process does not end before it is done, unless it is killed."""
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(work,), name="mlkit writing")
        self._thread.start()

    def wait(self) -> None:
        """Until all is done; raises what went wrong."""
        if self._thread is not None:
            self._thread.join()
        self._thread, error, self._error = None, self._error, None
        if error is not None:
            raise error

    def _run(self, work):
        try:
            work()
        except BaseException as error:
            self._error = error


_of_folders: "weakref.WeakValueDictionary[str, InBackground]" = weakref.WeakValueDictionary()


def of_folder(path: str) -> InBackground:
    """The one of all who write into a folder."""
    return _of_folders.setdefault(path, InBackground())
