"""Cross-validation: the recipe once for each of several parts of the photos, which the others are judged by."""

import copy
import dataclasses
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from mlkit.finetuning.output_folder import OutputFolder
from mlkit.models import Model


@dataclasses.dataclass(repr=False)
class Folds:
    """What `finetune` returns for `k_folds`.

    Attributes:
        runs: a `FineTuned` for each part.
        monitor: the value that was watched.
        interrupted: whether Ctrl-C stopped it, so that folds are missing or not trained to the end.
    """

    runs: list
    monitor: str
    interrupted: bool = False

    @property
    def values(self) -> list[float]:
        """The best value of each fold."""
        return [run.best for run in self.runs]

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(np.mean(self.values))

    @property
    def spread(self) -> float:
        """Their standard deviation, of a sample; NaN for one alone."""
        return float(np.std(self.values, ddof=1)) if len(self.runs) > 1 else float("nan")

    def __repr__(self) -> str:
        stopped = ", interrupted" if self.interrupted else ""
        return f"<Folds {self.monitor} {self.mean:.4g} ± {self.spread:.2g} in {len(self.runs)} folds{stopped}>"


def run_folds(plan: Callable[..., Any], k_folds: int, arguments: dict[str, Any]) -> Folds:
    """Run the recipe for each fold.

    plan: makes a plan of arguments. arguments: those of `finetune`, whose `output` gets a folder `fold_1` ... within.
    """
    if isinstance(k_folds, bool) or not isinstance(k_folds, (int, np.integer)) or k_folds < 2:
        raise ValueError(f"finetune: `k_folds` must be a whole number, 2 or more, but is {k_folds!r}.")
    if not isinstance(arguments["train"], (str, os.PathLike)) or arguments["validation"] is not None:
        raise ValueError(
            "finetune: `k_folds` cuts a folder of photos, with one sub-folder a class, into parts; leave `validation` out "
            "(from the command line: pass the folder of the training photos)."
        )
    if arguments["save_to"] is not None:
        raise ValueError("finetune: `k_folds` gives a model for each part: pass `output`, a folder, in place of `save_to`.")
    if arguments["output"] is not None:
        OutputFolder(arguments["output"]).check_for_several()
    start = arguments["model"]
    done, monitor = [], ""
    for i in range(k_folds):
        model = copy.deepcopy(start) if isinstance(start, Model) else start  # each fold begins with the same weights
        output = None if arguments["output"] is None else os.path.join(arguments["output"], f"fold_{i + 1}")
        planned = plan(**{**arguments, "model": model, "output": output, "fold": (i, int(k_folds))})
        done.append(planned.run())
        monitor = planned.settings["monitor"]
        if done[-1].interrupted:
            break
    return Folds(done, monitor, done[-1].interrupted)
