"""Images with captions, side by side."""

import math

import numpy as np

from mlkit.pictures.picture import Picture, as_pixels, image_tag
from mlkit.pictures.words import escaped, in_figure


class Gallery(Picture):
    """Images with captions.

    Args:
        images: list of arrays (height, width, channels).
        captions: list of texts.
        columns: images in a row of the figure.
        hints: list of texts that show where the mouse rests on an image, such as the path of its file.
    """

    def __init__(self, images, captions, title: str = "", columns: int = 4, hints=None):
        self.images, self.captions, self.title, self.columns = list(images), list(captions), title, columns
        self.hints = [""] * len(self.images) if hints is None else list(hints)
        if len(self.images) != len(self.captions):
            raise ValueError(f"Gallery: {len(self.images)} images, but {len(self.captions)} captions.")

    def __len__(self) -> int:
        return len(self.images)

    def html(self):
        style = "display:inline-block;vertical-align:top;width:160px;margin:4px;text-align:center;font-size:90%"
        style += ";overflow-wrap:anywhere;white-space:pre-line"
        tags = [
            f'<div style="{style}" title="{escaped(hint)}">{image_tag(image, 150, caption or "image")}<br/>{escaped(caption)}</div>'
            for image, caption, hint in zip(self.images, self.captions, self.hints)
        ]
        return f"<h3>{escaped(self.title)}</h3><div>{''.join(tags) or 'none'}</div>"

    @property
    def size(self):
        return 6.4, 0.6 + 1.9 * max(1, math.ceil(len(self) / self.columns))

    def draw(self, figure):
        columns = max(1, min(self.columns, len(self)))
        rows = max(1, math.ceil(len(self) / columns))
        for i, (image, caption) in enumerate(zip(self.images, self.captions)):
            axes = figure.add_subplot(rows, columns, i + 1)
            axes.imshow(as_pixels(image), cmap="gray" if np.ndim(as_pixels(image)) == 2 else None)
            axes.set_title("\n".join(in_figure(line, 26) for line in str(caption).split("\n")), fontsize=7)
            axes.axis("off")
        figure.suptitle(in_figure(self.title, 60))
