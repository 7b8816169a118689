"""The searches: at random, over a grid, with a model of the objective, with successive halving."""

import math
from typing import Any

from mlkit.tuner.store import optuna
from mlkit.tuner.tuner import Tuner


class RandomSearch(Tuner):
    """Draws configurations at random. The arguments are those of `Tuner`.

    Example: `RandomSearch(build, "val_loss", max_trials=20, directory="searches", project_name="first")`
    """

    def sampler(self, seed: int) -> Any:
        return optuna.samplers.RandomSampler(seed=seed % 2**32)


class GridSearch(Tuner):
    """Tries all configurations one after another; ranges without a step at ten places. The arguments are those of `Tuner`; `max_trials`
    is None unless given."""

    draws = False

    def __init__(self, hypermodel: Any = None, objective: Any = None, max_trials: int | None = None, **kwargs: Any):
        super().__init__(hypermodel, objective, max_trials, **kwargs)


class BayesianOptimization(Tuner):
    """Draws where a model of the results so far expects improvement: a tree-structured Parzen estimator (Bergstra et al. 2011, NIPS), in
    which parameters are seen together. KerasTuner has a Gaussian process here, whose `alpha` and `beta` have no meaning for this.

    Args:
        num_initial_points: Trials at random before; three for each parameter unless given.
        **kwargs: Of `Tuner`.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        num_initial_points: int | None = None,
        **kwargs: Any,
    ):
        unknown = {"alpha", "beta"} & set(kwargs)
        if unknown:
            raise ValueError(
                f"BayesianOptimization: {sorted(unknown)} belong to a Gaussian process; here a Parzen estimator draws."
            )
        self.num_initial_points = num_initial_points
        super().__init__(hypermodel, objective, max_trials, **kwargs)

    def sampler(self, seed: int) -> Any:
        points = self.num_initial_points or 3 * max(1, len(self._store.space()))
        return optuna.samplers.TPESampler(
            n_startup_trials=points, multivariate=True, group=True, seed=seed % 2**32, warn_independent_sampling=False
        )


class Hyperband(Tuner):
    """Begins many configurations and ends most of them early, in brackets that do so more or less boldly (Li et al. 2018, JMLR 18).

    Args:
        max_epochs: Of a configuration that is not ended.
        factor: One of so many goes on at each rung.
        hyperband_iterations: How often to go through all brackets, which gives the number of trials.
        **kwargs: Of `Tuner`, but for `max_trials` and `pruner`.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_epochs: int = 100,
        factor: int = 3,
        hyperband_iterations: int = 1,
        **kwargs: Any,
    ):
        if not isinstance(max_epochs, int) or max_epochs < 1:
            raise ValueError(f"Hyperband: `max_epochs` must be a whole number from 1 on, but got {max_epochs!r}.")
        if not isinstance(factor, int) or factor < 2:
            raise ValueError(f"Hyperband: `factor` must be a whole number from 2 on, but got {factor!r}.")
        if not isinstance(hyperband_iterations, int) or hyperband_iterations < 1:
            raise ValueError(
                f"Hyperband: `hyperband_iterations` must be a whole number from 1 on, but got {hyperband_iterations!r}."
            )
        if given := {"max_trials", "pruner"} & set(kwargs):
            raise ValueError(f"Hyperband: {sorted(given)} follow from max_epochs, factor and hyperband_iterations.")
        self.max_epochs, self.factor = max_epochs, factor
        brackets = math.floor(math.log(max_epochs, factor) + 1e-9)
        starts = [math.ceil((brackets + 1) / (s + 1) * factor**s) for s in range(brackets + 1)]
        pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max_epochs, reduction_factor=factor)
        super().__init__(hypermodel, objective, sum(starts) * hyperband_iterations, pruner=pruner, **kwargs)

    def sampler(self, seed: int) -> Any:
        return optuna.samplers.RandomSampler(seed=seed % 2**32)

    def _fit_arguments(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        if kwargs.get("epochs", self.max_epochs) != self.max_epochs:
            raise ValueError(
                f"Hyperband: epochs={kwargs['epochs']}, but `max_epochs` is {self.max_epochs}. Leave `epochs` out."
            )
        return {**kwargs, "epochs": self.max_epochs}
