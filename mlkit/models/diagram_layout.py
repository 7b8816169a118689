"""Boxes and arrows in layers: where they lie, and as text in the DOT language, as SVG and as pixels.

Each box lies one layer below the lowest of those that point at it. Arrows over several layers bend around what lies between; the
order in a layer follows that of the neighbours (Sugiyama, Tagawa and Toda, 1981).
"""

import html
import os
from collections.abc import Sequence
from itertools import pairwise

from mlkit.core.deferred import Deferred

Image, ImageDraw, ImageFont = Deferred("PIL.Image"), Deferred("PIL.ImageDraw"), Deferred("PIL.ImageFont")

_FONT, _LINE, _PAD = 14, 20, 10  # height of letters and of lines, and the space around texts, in points
_LETTER = 0.6  # width of a letter to its height, on average
_BESIDE, _BELOW, _MARGIN = 24, 36, 16
_SWEEPS = 4
_COLORS = {"title": "#20242c", "box": "#ffffff", "line": "#5a6270", "nest": "#f2f4f8"}


class Box:
    """A box with lines of text, the first of which is its title, and it may be with boxes of its own and arrows between these."""

    def __init__(self, name: str, lines: list[str], boxes: Sequence["Box"] = (), arrows: Sequence = ()):
        self.name, self.lines, self.boxes, self.arrows = name, lines, list(boxes), list(arrows)
        self.x = self.y = self.width = self.height = self.until = 0.0
        self.bends: list = []  # (arrow as a list of points) within

    def measure(self, sideways: bool) -> None:
        """Set the size, and the places of the boxes within."""
        self.width = max(_LETTER * _FONT * len(line) for line in self.lines) + 2 * _PAD
        self.height = _LINE * len(self.lines) + _PAD
        if self.boxes:
            width, height, self.bends = placed(self.boxes, self.arrows, sideways)
            for box in self.boxes:
                box.x, box.y = box.x + _PAD, box.y + self.height
            self.bends = [[(x + _PAD, y + self.height) for x, y in points] for points in self.bends]
            self.width, self.height = max(self.width, width + 2 * _PAD), self.height + height + _PAD


def placed(boxes, arrows, sideways):
    """Place boxes from (0, 0) on. Returns (width, height, arrows as lists of points)."""
    for box in boxes:
        box.measure(sideways)
    rank = _ranks(boxes, arrows)
    layers = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for box in boxes:
        layers[rank[id(box)]].append(box)
    chains = []  # each arrow as boxes and, in the layers between, points
    for a, b in arrows:
        between = [_Point() for _ in range(rank[id(a)] + 1, rank[id(b)])]
        for i, point in enumerate(between):
            layers[rank[id(a)] + 1 + i].append(point)
        chains.append([a, *between, b])
    _order(layers, chains)
    across, along = ("height", "width") if sideways else ("width", "height")
    size = lambda one, what: getattr(one, what)
    widths = [sum(size(one, across) for one in layer) + _BESIDE * (len(layer) - 1) for layer in layers]
    total, at = max(widths, default=0), 0.0
    for layer, width in zip(layers, widths):
        place, depth = (total - width) / 2, max(size(one, along) for one in layer)
        for one in layer:
            one.x, one.y = (at, place) if sideways else (place, at)
            one.until = at + depth  # where the layer ends
            place += size(one, across) + _BESIDE
        at += depth + _BELOW
    length = max(at - _BELOW, 0)
    bends = [_points(chain, sideways) for chain in chains]
    return (length, total, bends) if sideways else (total, length, bends)


class _Point:
    width = height = x = y = until = 0.0


def _points(chain, sideways):
    """The corners of an arrow. It goes straight on to the end of each layer, so that it crosses no box there."""
    points = []
    for one in chain[:-1]:
        x, y = _end(one, sideways, True)
        points += [(x, y), (one.until, y) if sideways else (x, one.until)]
    return [*points, _end(chain[-1], sideways, False)]


def _ranks(boxes, arrows):
    """id -> layer of each box: one below the lowest that points at it."""
    rank, below, waiting = {id(b): 0 for b in boxes}, {id(b): [] for b in boxes}, {id(b): 0 for b in boxes}
    for a, b in arrows:
        below[id(a)].append(b)
        waiting[id(b)] += 1
    ready = [b for b in boxes if not waiting[id(b)]]
    while ready:
        a = ready.pop()
        for b in below[id(a)]:
            rank[id(b)] = max(rank[id(b)], rank[id(a)] + 1)
            waiting[id(b)] -= 1
            if not waiting[id(b)]:
                ready.append(b)
    return rank


def _order(layers, chains):
    """Sort each layer by the mean place of its neighbours, from above and from below in turn."""
    above, under = {}, {}
    for chain in chains:
        for a, b in pairwise(chain):
            above.setdefault(id(b), []).append(a)
            under.setdefault(id(a), []).append(b)
    for sweep in range(_SWEEPS):
        neighbours, order = (above, layers) if sweep % 2 == 0 else (under, layers[::-1])
        place = {id(one): i / len(layer) for layer in layers for i, one in enumerate(layer)}
        for layer in order:
            means = {}
            for i, one in enumerate(layer):
                near = [place[id(n)] for n in neighbours.get(id(one), ())]
                means[id(one)] = sum(near) / len(near) if near else i / len(layer)
            layer.sort(key=lambda one, means=means: means[id(one)])
            place.update((id(one), i / len(layer)) for i, one in enumerate(layer))


def _end(box, sideways, leaves):
    """Where an arrow leaves a box, or arrives at it."""
    if sideways:
        return box.x + (box.width if leaves else 0), box.y + box.height / 2
    return box.x + box.width / 2, box.y + (box.height if leaves else 0)


class Diagram:
    """Boxes and arrows: `to_string()` is text in the DOT language, `svg()` a picture; `write(path)` makes a file. Notebooks show
    it."""

    def __init__(self, name, boxes, arrows, rankdir="TB", dpi=200, subgraph=False, splines="ortho"):
        self.name, self.boxes, self.arrows = name, boxes, arrows
        self.rankdir, self.dpi, self.subgraph, self.splines = rankdir, dpi, subgraph, splines
        self.width, self.height, self.bends = placed(boxes, arrows, rankdir == "LR")

    # ---- text ----------------------------------------------------------------------------------------------------------

    def to_string(self) -> str:
        """The diagram in the DOT language, which graphviz draws."""
        head = f"subgraph {_quoted('cluster_' + self.name)} {{" if self.subgraph else f"digraph {_quoted(self.name)} {{"
        options = [f"rankdir={self.rankdir};", f"splines={self.splines};", f"dpi={self.dpi};", 'node [shape="box"];']
        return "\n".join([head, *("  " + line for line in [*options, *_dot_lines(self.boxes, self.arrows)]), "}", ""])

    def _shapes(self):
        """(kind, ...) of all that is drawn, from the back to the front."""
        yield from _shapes(self.boxes, self.bends, _MARGIN, _MARGIN)

    def svg(self) -> str:
        """The diagram as an SVG picture."""
        width, height = self.width + 2 * _MARGIN, self.height + 2 * _MARGIN
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.1f} {height:.1f}" '
            f'font-family="Helvetica, Arial, sans-serif" font-size="{_FONT}">',
            '<rect width="100%" height="100%" fill="#ffffff"/>',
        ]
        for kind, *what in self._shapes():
            if kind == "rect":
                x, y, w, h, color = what
                parts.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{_COLORS[color]}" stroke="{_COLORS["title"]}"/>'
                )
            elif kind == "text":
                x, y, text, is_title = what
                look = f'fill="{_COLORS["box"]}" font-weight="bold"' if is_title else f'fill="{_COLORS["title"]}"'
                parts.append(
                    f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" dominant-baseline="central" {look}>{html.escape(text)}</text>'
                )
            else:
                points = " ".join(f"{x:.1f},{y:.1f}" for x, y in what[0])
                parts.append(f'<polyline points="{points}" fill="none" stroke="{_COLORS["line"]}" stroke-width="2"/>')
                tip = " ".join(f"{x:.1f},{y:.1f}" for x, y in _tip(what[0]))
                parts.append(f'<polygon points="{tip}" fill="{_COLORS["line"]}"/>')
        return "\n".join([*parts, "</svg>", ""])

    _repr_svg_ = svg

    # ---- files ---------------------------------------------------------------------------------------------------------

    def image(self):
        """The diagram as a Pillow image."""
        scale = self.dpi / 96
        size = [max(1, round(scale * (n + 2 * _MARGIN))) for n in (self.width, self.height)]
        image = Image.new("RGB", size, "white")
        draw, font = ImageDraw.Draw(image), ImageFont.load_default(round(scale * _FONT))
        scaled = lambda points: [(scale * x, scale * y) for x, y in points]
        line = max(1, round(scale))
        for kind, *what in self._shapes():
            if kind == "rect":
                x, y, w, h, color = what
                draw.rectangle(scaled([(x, y), (x + w, y + h)]), _COLORS[color], _COLORS["title"], line)
            elif kind == "text":
                x, y, text, is_title = what
                draw.text((scale * x, scale * y), text, _COLORS["box" if is_title else "title"], font, anchor="mm")
            else:
                draw.line(scaled(what[0]), _COLORS["line"], 2 * line)
                draw.polygon(scaled(_tip(what[0])), _COLORS["line"])
        return image

    def write(self, path) -> None:
        """Write a file: dot, svg, or what Pillow writes (png, jpg, pdf ...), by the end of its name."""
        path = os.fspath(path)
        ending = os.path.splitext(path)[1].lower()
        if ending not in (".dot", ".svg"):
            try:
                self.image().save(path)
            except (ValueError, KeyError) as error:
                raise ValueError(
                    f"{path}: pictures of this kind are not written ({error}). Use png, svg, pdf or dot."
                ) from error
            return
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.svg() if ending == ".svg" else self.to_string())


def _shapes(boxes, bends, dx, dy):
    for points in bends:
        yield "arrow", [(x + dx, y + dy) for x, y in points]
    for box in boxes:
        x, y, title = box.x + dx, box.y + dy, _LINE + _PAD / 2
        yield "rect", x, y, box.width, box.height, "nest" if box.boxes else "box"
        yield "rect", x, y, box.width, title, "title"
        for i, line in enumerate(box.lines):
            middle = y + title / 2 if i == 0 else y + title + _LINE * (i - 0.5)
            yield "text", x + box.width / 2, middle, line, i == 0
        yield from _shapes(box.boxes, box.bends, x, y)


def _tip(points):
    """The triangle at the end of an arrow."""
    (x0, y0), (x, y) = points[-2:]
    length = max(((x - x0) ** 2 + (y - y0) ** 2) ** 0.5, 1e-6)
    u, v = (x - x0) / length, (y - y0) / length
    return [(x, y), (x - 9 * u - 4.5 * v, y - 9 * v + 4.5 * u), (x - 9 * u + 4.5 * v, y - 9 * v - 4.5 * u)]


def _dot_lines(boxes, arrows):
    for box in boxes:
        label = _quoted("\n".join(box.lines))
        if box.boxes:
            yield f"subgraph cluster_{id(box)} {{"
            yield f"  label={label};"
            yield from ("  " + line for line in _dot_lines(box.boxes, box.arrows))
            yield "}"
        else:
            yield f"n{id(box)} [label={label}];"
    for a, b in arrows:
        yield f"n{id(_last(a))} -> n{id(_first(b))};"


def _last(box):
    return _last(box.boxes[-1]) if box.boxes else box


def _first(box):
    return _first(box.boxes[0]) if box.boxes else box


def _quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
