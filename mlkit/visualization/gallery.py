"""Images with captions, side by side."""

import html
import math

import numpy as np

from mlkit.visualization.picture import Picture, as_pixels, image_tag


class Gallery(Picture):
    """Images with captions.

    images: list of arrays (height, width, channels). captions: list of texts. columns: images in a row of the figure.
    """

    def __init__(self, images, captions, title: str = "", columns: int = 4):
        self.images, self.captions, self.title, self.columns = list(images), list(captions), title, columns
        if len(self.images) != len(self.captions):
            raise ValueError(f"Gallery: {len(self.images)} images, but {len(self.captions)} captions.")

    def __len__(self) -> int:
        return len(self.images)

    def html(self):
        style = "display:inline-block;margin:4px;text-align:center;font-size:90%"
        tags = [
            f'<div style="{style}">{image_tag(image, 150)}<br/>{html.escape(str(caption))}</div>'
            for image, caption in zip(self.images, self.captions)
        ]
        return f"<h3>{html.escape(self.title)}</h3><div>{''.join(tags) or 'none'}</div>"

    @property
    def size(self):
        return 6.4, 0.6 + 1.7 * max(1, math.ceil(len(self) / self.columns))

    def draw(self, figure):
        columns = max(1, min(self.columns, len(self)))
        rows = max(1, math.ceil(len(self) / columns))
        for i, (image, caption) in enumerate(zip(self.images, self.captions)):
            axes = figure.add_subplot(rows, columns, i + 1)
            axes.imshow(as_pixels(image), cmap="gray" if np.ndim(as_pixels(image)) == 2 else None)
            axes.set_title(str(caption), fontsize=8)
            axes.axis("off")
        figure.suptitle(self.title)
