"""A search whose trials Ray Tune runs, on this machine or a cluster.

Ray asks this process for configurations, which come from the search's own sampler and journal, and runs each in a worker, which reads and
writes the search's folder: on a cluster it must lie where all machines see it.
"""

from typing import Any

from mlkit.callbacks.callback import Callback
from mlkit.core.deferred import Deferred
from mlkit.tuner.devices import resources
from mlkit.tuner.hyperparameters import HyperParameters

_MISSING = 'engine="ray" needs Ray Tune, which is not installed: pip install "ray[tune]"'
tune, searching = Deferred("ray.tune", _MISSING), Deferred("ray.tune.search", _MISSING)


def _proposals(tuner: Any) -> Any:
    """What hands Ray the trials that a search claims."""

    class Proposals(searching.Searcher):
        numbers: dict[str, int] = {}

        def suggest(self, trial_id: str) -> Any:
            claimed = tuner.claim()
            if claimed is None:
                return searching.Searcher.FINISHED
            trial, hp = claimed
            self.numbers[trial_id] = trial.number
            return {"number": trial.number, "values": dict(hp.values)}

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            """A worker has ended; one that died has not said what became of its trial."""
            number = self.numbers.pop(trial_id, None)
            if number is not None:
                tuner.release(number, "The worker ended before the trial: look at Ray's log." if error else "")

        def save(self, checkpoint_path: str) -> None:
            """Nothing: the journal has all."""

        def restore(self, checkpoint_path: str) -> None:
            """Nothing: the journal has all."""

    return Proposals()


class Report(Callback):
    """Tells Ray the logs of each epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        tune.report(dict(logs or {}))


def search(tuner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Run the trials of a search under Ray Tune, as many at a time as Ray finds cores, or GPUs where there are some."""
    given = kwargs.get("callbacks") or []
    callbacks = [*(given if isinstance(given, (list, tuple)) else [given]), Report()]
    work = tune.with_parameters(_work, tuner=tuner, args=args, kwargs={**kwargs, "callbacks": callbacks, "verbose": 0})
    tune.Tuner(
        tune.with_resources(work, resources()),
        tune_config=tune.TuneConfig(search_alg=_proposals(tuner), num_samples=-1),
        run_config=tune.RunConfig(name="ray", storage_path=tuner.project_dir, verbose=0),
    ).fit()


def _work(config: dict[str, Any], tuner: Any, args: Any, kwargs: dict[str, Any]) -> None:
    """In a worker: run a trial."""
    hp = HyperParameters()
    hp.space, hp.values = tuner.space(), dict(config["values"])
    tuner.run_trial(tuner.trial_of(config["number"]), hp, args, kwargs)
