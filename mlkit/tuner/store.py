"""Store: a search as a folder: a journal of trials that processes share, and a folder for each trial."""

import contextlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from typing import Any

from mlkit.core.deferred import Deferred
from mlkit.tuner.hyperparameters import HyperParameters
from mlkit.tuner.journal import Journal, optuna
from mlkit.tuner.parameters import Parameter, parameter_of
from mlkit.tuner.trial import COMPLETED, FAILED, RUNNING, STOPPED, Trial

fcntl = Deferred("fcntl", "mlkit.tuner needs locks of files as Linux and macOS have them (fcntl).")

_JOURNAL = "journal.log"


class Store:
    """Args:
    folder: Made if it is not there; taken up if it is.
    direction: "min" or "max".
    pruner: Of Optuna.
    overwrite: Whether to begin anew where there is a search already.
    """

    def __init__(self, folder: str, direction: str, pruner: Any, overwrite: bool = False):
        self.folder, self._direction, self._pruner = folder, direction, pruner
        journal = os.path.join(folder, _JOURNAL)
        if overwrite and os.path.exists(journal):
            shutil.rmtree(folder)
        os.makedirs(folder, exist_ok=True)
        lock = optuna.storages.journal.JournalFileSymlinkLock
        self._lock = lock(os.path.join(folder, "proposals"))
        self._held: dict[int, Any] = {}
        self._journal = Journal(journal)
        with self.quiet():
            self.study = optuna.create_study(
                storage=optuna.storages.JournalStorage(self._journal), study_name="search", load_if_exists=True,
                direction="minimize" if direction == "min" else "maximize", pruner=pruner,
                sampler=optuna.samplers.RandomSampler(seed=0),  # never asked: see proposals.py
            )  # fmt: skip

    def __reduce__(self) -> tuple[Any, ...]:
        """For workers: the same search, of which they hold nothing."""
        return Store, (self.folder, self._direction, self._pruner)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """A block in which Optuna says nothing; what is worth saying is said by the search."""
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            optuna.logging.set_verbosity(level)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """A block in which no other process proposes trials."""
        self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    # ---- what is kept of the search -------------------------------------------------------------------------------------------------

    def note(self, name: str, value: Any) -> None:
        """Keep something with the search."""
        self.study.set_user_attr(name, json.dumps(value))

    def noted(self, name: str) -> Any:
        """What was kept; None where nothing was."""
        text = self.study.user_attrs.get(name)
        return None if text is None else json.loads(text)

    def space(self) -> list[Parameter]:
        """All parameters that a trial has asked for."""
        return [parameter_of(config) for config in self.noted("space") or []]

    # ---- trials ---------------------------------------------------------------------------------------------------------------------

    def frozen(self) -> list[Any]:
        """All trials as Optuna knows them."""
        return self.study.get_trials(deepcopy=False)

    def begin(self, raw: dict[str, Any], hp: HyperParameters) -> Any:
        """A new trial that runs, of Optuna's, with these values; one line of the journal."""
        kinds = {p.name: p.distribution(optuna) for p in hp.space if p.name in raw}
        new = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING, params=raw, distributions=kinds,
            user_attrs={"values": json.dumps(hp.values)},
        )  # fmt: skip
        number = self.study._storage.create_new_trial(self.study._study_id, template_trial=new)
        return optuna.trial.Trial(self.study, number)

    def trials(self) -> list[Trial]:
        """All trials."""
        space = self.space()
        return [self._trial(t, space) for t in self.frozen()]

    def _trial(self, frozen: Any, space: list[Parameter]) -> Trial:
        states = optuna.trial.TrialState
        names = {
            states.RUNNING: RUNNING,
            states.COMPLETE: COMPLETED,
            states.PRUNED: STOPPED,
            states.FAIL: FAILED,
            states.WAITING: RUNNING,
        }
        hp = HyperParameters()
        hp.space, hp.values = list(space), json.loads(frozen.user_attrs["values"])
        own = {**frozen.user_attrs, **frozen.user_attrs.get("result", {})}
        return Trial(
            frozen.number, hp, names[frozen.state], own.get("score"), own.get("best_step"), own.get("message", ""),
            {int(k): v for k, v in own.get("scores", frozen.intermediate_values).items()},
        )  # fmt: skip

    def end(self, trial: Any, state: Any, value: float | None = None, **attributes: Any) -> None:
        """A trial of Optuna's has ended in this state, with what is to be known of it; one writing of the journal."""
        with self.quiet(), self._journal.at_once():
            for name, attribute in attributes.items():
                trial.set_user_attr(name, attribute)
            self.study.tell(trial, value, state=state)

    def path(self, number: int, *names: str) -> str:
        """A path in a trial's folder."""
        return os.path.join(self.folder, f"trial_{number:04d}", *names)

    # ---- who runs which -------------------------------------------------------------------------------------------------------------

    def hold(self, number: int) -> bool:
        """Whether the trial is this process's from now on: while it lives, no other gets it."""
        os.makedirs(self.path(number), exist_ok=True)
        file = open(self.path(number, "running"), "w")  # noqa: SIM115  (it is held while the trial runs)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._held[number] = file
        return True

    def let_go(self, number: int) -> None:
        """The trial has ended, or another process holds it for this one."""
        file = self._held.pop(number, None)
        if file is not None:
            file.close()

    def orphan(self) -> Any:
        """A trial whose process has ended before it, which is this one's now; None if there is none."""
        running = optuna.trial.TrialState.RUNNING
        for frozen in self.frozen():
            if frozen.state == running and frozen.number not in self._held and self.hold(frozen.number):
                return optuna.trial.Trial(self.study, frozen._trial_id)
        return None

    def running_here(self) -> int:
        """How many trials run on this machine now, this process's among them."""
        running = optuna.trial.TrialState.RUNNING
        count = 0
        for frozen in self.frozen():
            if frozen.state != running:
                continue
            if frozen.number in self._held or not self.hold(frozen.number):
                count += 1
            else:
                self.let_go(frozen.number)
        return count
