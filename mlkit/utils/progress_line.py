"""The text of a progress bar, fitted to a width: names give way, numbers never do."""

from mlkit.utils.console import shown_width

_LIVE_NAME, _LAST_NAME = 4, 12  # columns that a name keeps at least: in the line that moves, in the one that stays
_INDENT = "    "
_FULL, _REST = ("━", "="), ("╌", ".")  # of a bar: as it is best, and in ASCII


def moving_line(description, count, done, bar, times, values, width, plain=False) -> str:
    """One line that fits into `width` columns: bar and times give way first, then names, then the last values.

    done: share that is done, or None where unknown. bar: columns of the bar at most. values: list of (name, number as text).
    plain: whether the output shows ASCII only.

    >>> moving_line("Epoch 1/2", "3/4", 0.75, 8, "2s<1s", [("loss", "0.5000")], 50, plain=True)
    'Epoch 1/2 3/4 ======.. 2s<1s - loss: 0.5000'
    >>> moving_line("Epoch 1/2", "3/4", 0.75, 8, "2s<1s", [("categorical_accuracy", "0.5000")], 30, plain=True)
    'Epoch 1/2 3/4 - categ.: 0.5000'
    """
    heads = [[description, count, _bar(done, n, plain), times] for n in (bar, bar // 2)] + [[description, count, times]]
    heads = [" ".join(filter(None, head)) for head in [*heads, [description, count]]]
    for head in heads:
        text = _joined(head, values)
        if shown_width(text) <= width:
            return text
    kept = list(values)
    while kept:
        named = shortened(
            kept, width - shown_width(_joined(heads[-1], [("", number) for _, number in kept])), _LIVE_NAME, plain
        )
        if shown_width(text := _joined(heads[-1], named)) <= width:
            return text
        kept.pop()
    return _cut(heads[-1], width)


def last_lines(parts, values, width, plain=False) -> str:
    """What stays when a bar is full: all of it in one line, else the values in lines of their own below.

    parts: texts before the values. width: None for any.

    >>> last_lines(["Epoch 1/2", "4/4", "2s"], [("loss", "0.5000"), ("val_loss", "0.6000")], 60)
    'Epoch 1/2 - 4/4 - 2s - loss: 0.5000 - val_loss: 0.6000'
    >>> print(last_lines(["Epoch 1/2", "4/4", "2s"], [("loss", "0.5000"), ("val_loss", "0.6000")], 40))
    Epoch 1/2 - 4/4 - 2s
        loss: 0.5000 - val_loss: 0.6000
    """
    head = " - ".join(parts)
    text = _joined(head, values)
    if width is None or shown_width(text) <= width:
        return text
    space = width - shown_width(_INDENT + _joined("", [("", number) for _, number in values]))
    named = shortened(values, space, _LAST_NAME, plain)
    if shown_width(_INDENT + _joined("", named)) > width:  # several lines, then: their names may be as long as these
        named = [shortened([pair], width - shown_width(_INDENT + ": " + pair[1]), 1, plain)[0] for pair in values]
    items = [f"{name}: {number}" for name, number in named]
    return "\n".join([*_wrapped(parts, width), *_wrapped([_INDENT + items[0], *items[1:]] if items else [], width)])


def shortened(values, space, least, plain=False):
    """(name, number) pairs whose names fit into `space` columns together, if that takes none below `least`: the longest give
    way first, and stay different from one another.

    >>> shortened([("loss", "1"), ("categorical_accuracy", "2"), ("categorical_crossentropy", "3")], 20, 4, plain=True)
    [('loss', '1'), ('cate.acy', '2'), ('cate.opy', '3')]
    """
    widths = [shown_width(name) for name, _ in values]
    cap = max(widths, default=0)
    while cap > least and sum(min(w, cap) for w in widths) > space:
        cap -= 1
    dots = "." if plain else "…"
    short = [name if w <= cap else _cut(name, cap - 1) + dots for (name, _), w in zip(values, widths)]
    alike = [short.count(name) > 1 for name in short]
    for i, (name, _) in enumerate(values):
        if alike[i] and widths[i] > cap:  # told apart by their ends
            short[i] = _cut(name, cap // 2) + dots + _cut(name[::-1], (cap - 1) // 2)[::-1]
    return [(name, number) for name, (_, number) in zip(short, values)]


def _cut(text, width):
    """The beginning of a text that takes no more than so many columns."""
    while shown_width(text) > width:
        text = text[:-1]
    return text


def _wrapped(items, width):
    """Items side by side, in as many lines as they need."""
    lines = []
    for item in items:
        if lines and shown_width(lines[-1]) + 3 + shown_width(item) <= width:
            lines[-1] += " - " + item
        else:
            lines.append(_INDENT + item if lines else item)
    return lines


def _joined(head, values):
    return " - ".join(filter(None, [head, *(f"{name}: {number}" for name, number in values)]))


def _bar(done, width, plain):
    if done is None or width < 3:
        return ""
    full, rest = _FULL[plain], _REST[plain]
    filled = round(min(max(done, 0), 1) * width)
    return full * filled + rest * (width - filled)
