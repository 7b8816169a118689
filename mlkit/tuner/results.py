"""Searches in words."""

from typing import Any

from mlkit.pictures.charts import LineChart
from mlkit.tuner.parameters import Parameter
from mlkit.tuner.trial import COMPLETED, RUNNING


def search_text(tuner: Any, count: int) -> str:
    """The best trials of a search."""
    followed = tuner.followed
    lines = ["Results summary", f"Results in {tuner.project_dir}", f"Showing {count} best trials"]
    lines.append(f'Objective(name="{followed.name}", direction="{followed.direction}")')
    best = tuner.get_best_trials(count)
    for trial in best:
        lines += ["", trial.text()]
    others = [t for t in tuner.trials if t.status not in (COMPLETED, RUNNING)]
    lines += [
        f"\nTrial {t.trial_id}: {t.status}{': ' + t.message if t.message else ''}" for t in others[: max(0, count - len(best))]
    ]
    return "\n".join(lines)


def search_chart(tuner: Any) -> LineChart:
    """The score of each trial and the best so far."""
    scored = [t for t in tuner.trials if t.score is not None and t.status == COMPLETED]
    numbers, scores, best = [t.number for t in scored], [t.score for t in scored], []
    for score in scores:
        best.append(score if not best or tuner.followed.is_better(score, best[-1]) else best[-1])
    lines = {"trial": (numbers, scores), "best so far": (numbers, best)}
    return LineChart(lines, "Search", "trial", tuner.followed.name)


def space_text(space: list[Parameter], extended: bool) -> str:
    """The parameters of a space."""
    lines = ["Search space summary", f"Default search space size: {len(space)}"]
    for parameter in space:
        lines.append(f"{parameter.name} ({parameter.kind})\n  {parameter.shown()}")
        if extended:
            lines += [f"  where {parent} is one of {list(values)}" for parent, values in parameter.conditions]
    return "\n".join(lines)
