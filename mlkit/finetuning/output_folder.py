"""The folder that a fine-tuning writes to: whose it is, whether it can be written to, and what lies there already."""

import difflib
import json
import os
import shutil
from typing import Any

from mlkit.finetuning.recorder import CLASSES, HISTORY, MODEL, remove_backups, write_text
from mlkit.utils.atomic import remove_unfinished

RUN, SCRIPT = "run.json", "script.py"
_OWN = (RUN, MODEL, HISTORY, CLASSES, SCRIPT)
REPORT = ("report.html", "predictions.csv", "curves.png", "confusion.png")


class OutputFolder:
    """A folder of one fine-tuning.

    `run.json` in it says of which photos and whether the run has come to its end, `script.py` all its options: by these two a run
    that goes on is known to be the same.
    """

    def __init__(self, path: Any):
        self.path = os.fspath(path)

    def begin(self, script: str, photos: str | None, resume: bool, overwrite: bool, needed: int) -> bool:
        """Make the folder ready. Returns whether the run in it has come to its end before.

        Args:
            script: what is to be run.
            photos: a fingerprint of the data, or None.
            resume, overwrite: what to do about a run that is there.
            needed: bytes that will be written.

        Raises:
            ValueError: it cannot be written to, or holds a run and nothing says what to do about it, or another run than the one
                to go on with.
        """
        run = self._run()
        if resume and run is not None:
            self._check_same(script, photos, run)
        elif run is not None and not overwrite:
            state = "a finished" if run["finished"] else "an unfinished"
            raise ValueError(
                f"{self.path} holds {state} run already. Ask for it to go on (resume=True, --resume) or to be replaced "
                "(overwrite=True, --overwrite), or choose another folder."
            )
        free = shutil.disk_usage(_existing(self.path)).free
        if free < needed:
            raise ValueError(
                f"The disk of {self.path} has {free / 1e6:,.0f} MB left, but the model and its backups need up to "
                f"{needed / 1e6:,.0f} MB. Make room, or choose another folder."
            )
        try:
            os.makedirs(self.path, exist_ok=True)
            remove_unfinished(self.path, *_OWN)
            if run is not None and not resume:
                self._clear()
            if run is None or not resume:
                write_text(self._at(SCRIPT), script)
                self._write_run(photos, finished=False)
            elif not run["finished"]:
                self._write_run(photos, finished=False)  # which shows that the folder can be written to
        except (OSError, ValueError) as error:
            reason = str(getattr(error, "strerror", None) or error).rstrip(".")
            raise ValueError(f"The output folder {self.path} cannot be written to: {reason}.") from error
        return bool(resume and run is not None and run["finished"])

    def check_for_several(self) -> None:
        """Raise ValueError if a run lies in the folder itself, where those of several would lie in folders within."""
        if self._run() is not None:
            raise ValueError(f"{self.path} holds a run already, and several cannot be kept below it. Choose another folder.")

    def finish(self) -> None:
        """Say that the run in it has come to its end."""
        self._write_run((self._run() or {}).get("photos"), finished=True)

    def _run(self):
        """What `run.json` says; something also for folders that hold a model or a history of unknown origin; else None."""
        try:
            with open(self._at(RUN), encoding="utf-8") as file:
                return {"photos": None, "finished": False, **json.load(file)}
        except FileNotFoundError:
            found = any(os.path.exists(self._at(name)) for name in (MODEL, HISTORY))
            return {"photos": None, "finished": True} if found else None
        except NotADirectoryError:
            raise ValueError(f"The output folder {self.path} cannot be made: a file is in its place.") from None
        except (OSError, ValueError) as error:
            raise ValueError(f"{self._at(RUN)} cannot be read: {error}") from error

    def _check_same(self, script, photos, run):
        try:
            with open(self._at(SCRIPT), encoding="utf-8") as file:
                before = file.read()
        except OSError as error:
            raise ValueError(f"{self.path} holds no run to go on with: {error.strerror} ({SCRIPT}).") from error
        if before != script:
            changed = [line for line in difflib.ndiff(before.splitlines(), script.splitlines()) if line[0] in "+-"]
            lines = " / ".join(line[:120] for line in changed[:2])
            raise ValueError(
                f"The run in {self.path} was begun with other options: {lines}. Pass the same ones to go on, or overwrite=True "
                "(--overwrite) to begin anew."
            )
        if run["photos"] != photos:
            raise ValueError(
                f"The photos are not those with which the run in {self.path} was begun. Put them back to go on, or pass "
                "overwrite=True (--overwrite) to begin anew."
            )

    def _write_run(self, photos, finished):
        write_text(self._at(RUN), json.dumps({"photos": photos, "finished": finished}, indent=1))

    def _clear(self):
        remove_backups(self.path)
        for name in (*_OWN, *REPORT):
            if os.path.lexists(self._at(name)):
                os.remove(self._at(name))

    def _at(self, name):
        return os.path.join(self.path, name)


def bytes_needed(parameters: int) -> int:
    """How much a run of a model of that many parameters has on the disk at once, at most: model and best weights with the two
    averages of Adam, each while the one before is still there."""
    model, backup = 3, 4
    return 2 * (model + backup) * 4 * parameters


def _existing(path):
    """The innermost of the folders above that is there."""
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path
