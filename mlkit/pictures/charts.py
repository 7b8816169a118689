"""Charts of lines, and learning curves."""

import math

import numpy as np

from mlkit.pictures.picture import Page, Picture
from mlkit.pictures.words import escaped, in_figure, shorter

COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 560, 300, 62, 16, 34, 46
_ROW, _LETTER = 15, 7  # height of a row of the legend, width of a letter at most on average


class LineChart(Picture):
    """Lines over a common axis.

    Args:
        lines: dict from label to `(x, y)`, arrays of one length; points that are not finite are left out.
        title, x_label, y_label: texts.
        log_x: whether the x axis is logarithmic.
        marks: dict from label to an x where a vertical line stands.

    >>> chart = LineChart({"loss": ([1, 2, 3], [1.0, 0.5, 0.4])}, "Training", "epoch", "loss")
    >>> chart.html().startswith("<svg")
    True
    """

    def __init__(self, lines, title: str = "", x_label: str = "", y_label: str = "", log_x: bool = False, marks=None):
        self.lines = {label: _finite(*line) for label, line in lines.items()}
        self.title, self.x_label, self.y_label, self.log_x, self.marks = title, x_label, y_label, log_x, marks or {}

    def html(self):
        xs = [*(x for line in self.lines.values() for x in line[0]), *self.marks.values()]
        ys = [y for line in self.lines.values() for y in line[1]]
        whole = self._counts()
        x_ticks, y_ticks = _powers(xs) if self.log_x else _round_ticks(xs, whole=whole), _round_ticks(ys)
        x_at = _scale([*xs, *x_ticks], _LEFT, _WIDTH - _RIGHT, self.log_x)
        y_at = _scale([*ys, *y_ticks], _HEIGHT - _BOTTOM, _TOP)
        parts = [*self._frame(x_ticks, y_ticks, x_at, y_at), *self._marks(x_at)]
        for (x, y), color in zip(self.lines.values(), _cycled(len(self.lines))):
            points = " ".join(f"{x_at(a):.1f},{y_at(b):.1f}" for a, b in zip(x, y))
            parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.8"/>')
            if len(x) == 1:
                parts.append(f'<circle cx="{x_at(x[0]):.1f}" cy="{y_at(y[0]):.1f}" r="3" fill="{color}"/>')
        legend, taken = self._legend()
        height = _HEIGHT + taken
        head = f'<g font-weight="bold">{_text((_LEFT + _WIDTH - _RIGHT) / 2, 20, shorter(self.title, 60))}</g>{"".join(legend)}'
        body = f'<rect width="{_WIDTH}" height="{height}" fill="white"/>{head}<g transform="translate(0 {taken})">{"".join(parts)}</g>'
        size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">{body}</svg>'

    def _counts(self):
        """Whether the x axis counts something, such as epochs: its ticks are whole numbers then."""
        return all(float(x).is_integer() for line in self.lines.values() for x in line[0])

    def _legend(self):
        """What the lines and marks are, in rows above the plot, where nothing is drawn; and the height that the rows take."""
        entries = [(shorter(label, 40), color, None) for label, color in zip(self.lines, _cycled(len(self.lines)))]
        entries += [(shorter(label, 40), "#888", "4 3") for label in self.marks]
        parts, x, y = [], _LEFT, _TOP + 4
        for label, color, dashes in entries:
            width = 24 + _LETTER * len(label)
            if x > _LEFT and x + width > _WIDTH - _RIGHT:
                x, y = _LEFT, y + _ROW
            parts.append(_line(x, y - 4, x + 18, y - 4, color, dashes) + _text(x + 24, y, label, "start"))
            x += width + 16
        return parts, y - _TOP + _ROW - 4 if entries else 0

    def _frame(self, x_ticks, y_ticks, x_at, y_at):
        bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        for x in x_ticks:
            yield _line(x_at(x), bottom, x_at(x), _TOP, "#e6e6e6") + _text(x_at(x), bottom + 16, f"{x:g}")
        for y in y_ticks:
            yield _line(_LEFT, y_at(y), right, y_at(y), "#e6e6e6") + _text(_LEFT - 6, y_at(y) + 4, f"{y:g}", "end")
        yield _line(_LEFT, bottom, right, bottom, "#444") + _line(_LEFT, bottom, _LEFT, _TOP, "#444")
        yield _text((_LEFT + right) / 2, _HEIGHT - 10, shorter(self.x_label, 60))
        middle = (bottom + _TOP) / 2
        yield f'<g transform="rotate(-90 14 {middle})">{_text(14, middle, shorter(self.y_label, 36))}</g>'

    def _marks(self, x_at):
        for x in self.marks.values():
            yield _line(x_at(x), _HEIGHT - _BOTTOM, x_at(x), _TOP, "#888", "4 3")

    def draw(self, figure):
        axes = figure.add_subplot()
        for label, (x, y) in self.lines.items():
            axes.plot(x, y, marker="o" if len(x) == 1 else None, label=_in_legend(label))
        for label, x in self.marks.items():
            axes.axvline(x, color="gray", linestyle="--", label=_in_legend(label))
        axes.set(title=in_figure(self.title, 60), xlabel=in_figure(self.x_label, 40), ylabel=in_figure(self.y_label, 40))
        axes.set_xscale("log" if self.log_x else "linear")
        if self._counts() and not self.log_x:
            axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        if self.lines or self.marks:
            figure.legend(loc="outside lower center", ncols=2)  # below the plot, where no line runs


def learning_curves(history, head_epochs: int = 0):
    """Loss and metrics by epoch, training and validation together.

    Args:
        history: what `fit` returns, its dict, or what `mlkit.finetune` returns.
        head_epochs: a mark after that many epochs, where all layers began to train; taken from a `FineTuned`.

    Returns:
        A `Page` with a chart for the loss and one for each metric.

    >>> curves = learning_curves({"loss": [1.0, 0.5], "val_loss": [1.1, 0.7], "accuracy": [0.5, 0.8]})
    >>> [sorted(chart.lines) for chart in curves.parts]
    [['training', 'validation'], ['training']]
    """
    head_epochs = getattr(history, "head_epochs", head_epochs)
    logs = getattr(history, "history", history)
    names = list(dict.fromkeys(name.removeprefix("val_") for name in logs))
    if not names:
        raise ValueError("learning_curves: the history is empty. Did `fit` run?")
    epochs = max(map(len, logs.values()))
    marks = {"all layers": head_epochs + 0.5} if 0 < head_epochs < epochs else {}
    charts = []
    for name in names:
        lines = {k: logs[n] for k, n in (("training", name), ("validation", f"val_{name}")) if n in logs}
        lines = {k: (np.arange(1, len(values) + 1), values) for k, values in lines.items()}
        charts.append(LineChart(lines, name, "epoch", name, marks=marks))
    return Page("Learning curves", *charts)


def _finite(x, y):
    x, y = np.asarray(x, "float64"), np.asarray(y, "float64")
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"LineChart: a line must be (x, y), arrays of one length, but has shapes {x.shape} and {y.shape}.")
    good = np.isfinite(x) & np.isfinite(y)
    return x[good], y[good]


def _in_legend(label):
    """A label as a figure has it: matplotlib leaves out those that begin with an underscore, and empty ones."""
    text = in_figure(label)
    return text if text and not text.startswith("_") else f" {text}"


def _cycled(count):
    return [COLORS[i % len(COLORS)] for i in range(count)]


def _scale(values, first, last, log=False):
    """The function from values to places on the page."""
    place = math.log10 if log else float
    low, high = (place(f(values)) for f in (min, max)) if values else (0.0, 1.0)
    span = high - low or 1.0
    return lambda v: first + (place(v) - low) / span * (last - first)


def _round_ticks(values, about=5, whole=False):
    """Round numbers around the values, at steps of 1, 2 or 5 times a power of 10; whole numbers if wanted.

    >>> _round_ticks([0.0, 1.1]), _round_ticks([1, 3], whole=True)
    ([0.0, 0.5, 1.0], [1, 2, 3])
    """
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    step = 10 ** math.floor(math.log10((high - low) / about))
    step *= next(f for f in (1, 2, 5, 10) if (high - low) / (f * step) <= about)
    step = max(1, round(step)) if whole else step
    return [round(i * step, 12) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _powers(values):
    """The powers of 10 within the values."""
    low, high = math.ceil(math.log10(min(values)) - 1e-9), math.floor(math.log10(max(values)) + 1e-9)
    return [10.0**n for n in range(low, high + 1)]


def _line(x1, y1, x2, y2, color, dashes=None):
    style = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"{style}/>'


def _text(x, y, text, anchor="middle", color="#333"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{escaped(text)}</text>'
