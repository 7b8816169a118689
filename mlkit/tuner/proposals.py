"""Which configuration is tried next: a sampler's, or the next of a grid; never one that was tried."""

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

from mlkit.tuner.hyperparameters import HyperParameters
from mlkit.tuner.parameters import Parameter
from mlkit.tuner.store import Store, optuna

_FAR = 7919  # between the numbers of two attempts
_ATTEMPTS = 30  # of a sampler that repeats itself, before what is left is looked for


def propose(store: Store, space: list[Parameter], sampler: Callable[[int], Any] | None) -> tuple[Any, HyperParameters] | None:
    """A new trial of Optuna's and its values; None where all configurations have run. To be called while the store is `alone`.

    sampler: function of a number, so that a search that is taken up goes on as it would have; None for a grid.
    """
    tried = {key_of(json.loads(t.user_attrs["values"])) for t in store.frozen()}
    number = len(store.study.get_trials(deepcopy=False))
    for attempt in range(_ATTEMPTS if sampler is not None else 0):
        with store.quiet():
            raw, hp = _sampled(store, sampler(number + attempt * _FAR), space)
        if key_of(hp.values) not in tried:
            return store.begin(raw, hp), hp
    for raw, hp in _grid(space):
        if key_of(hp.values) not in tried:
            return store.begin(raw, hp), hp
    return None


def key_of(values: dict[str, Any]) -> str:
    """By which two configurations are the same."""
    return json.dumps(values, sort_keys=True)


def grid_size(space: list[Parameter]) -> int | None:
    """How many configurations there are; None for a space that is not finite."""
    return sum(1 for _ in _grid(space)) if all(p.is_finite for p in space) else None


def _sampled(store: Store, sampler: Any, space: list[Parameter]) -> tuple[dict[str, Any], HyperParameters]:
    """Raw values and values of the parameters that count, drawn by a sampler of Optuna's in a copy of the study: what is not taken leaves
    nothing in the journal."""
    copied = optuna.create_study(direction=store.study.direction, sampler=sampler)
    if not isinstance(sampler, optuna.samplers.RandomSampler):
        copied.add_trials(store.frozen())
    trial, hp, raw = copied.ask(), HyperParameters(), {}
    hp.space = list(space)
    for parameter in space:
        if not hp.is_active(parameter):
            continue
        kind = parameter.distribution(optuna)
        if isinstance(kind, optuna.distributions.CategoricalDistribution):
            raw[parameter.name] = trial.suggest_categorical(parameter.name, kind.choices)
        elif kind is not None:
            whole = isinstance(kind, optuna.distributions.IntDistribution)
            suggest = trial.suggest_int if whole else trial.suggest_float
            raw[parameter.name] = suggest(parameter.name, kind.low, kind.high, log=kind.log)
        hp.values[parameter.name] = parameter.value_of(raw.get(parameter.name))
    return raw, hp


def _grid(space: list[Parameter]) -> Iterator[tuple[dict[str, Any], HyperParameters]]:
    """All configurations of a space, the last parameter changing fastest: raw values and values, those alone that count."""
    seen = set()
    for raws in itertools.product(*(p.grid() for p in space)):
        hp, raw = HyperParameters(), {}
        hp.space = list(space)
        for parameter, own in zip(space, raws):
            if hp.is_active(parameter):
                hp.values[parameter.name] = parameter.value_of(own)
                if own is not None:
                    raw[parameter.name] = own
        if (key := key_of(hp.values)) not in seen:
            seen.add(key)
            yield raw, hp
