"""Where a rank is in its training, kept in a file beside its log, so that whoever finds it dead can say at which step it died."""

import mmap
import os

LENGTH = 64  # bytes of the file


class LastStep:
    """The file of a rank in the folder of its job, which `python -m mlkit launch` has made; without one nothing is kept."""

    def __init__(self, rank: int):
        folder = os.environ.get("MLKIT_JOB_FOLDER")
        self._page = None
        if folder is not None and os.path.isdir(folder):
            with open(os.path.join(folder, f"rank-{rank}.step"), "w+b") as file:
                file.truncate(LENGTH)
                self._page = mmap.mmap(file.fileno(), LENGTH)
        self.note("before the first batch")

    def note(self, text: str) -> None:
        """Where it is now. It stays there when the process is killed, for the memory is that of the file."""
        if self._page is not None:
            self._page[:] = text.encode()[:LENGTH].ljust(LENGTH)
