"""Picture: something to look at, as HTML and as a matplotlib figure."""

import base64
import io
import os
import warnings

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.pictures.words import any_weight, escaped, families, missing_glyphs

Image = Deferred("PIL.Image")  # curves do without it
_MATPLOTLIB = (
    "Figures are drawn by matplotlib, which is not installed: pip install matplotlib. "
    "Without it pictures show themselves in notebooks, and `save` writes .html files."
)
matplotlib, figures = Deferred("matplotlib", _MATPLOTLIB), Deferred("matplotlib.figure", _MATPLOTLIB)


class Picture:
    """Base of pictures. A subclass defines `html()`, a piece of a page, and `draw(figure)`, the same with matplotlib."""

    title = ""
    size = (6.4, 4.8)  # of the figure, width and height in inches

    def html(self):
        """The picture as a piece of HTML that needs no other file and no script."""
        raise NotImplementedError(f"{type(self).__name__} must define html(self).")

    def draw(self, figure):
        """Draw the picture into an empty matplotlib figure."""
        raise NotImplementedError(f"{type(self).__name__} must define draw(self, figure).")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.title!r}>"

    def _repr_html_(self) -> str:
        return self.html()

    def figure(self):
        """The picture as a new matplotlib `Figure`. Raises ImportError without matplotlib (`pip install matplotlib`)."""
        figure = figures.Figure(figsize=self.size, layout="constrained")
        with matplotlib.rc_context({"font.family": families()}):
            self.draw(figure)
        return figure

    def save(self, path):
        """Write the picture to a file. What follows the name's last dot decides: `html` needs nothing else, all other formats
        (png, svg, pdf) need matplotlib."""
        path = os.fspath(path)
        if not path.endswith(".html"):
            figure = self.figure()
            with any_weight(), warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                figure.savefig(path)
            for text in dict.fromkeys(missing_glyphs(w) or str(w.message) for w in told):
                warnings.warn(f"{path}: {text}", stacklevel=2)
            return
        with open(path, "w", encoding="utf-8") as file:
            file.write(_PAGE.format(title=escaped(self.title), body=self.html()))


_PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><title>{title}</title>
<style>:root {{color-scheme: light dark}} body {{font-family: sans-serif; margin: 2em; max-width: 75em}}
td, th {{padding: 0.2em 0.6em}}</style></head>
<body>{body}</body></html>
"""


class Paged(Picture):
    """One that is shown as a `Page`, which a subclass makes in `_page()`."""

    def _page(self):
        raise NotImplementedError(f"{type(self).__name__} must define _page(self).")

    def html(self):
        return self._page().html()

    @property
    def size(self):
        return self._page().size

    def draw(self, figure):
        self._page().draw(figure)


class Page(Picture):
    """Several pictures and texts, one below the other: `Page("Result", picture, "a paragraph", ...)`."""

    def __init__(self, title, *parts):
        self.title, self.parts = title, parts

    def html(self):
        shown = [p.html() if isinstance(p, Picture) else f"<p>{escaped(p)}</p>" for p in self.parts]
        return "\n".join([f"<h2>{escaped(self.title)}</h2>", *shown])

    @property
    def pictures(self):
        """The pictures among the parts."""
        return [p for p in self.parts if isinstance(p, Picture)]

    @property
    def size(self):
        return max(p.size[0] for p in self.pictures), sum(p.size[1] for p in self.pictures)

    def draw(self, figure):
        heights = [p.size[1] for p in self.pictures]
        places = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        for place, picture in zip(places, self.pictures):
            picture.draw(place)


def as_pixels(image):
    """An image (height, width, channels) or (height, width) as uint8 with 1 or 3 channels.

    Floats are taken as pixels from 0 to 255, or from 0 to 1 if none is larger; values outside are stretched into the range.
    """
    x = np.asarray(image)
    x = x[..., 0] if x.ndim == 3 and x.shape[-1] == 1 else x
    if x.dtype == np.uint8:
        return x
    x = x.astype("float64")
    low, high = float(x.min(initial=0)), float(x.max(initial=0))
    if low < 0 or high > 255:
        x = (x - low) / max(high - low, 1e-12) * 255
    elif high <= 1:
        x = x * 255
    return np.rint(x).astype("uint8")


def image_tag(image, width=None, words="image"):
    """An HTML <img> with the image in it: photos as JPEG, small and grey images as PNG.

    Args:
        width: on the page in pixels; small images are enlarged unsmoothed.
        words: what is said of it where it is not seen.
    """
    pixels, buffer = as_pixels(image), io.BytesIO()
    kind, options = ("jpeg", {"quality": 90}) if pixels.ndim == 3 and pixels.shape[0] >= 64 else ("png", {})
    Image.fromarray(pixels[..., :3] if kind == "jpeg" else pixels).save(buffer, kind, **options)
    code = base64.b64encode(buffer.getvalue()).decode()
    size = f' width="{width}"' if width else ""
    style = "image-rendering: pixelated" if pixels.shape[0] < 64 else ""
    return f'<img src="data:image/{kind};base64,{code}" alt="{escaped(words)}"{size} style="{style}"/>'
