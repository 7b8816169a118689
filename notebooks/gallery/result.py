"""What a file of the gallery gives: a figure beside a baseline and a goal, and files to look at."""

import argparse
import ast
import dataclasses
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from page import PAGE, keep
from PIL import Image

import mlkit


@dataclasses.dataclass
class Result:
    """figure, baseline, goal: of one measure. measure: what it is, with its unit. lower: whether less is better. losses: of the
    training, to be looked at by tests. files: what was written, by name, for the reader. text: a sample for the page.
    """

    measure: str
    figure: float
    baseline: float
    goal: float
    losses: Sequence[float]
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    text: str = ""
    lower: bool = False

    @property
    def reached(self) -> bool:
        return self.figure <= self.goal if self.lower else self.figure >= self.goal

    def row(self, name: str, seconds: float) -> dict:
        """What results.json keeps of it."""
        return {
            "measure": self.measure, "figure": float(f"{self.figure:.4g}"), "baseline": float(f"{self.baseline:.4g}"),
            "goal": self.goal, "lower": self.lower, "reached": bool(self.reached), "seconds": round(seconds),
            "files": [f"{name}_{kept}" for kept in self.files], "text": self.text,
        }  # fmt: skip


def picture(draw: Callable, width: float = 8.0, height: float = 4.0) -> bytes:
    """The PNG that `draw(figure)` leaves on a figure of matplotlib (inches)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure)
    file = io.BytesIO()
    figure.savefig(file, dpi=80)
    return _png(Image.open(file))


def grid(images: np.ndarray, columns: int, titles: Sequence[str] = ()) -> bytes:
    """A PNG of images (n, height, width) or (n, height, width, 3) with values in [0, 1], in rows of so many columns."""
    rows, images = -(-len(images) // columns), np.clip(images, 0, 1)
    if not titles:
        times = max(1, 76 // images.shape[1])
        pixels = (255 * images).astype("uint8").repeat(times, 1).repeat(times, 2)
        framed = np.full((rows * columns, *(n + 4 for n in pixels.shape[1:3]), *pixels.shape[3:]), 255, "uint8")
        framed[: len(pixels), 2:-2, 2:-2] = pixels
        lines = framed.reshape(rows, columns, *framed.shape[1:]).swapaxes(1, 2)
        return _png(Image.fromarray(lines.reshape(rows * framed.shape[1], columns * framed.shape[2], *framed.shape[3:])))

    def draw(figure):
        for k, (image, title) in enumerate(zip(images, titles, strict=True)):
            axes = figure.add_subplot(rows, columns, k + 1)
            axes.imshow(image, cmap="gray", vmin=0, vmax=1)
            axes.set_axis_off()
            axes.set_title(title, fontsize=7)

    return picture(draw, columns, rows * 1.25)


def _png(image: Image.Image) -> bytes:
    """Of 128 colours, since the repository keeps it."""
    file = io.BytesIO()
    image.convert("RGB").quantize(128).save(file, "PNG", optimize=True)
    return file.getvalue()


def main(run: Callable[[bool, int], Result], file: str) -> None:
    """The command line of a file of the gallery."""
    name = Path(file).stem
    parser = argparse.ArgumentParser(description=(ast.get_docstring(ast.parse(Path(file).read_text())) or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two updates on made-up data, to see that all is there")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(f"gallery-{name}"), metavar="DIR", help="where pictures go")
    parser.add_argument("--record", action="store_true", help="write the figures to results.json and the page docs/gallery.md")
    options = parser.parse_args()
    if options.record and (options.quick or options.seed):
        parser.error("only whole runs with seed 0 are recorded")
    mlkit.utils.set_random_seed(options.seed)
    before = sum(os.times()[:4])
    result = run(options.quick, options.seed)
    seconds = (
        sum(os.times()[:4]) - before
    )  # of the processor, child processes too: what else the machine does leaves them alone
    print(
        f"{result.measure}: {result.figure:.4g} (baseline {result.baseline:.4g}, goal {result.goal:.4g}: "
        f"{'reached' if result.reached else 'missed'}), {seconds:.0f} s"
    )
    out = PAGE.with_suffix("") if options.record else options.out
    out.mkdir(parents=True, exist_ok=True)
    for kept, content in result.files.items():
        (out / f"{name}_{kept}").write_bytes(content)
        print(out / f"{name}_{kept}")
    if result.text:
        print(result.text)
    if options.record:
        keep(name, result.row(name, seconds))
