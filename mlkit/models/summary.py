"""The table of a model's layers: as text, and as HTML for notebooks."""

import re
from collections.abc import Sequence
from typing import Any

from mlkit.core import dtypes, tree
from mlkit.core.deferred import Deferred
from mlkit.core.spec import show

html = Deferred("html")  # its table of entities takes longer to import than this module

_NESTED = "  "


def rows(
    model: Any, expand_nested: bool = False, layer_range: Sequence[str] | None = None, depth: int = 0
) -> list[tuple[Any, ...]]:
    """(depth, name, type, output shape, number of parameters, Y, N or "frozen", names of the layers it is connected to) for
    each layer."""
    found = []
    own = {id(node) for node in model._graph._nodes} if getattr(model, "_graph", None) is not None else set()
    for layer in _selected(model.layers, layer_range):
        nodes = getattr(layer, "_inbound_nodes", [])
        nodes = [n for n in nodes if id(n) in own] or nodes  # not its calls in other models
        shape = tree.map_structure(lambda t: show(t.spec.shape), nodes[0].outputs) if nodes else "?"
        sources = sorted({t._keras_history.operation.name for n in nodes for t in n.input_tensors}) if nodes else []
        count = layer.count_params() if layer.built else None
        found.append((depth, layer.name, type(layer).__name__, shape, count, _trainable(layer), sources))
        if expand_nested and getattr(layer, "layers", None):
            found += rows(layer, True, None, depth + 1)
    return found


def _trainable(layer):
    """Whether it trains, for the table: a frozen layer is also shut off from noise and statistics (`Model.freeze`)."""
    within = [x for x in layer._flatten_layers(include_self=False) if x.weights]
    if layer._frozen:
        return "frozen"
    if within and layer.trainable and any(x._frozen for x in within):
        return "partly"
    return "-" if layer.built and not layer.weights else "Y" if layer.trainable else "N"


def _selected(layers, layer_range):
    if layer_range is None:
        return layers
    if len(layer_range) != 2 or not all(isinstance(p, str) for p in layer_range):
        raise ValueError(f"summary: `layer_range` must be two layer names (or patterns), but got {layer_range!r}.")
    places = [[i for i, layer in enumerate(layers) if re.match(p, layer.name)] for p in layer_range]
    if not all(places):
        raise ValueError(
            f"summary: `layer_range` {layer_range!r} matches no layers. Layers: {[layer.name for layer in layers]}."
        )
    return layers[min(places[0]) : max(places[1]) + 1]


def totals(model: Any) -> list[str]:
    """Lines on the numbers of parameters, with their size in memory."""
    kinds = [("Total", model.weights), ("Trainable", model.trainable_weights), ("Non-trainable", model.non_trainable_weights)]
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and optimizer.built:
        kinds.append(("Optimizer", [v for v in optimizer.variables if v is not getattr(optimizer, "_iterations", None)]))
    lines = []
    for kind, variables in kinds:
        count, size = _count(variables)
        lines.append(f"{kind} params: {count:,} ({_readable(size)})")
    return lines


def _count(variables):
    sizes = [(v.numpy().size, dtypes.as_numpy(v._value.dtype).itemsize) for v in variables]
    return sum(n for n, _ in sizes), sum(n * b for n, b in sizes)


def _readable(size):
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.2f} {unit}"
        size /= 1024


def _cells(row, connected, trainable):
    depth, name, kind, shape, count, is_trainable, sources = row
    cells = [f"{_NESTED * depth}{name} ({kind})", str(shape), f"{count:,}" if count is not None else "? (unbuilt)"]
    if connected:
        cells.append(", ".join(sources) or "-")
    if trainable:
        cells.append(is_trainable)
    return cells


def _table(model: Any, expand_nested, show_trainable, layer_range):
    show_trainable = show_trainable or any(layer._frozen for layer in model._flatten_layers())
    connected = getattr(model, "_is_functional", False)
    header = ["Layer (type)", "Output Shape", "Param #"] + ["Connected to"] * connected + ["Trainable"] * show_trainable
    return header, [_cells(r, connected, show_trainable) for r in rows(model, expand_nested, layer_range)]


def summary_text(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> str:
    """The summary as text with aligned columns; too long cells are cut with an ellipsis where `line_length` or `positions` say
    so."""
    header, body = _table(model, expand_nested, show_trainable, layer_range)
    widths = [max(len(r[i]) for r in [header, *body]) + 2 for i in range(len(header))]
    if positions is not None:
        ends = [int(p * (line_length or 88)) if p <= 1 else int(p) for p in positions][: len(header)]
        widths = [b - a for a, b in zip([0, *ends], ends)] + widths[len(ends) :]
    elif line_length is not None and sum(widths) > line_length:
        widths[0] = max(8, widths[0] - (sum(widths) - line_length))

    def line(cells):
        cut = [c if len(c) < w else c[: w - 2] + "…" for c, w in zip(cells, widths)]
        return "".join(c.ljust(w) if i != 2 else c.rjust(w - 2) + "  " for i, (c, w) in enumerate(zip(cut, widths))).rstrip()

    rule = "─" * sum(widths)
    return "\n".join([f'Model: "{model.name}"', rule, line(header), rule, *map(line, body), rule, *totals(model)])


def summary_html(model: Any) -> str:
    """The summary as an HTML table."""
    header, body = _table(model, False, False, None)

    def line(cells, tag):
        return "<tr>" + "".join(f"<{tag} style='text-align:left'>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    table = "".join([line(header, "th"), *(line(r, "td") for r in body)])
    return f"<b>{html.escape(model.name)}</b><table>{table}</table>{'<br>'.join(totals(model))}"
