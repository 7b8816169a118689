"""The same fine-tuning from several seeds: how much of a result is chance."""

import dataclasses
import os
import statistics
from collections.abc import Iterable

from mlkit.finetuning.output_folder import OutputFolder
from mlkit.finetuning.recipe import FineTuned, plan
from mlkit.pictures.picture import Page, Paged
from mlkit.pictures.table import Table


@dataclasses.dataclass(repr=False)
class SeveralRuns(Paged):
    """What `finetune_several` returns.

    Attributes:
        best: the `FineTuned` with the best value.
        values: seed -> best value of its run.
        monitor: what that is.
    """

    best: FineTuned
    values: dict
    monitor: str

    title = "Several runs"

    @property
    def mean(self) -> float:
        """The mean of the runs."""
        return statistics.fmean(self.values.values())

    @property
    def spread(self) -> float:
        """Their standard deviation."""
        return statistics.stdev(self.values.values()) if len(self.values) > 1 else 0.0

    def __str__(self) -> str:
        return describe(self.values, self.monitor)

    def __repr__(self) -> str:
        return f"<SeveralRuns {self}>"

    def _page(self):
        return Page(self.title, str(self), Table(["seed", self.monitor], [[s, float(v)] for s, v in self.values.items()]))


def describe(values, monitor: str) -> str:
    """The values of several runs in words.

    >>> describe({0: 0.9, 1: 0.94}, "val_accuracy")
    'val_accuracy 0.92 ± 0.028 (mean and standard deviation of 2 runs: 0.9, 0.94)'
    """
    mean, spread = statistics.fmean(values.values()), statistics.stdev(values.values()) if len(values) > 1 else 0.0
    shown = ", ".join(f"{v:.4g}" for v in values.values())
    return f"{monitor} {mean:.4g} ± {spread:.2g} (mean and standard deviation of {len(values)} runs: {shown})"


def finetune_several(model, train, validation=None, *, seeds=3, **options) -> SeveralRuns:
    """Fine-tune from several seeds, each with another split (where a folder is split), head and order of photos.

    Args:
        model, train, validation, options: as for `finetune`. `output` holds a folder for each seed.
        seeds: how many, or a list of them.

    Returns:
        A `SeveralRuns`; of the models only the best is kept.
    """
    given, seeds = seeds, _listed(seeds)
    if "seed" in options:
        raise ValueError("finetune_several: pass `seeds`, a list of them, in place of `seed`.")
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"finetune_several: `seeds` must be a number from 1 on or a list of different seeds, but is {given!r}."
        )
    output, save_to = options.pop("output", None), options.pop("save_to", None)
    if output is not None:
        OutputFolder(output).check_for_several()
    best, values, monitor = None, {}, ""
    for seed in seeds:
        place = None if output is None else folder_of(output, seed)
        planned = plan(model, train, validation, seed=seed, output=place, **options)
        done = planned.run()
        values[seed], monitor = done.best, planned.settings["monitor"]
        if done.interrupted:
            raise KeyboardInterrupt
        if best is None or is_better(done.best, best.best, monitor):
            best = done
    if save_to is not None:
        best.model.save(save_to)
    return SeveralRuns(best, values, monitor)


def _listed(seeds):
    """The seeds that a number of them or a list of them stands for; none if it is neither."""
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        return list(range(seeds))
    return list(seeds) if isinstance(seeds, Iterable) else []


def folder_of(output, seed) -> str:
    """Where the run of a seed is kept."""
    return os.path.join(os.fspath(output), f"seed_{seed}")


def is_better(value, other, monitor: str) -> bool:
    """Whether a value of what is monitored is the better one."""
    return value < other if monitor.endswith(("loss", "error")) else value > other
