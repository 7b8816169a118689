"""HyperModel: how a model is built and trained for given hyper-parameters."""

from collections.abc import Callable
from typing import Any

from mlkit.tuner.hyperparameters import HyperParameters


class HyperModel:
    """Base of what a search builds: override `build`, and `fit` where training depends on hyper-parameters too.

    Args:
        name: Of the search, for summaries.
        tunable: Only True: there is nothing to search otherwise.
    """

    def __init__(self, name: str | None = None, tunable: bool = True):
        if not tunable:
            raise ValueError("HyperModel: tunable=False leaves nothing to search. Use hp.Fixed for what is to stay.")
        self.name, self.tunable = name, tunable

    def build(self, hp: HyperParameters) -> Any:
        """A compiled model.

        Args:
            hp: Asked for the values.
        """
        raise NotImplementedError(f"{type(self).__name__} must define build(self, hp).")

    def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Train it. The arguments are those of `search`; pass `callbacks` on to `model.fit`.

        Returns:
            What `model.fit` returns; or the objective as a number; or a dict of numbers by name.
        """
        return model.fit(*args, **kwargs)


class FunctionModel(HyperModel):
    """One that a function hp -> model builds."""

    def __init__(self, build: Callable[[HyperParameters], Any]):
        super().__init__(getattr(build, "__name__", None))
        self._build = build

    def build(self, hp: HyperParameters) -> Any:
        return self._build(hp)


def hypermodel_of(given: Any) -> HyperModel:
    """A HyperModel, or a function that builds a model."""
    if isinstance(given, HyperModel):
        return given
    if callable(given):
        return FunctionModel(given)
    raise ValueError(f"`hypermodel` must be a HyperModel or a function of hp that returns a compiled model, but got {given!r}.")
