"""Tuner: the loop of a search."""

import copy
import json
import os
import random
import traceback
from typing import Any

import numpy as np

from mlkit import config
from mlkit.core.dtypes import as_numpy
from mlkit.models.saving.replacing import replacing
from mlkit.pictures.charts import LineChart
from mlkit.tuner import ray_engine
from mlkit.tuner.checks import check_counts, check_fit_arguments
from mlkit.tuner.devices import own_gpu
from mlkit.tuner.hypermodel import HyperModel, hypermodel_of
from mlkit.tuner.hyperparameters import HyperParameters
from mlkit.tuner.objective import Objective, objective_of
from mlkit.tuner.parameters import Parameter, changes_of
from mlkit.tuner.proposals import propose
from mlkit.tuner.results import search_chart, search_text, space_text
from mlkit.tuner.store import Store, optuna
from mlkit.tuner.trial import COMPLETED, FAILED, STOPPED, Trial
from mlkit.tuner.trial_callbacks import Score, TimedBackup, value_of
from mlkit.utils.console import print_message
from mlkit.utils.seed import set_random_seed
from mlkit.utils.session import clear_session

_DEFAULT = Objective("default_objective", "min")  # of a `fit` that returns the number itself
_WEIGHTS = "best_weights.npy"  # one array behind the other: an archive of them takes four times as long to write


class Tuner:
    """Searches hyper-parameters: base of the four searches, with the arguments that all take.

    A search is a folder, `directory/project_name`. Several processes that are started with the same folder share it; one that was killed
    is taken up again, its trial from the state that its training was in. No configuration runs twice.

    Args:
        hypermodel: A `HyperModel`, or a function hp -> compiled model.
        objective: A name of the logs ("val_loss"), an `Objective`, or None where `HyperModel.fit` returns the number (to be small).
        max_trials: How many configurations to try, by all processes together; None for all there are.
        seed: Of the samples and of each trial; the same gives the same search. Drawn where it is None.
        hyperparameters: Values and parameters to begin with.
        tune_new_entries, allow_new_entries: Whether parameters that are not in `hyperparameters` are searched, and allowed at all.
        max_retries_per_trial: How often a trial that fails is tried again.
        max_consecutive_failed_trials: The search ends with RuntimeError after so many failures in a row; None for never.
        executions_per_trial: How often each configuration is trained; the score is the mean.
        directory, project_name: Where the search is kept.
        overwrite: Whether to begin anew where there is a search already.
        pruner: None, "median", or a pruner of Optuna: ends trials early that do badly.
        backup_seconds: Least time between two backups of a trial's training.
        engine: "optuna": this process runs the trials. "ray": Ray Tune does, in workers of its own, as many at a time as it finds cores.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int | None = 3,
        executions_per_trial: int = 1,
        directory: str | os.PathLike | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
        pruner: Any = None,
        backup_seconds: float = 5.0,
        engine: str = "optuna",
    ):
        check_counts(
            type(self).__name__, max_trials, executions_per_trial, max_retries_per_trial, max_consecutive_failed_trials
        )
        if engine not in ("optuna", "ray"):
            raise ValueError(f"{type(self).__name__}: `engine` must be 'optuna' or 'ray', but got {engine!r}.")
        self.hypermodel: HyperModel = hypermodel_of(hypermodel)
        self.objective = objective_of(objective)
        self.max_trials, self.executions_per_trial = max_trials, executions_per_trial
        self.max_retries_per_trial, self.max_consecutive_failed_trials = max_retries_per_trial, max_consecutive_failed_trials
        self.tune_new_entries, self.allow_new_entries = tune_new_entries, allow_new_entries
        self.backup_seconds, self.engine = backup_seconds, engine
        self._cores: int | None = None
        self._given = hyperparameters or HyperParameters()
        first = self._built(self._given.copy())[1]
        folder = os.path.abspath(os.path.join(os.fspath(directory or "."), project_name or "untitled_project"))
        self._store = Store(folder, self.followed.direction, self._pruner(pruner), overwrite)
        with self._store.alone():
            self._take_up(first, seed)

    # ---- what the four searches differ in -------------------------------------------------------------------------------------------

    draws = True  # whether a sampler draws configurations; else they are those of a grid

    def sampler(self, seed: int) -> Any:
        """A sampler of Optuna's for one trial."""
        raise NotImplementedError(f"{type(self).__name__} must define sampler(self, seed).")

    def _pruner(self, given: Any) -> Any:
        if given is None:
            return optuna.pruners.NopPruner()
        if given == "median":
            return optuna.pruners.MedianPruner()
        if not isinstance(given, optuna.pruners.BasePruner):
            raise ValueError(
                f"{type(self).__name__}: `pruner` must be None, 'median' or a pruner of Optuna, but got {given!r}."
            )
        return given

    def _fit_arguments(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of `fit` for those of `search`."""
        return kwargs

    # ---- the search -----------------------------------------------------------------------------------------------------------------

    def search(self, *args: Any, **kwargs: Any) -> None:
        """Run trials until `max_trials` have run. The arguments are those of `fit`; callbacks are copied for each trial.

        Raises:
            ValueError: The objective will not be among the logs.
            RuntimeError: Too many trials in a row have failed, or each GPU has a process of the search already.
        """
        kwargs = self._fit_arguments(kwargs)
        check_fit_arguments(self, args, kwargs)
        if self.engine == "ray":
            return ray_engine.search(self, args, kwargs)
        try:
            with own_gpu(self._store.folder):
                while (claimed := self.claim()) is not None:
                    self.run_trial(*claimed, args, kwargs)
                    self._refuse_failures()
        finally:
            if self._cores is not None:
                config.set_num_threads(self._cores)
        return None

    def claim(self) -> tuple[Any, HyperParameters] | None:
        """A trial for this process to run: one that a killed process has left, or a new one. None where there are no more."""
        store = self._store
        with store.alone():
            trial = store.orphan()
            if trial is not None:
                hp = HyperParameters()
                hp.space, hp.values = store.space(), json.loads(trial.user_attrs["values"])
                return trial, hp
            if self.max_trials is not None and len(store.frozen()) >= self.max_trials:
                return None
            found = propose(store, store.space(), (lambda number: self.sampler(self._seed + number)) if self.draws else None)
            if found is None:
                return None
            trial, hp = found
            store.hold(trial.number)
            return trial, hp

    def trial_of(self, number: int) -> Any:
        """The trial of Optuna's with this number, which another process has claimed."""
        study = self._store.study
        return optuna.trial.Trial(study, study.get_trials(deepcopy=False)[number]._trial_id)

    def release(self, number: int, message: str = "") -> None:
        """A trial that another process ran for this one has ended; message: why it has failed, if it did not say so itself."""
        states, study = optuna.trial.TrialState, self._store.study
        if message and study.get_trials(deepcopy=False)[number].state == states.RUNNING:
            self._store.end(self.trial_of(number), states.FAIL, message=message)
        self._store.let_go(number)

    def space(self) -> list[Parameter]:
        """The parameters of the search, as far as they are known."""
        return self._store.space()

    def run_trial(self, trial: Any, hp: HyperParameters, args: Any, kwargs: dict[str, Any]) -> None:
        """Train a configuration, and keep what became of it. What goes wrong in it is its message."""
        store = self._store
        self._share_cores()
        states = optuna.trial.TrialState
        for attempt in range(self.max_retries_per_trial + 1):
            try:
                found = self._executed(trial, hp, args, kwargs)
            except Exception as error:
                if attempt < self.max_retries_per_trial:
                    continue
                with open(store.path(trial.number, "traceback.txt"), "w") as file:
                    file.write(traceback.format_exc())
                store.end(trial, states.FAIL, message=f"{type(error).__name__}: {error}")
                break
            if found.pop("pruned"):
                store.end(trial, states.PRUNED, result=found)
            else:
                store.end(trial, states.COMPLETE, found["score"], result=found)
            break
        store.let_go(trial.number)
        if kwargs.get("verbose", 1):
            print_message(self._told(trial.number))

    def _executed(self, trial: Any, hp: HyperParameters, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Run it as often as wanted: "score", the "scores" by epoch and the "best_step" of the best run, and whether it was "pruned"."""
        store, number = self._store, trial.number
        values = list(trial.user_attrs.get("executions", []))
        best: Score | None = None
        pruner = None if isinstance(store.study.pruner, optuna.pruners.NopPruner) else trial
        for k in range(len(values), self.executions_per_trial):
            clear_session(free_memory=False)
            set_random_seed((self._seed * 1_000_003 + number * 9176 + k) % 2**31)
            model, own = self._built(hp.copy())
            self._learn(trial, own)
            score = Score(self.followed, pruner if k == 0 else None)
            backup = TimedBackup(store.path(number, f"backup_{k}"), self.backup_seconds)
            fit = {**kwargs, "callbacks": [*copy.deepcopy(_as_list(kwargs.get("callbacks"))), score, backup]}
            result = self.hypermodel.fit(own, model, *args, **fit)
            self._learn(trial, own)  # `fit` may have asked for more
            values.append(self._value(result, score))
            if best is None or self.followed.is_better(values[-1], best.best):
                best, score.best = score, values[-1]
                if score.best_weights:
                    self._save_weights(number, score.best_weights)
            if self.executions_per_trial > 1:
                trial.set_user_attr("executions", values)
            if score.pruned:
                break
        found = {"score": float(np.mean(values)), "pruned": best is not None and best.pruned}
        return found | ({"best_step": best.best_step, "scores": best.scores} if best is not None else {})

    def _save_weights(self, number: int, weights: list[np.ndarray]) -> None:
        with replacing(self._store.path(number, _WEIGHTS), sync=False) as file:
            for array in weights:
                np.save(file, array, allow_pickle=False)

    def _value(self, result: Any, score: Score) -> float:
        """The objective, of what `fit` returned or of its epochs."""
        if isinstance(result, dict):
            return value_of(result, self.followed)
        if isinstance(result, (int, float, np.number)):
            return value_of({self.followed.name: result}, self.followed)
        if score.best is None:
            raise ValueError(
                f"The objective {self.followed.name!r} was never seen: pass the `callbacks` that HyperModel.fit gets on to model.fit, "
                "or return the objective from it."
            )
        return score.best

    @property
    def followed(self) -> Objective:
        """The objective, of which there is one always."""
        return self.objective or _DEFAULT

    def _built(self, hp: HyperParameters) -> tuple[Any, HyperParameters]:
        """A model for hyper-parameters, and these with all that building it asked for."""
        known = len(hp.space)
        model = self.hypermodel.build(hp)
        if model is None or not hasattr(model, "fit"):
            raise ValueError(f"The hypermodel must return a compiled model, but returned {model!r}.")
        new = [p.name for p in hp.space[known:]]
        if new and not self.allow_new_entries and hasattr(self, "_given"):
            raise ValueError(f"allow_new_entries=False, but the hypermodel asks for {new}, which `hyperparameters` lacks.")
        return model, hp

    # ---- the space ------------------------------------------------------------------------------------------------------------------

    def _take_up(self, first: HyperParameters, seed: int | None) -> None:
        """Note what the search is about, or compare with what it was about before."""
        store = self._store
        if not self.tune_new_entries:
            names = {p.name for p in self._given.space}
            first.space = [p for p in first.space if p.name in names]
        config = [json.loads(json.dumps(p.config())) for p in first.space]
        about = {"objective": [self.followed.name, self.followed.direction], "search": type(self).__name__}
        known = store.noted("first")
        if known is None:
            self._seed = random.SystemRandom().randrange(2**31) if seed is None else seed
            store.note("first", config)
            store.note("space", config)
            store.note("about", about)
            store.note("seed", self._seed)
            return
        self._seed = store.noted("seed")
        changes = changes_of(known, config)
        if store.noted("about") != about:
            changes.append(f"it was {store.noted('about')}, now it is {about}")
        if seed is not None and seed != self._seed:
            changes.append(f"its seed was {self._seed}, now it is {seed}")
        if changes:
            raise ValueError(
                f"The search in {store.folder} was about something else: {'; '.join(changes)}. Take another `project_name`, or pass "
                "overwrite=True to begin anew."
            )

    def _learn(self, trial: Any, hp: HyperParameters) -> None:
        """Note what a trial has asked for; parameters that are new are searched from the next trial on."""
        if hp.values != json.loads(trial.user_attrs["values"]):
            trial.set_user_attr("values", json.dumps(hp.values))
        if not self.tune_new_entries:
            return
        names = {p.name for p in self._store.space()}
        if all(p.name in names for p in hp.space):
            return
        with self._store.alone():
            space = self._store.space()
            names = {p.name for p in space}
            self._store.note("space", [p.config() for p in [*space, *(p for p in hp.space if p.name not in names)]])

    def _share_cores(self) -> None:
        """Trials that run beside this one on the machine get a share of the cores each."""
        if self._cores is None:
            self._cores = config.num_threads()
        config.set_num_threads(max(1, self._cores // max(1, self._store.running_here())))

    def _refuse_failures(self) -> None:
        last = [t for t in self.trials if t.status in (COMPLETED, STOPPED, FAILED)][
            -(self.max_consecutive_failed_trials or 1) :
        ]
        if self.max_consecutive_failed_trials and len(last) == self.max_consecutive_failed_trials:
            if all(t.status == FAILED for t in last):
                raise RuntimeError(
                    f"{len(last)} trials in a row have failed, the last with: {last[-1].message} The search ends; its folder "
                    f"{self._store.folder} has the tracebacks. (`max_consecutive_failed_trials`)"
                )

    # ---- results --------------------------------------------------------------------------------------------------------------------

    @property
    def trials(self) -> list[Trial]:
        """All trials, of all processes, in the order in which they began."""
        return self._store.trials()

    @property
    def oracle(self) -> "Tuner":
        """Itself: KerasTuner's scripts ask the oracle for trials."""
        return self

    @property
    def project_dir(self) -> str:
        """The folder of the search."""
        return self._store.folder

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """The trials that were completed, best first."""
        done = [t for t in self.trials if t.status == COMPLETED]
        sign = 1 if self.followed.direction == "min" else -1
        return sorted(done, key=lambda t: sign * t.score)[:num_trials]

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[HyperParameters]:
        """The hyper-parameters of the best trials, best first."""
        return [t.hyperparameters for t in self.get_best_trials(num_trials)]

    def get_best_models(self, num_models: int = 1) -> list[Any]:
        """The models of the best trials, with the weights of their best epoch.

        Raises:
            ValueError: A trial has kept no weights, or its model is not built.
        """
        found = []
        for trial in self.get_best_trials(num_models):
            path = self._store.path(trial.number, _WEIGHTS)
            if not os.path.exists(path):
                raise ValueError(f"Trial {trial.trial_id} has kept no weights: its `fit` did not pass the callbacks on.")
            model, _ = self._built(trial.hyperparameters.copy())
            if not model.built:
                raise ValueError("get_best_models: the hypermodel's model is not built. Begin it with an Input.")
            with open(path, "rb") as file:
                # (files of NumPy know 16 bits, not which floats they are)
                model.set_weights([np.load(file, allow_pickle=False).view(as_numpy(v.dtype)) for v in model.weights])
            found.append(model)
        return found

    def chart(self) -> LineChart:
        """The score of each trial and the best so far, as a picture that shows itself in notebooks."""
        return search_chart(self)

    def results_summary(self, num_trials: int = 10) -> None:
        """Print the best trials."""
        print(search_text(self, num_trials))

    def search_space_summary(self, extended: bool = False) -> None:
        """Print the parameters.

        Args:
            extended: With their conditions.
        """
        print(space_text(self._store.space(), extended))

    def _told(self, number: int) -> str:
        trial = next(t for t in self.trials if t.number == number)
        best = self.get_best_trials(1)
        said = f"{self.followed.name} {trial.score:.4g}" if trial.score is not None else trial.message
        so_far = f" Best so far: {best[0].score:.4g} (trial {best[0].trial_id})." if best else ""
        return f"Trial {trial.trial_id} {trial.status.lower()}: {said}.{so_far}"


def _as_list(callbacks: Any) -> list[Any]:
    return [] if callbacks is None else list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
