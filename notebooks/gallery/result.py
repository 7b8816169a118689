"""What a file of the gallery gives: a figure beside a baseline and a goal, and files to look at; and the page made of all of them."""

import argparse
import ast
import dataclasses
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import mlkit

FOLDER = Path(__file__).parent
RECORDS = FOLDER / "results.json"
PAGE = FOLDER.parents[1] / "docs" / "gallery.md"
ELSEWHERE = """
## What other projects did, and what does it here

| project | its job | here |
| --- | --- | --- |
| tdb | stopping in the middle of a graph, looking at its nodes | `mlkit.debug(model, x, y)`: [debugging.md](debugging.md) |
| caffe-tensorflow | networks of Caffe | `keras.saving.load_caffe` reads their weights, the model is written anew: [caffe.md](caffe.md) |
| TensorFlow on Spark | clusters | `distribution.run(engine="spark")`: [distributed.md](distributed.md); stages of `pyspark.ml`: none |
| TensorFlow on Raspberry Pi | small machines | exported files, or mlkit itself without oneDNN: [raspberry_pi.md](raspberry_pi.md) |
| TensorFlow for R | calls from R | reticulate: [r.md](r.md) |
| TensorFlow Serving | answers over HTTP | `mlkit serve`: [serving.md](serving.md); over gRPC: nothing |
| TFLearn, Pretty Tensor | layers in chains of calls | `Sequential` and the functional interface of Keras; methods that chain: nothing |
"""


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
    )  # of the processor, other processes' too: what else the machine does leaves them alone
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
        record(name, result, seconds)


def record(name: str, result: Result, seconds: float) -> None:
    """Keep a result, and write the page anew."""
    rows = json.loads(RECORDS.read_text()) if RECORDS.exists() else {}
    rows[name] = {
        "measure": result.measure, "figure": float(f"{result.figure:.4g}"), "baseline": float(f"{result.baseline:.4g}"),
        "goal": result.goal, "lower": result.lower, "reached": bool(result.reached), "seconds": round(seconds),
        "files": [f"{name}_{kept}" for kept in result.files], "text": result.text,
    }  # fmt: skip
    RECORDS.write_text(json.dumps(dict(sorted(rows.items())), indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(rows))


def header(name: str) -> dict[str, str]:
    """The fields of a file's docstring: its title (the first line), and `Paper:`, `Data:`, `Needs:`, `Goal:` as in the file."""
    lines = (ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text())) or "").splitlines()
    fields, key = {"Title": lines[0].rstrip(".")}, None
    for line in lines[1:]:
        start, colon, rest = line.partition(": ")
        if colon and start in ("Paper", "Data", "Needs", "Goal"):
            key = start
            fields[key] = rest.strip()
        elif key and line.strip():
            fields[key] += " " + line.strip()
        else:
            key = None
    return fields


def page(rows: dict) -> str:
    """docs/gallery.md: the table of all results, then a picture or a sample of each."""
    text = [
        "# Gallery\n\nKnown systems of the field, each one file of `notebooks/gallery/` that runs as a script and opens as a notebook "
        "(cells are marked `# %%`), on real data that registries of packages hold, to a stated figure. "
        "Seconds are those of the processor, all threads together.\n\n"
        "```sh\npip install -e \".[gallery]\"\npython notebooks/gallery/vae.py --out pictures   # --quick: two updates, no network\n```\n\n"
        "The table is written by the runs (`--record`); goals that were missed are marked.\n\n"
        "| system | measure | figure | baseline | goal | seconds |\n| --- | --- | --- | --- | --- | --- |\n"
    ]  # fmt: skip
    for name, row in sorted(rows.items()):
        mark = "" if row["reached"] else " (missed)"
        goal = f"{'≤' if row['lower'] else '≥'} {row['goal']:g}{mark}"
        text.append(
            f"| [{name}](#{name}) | {row['measure']} | **{row['figure']:g}** | {row['baseline']:g} | {goal} | {row['seconds']} |\n"
        )
    for name, row in sorted(rows.items()):
        about = header(name)
        text.append(f"\n## {name}\n\n{about['Title']}. [{name}.py](../notebooks/gallery/{name}.py)\n\n")
        text += [f"- {key}: {about[key]}\n" for key in ("Paper", "Data", "Needs") if key in about]
        text += [f"\n![{about['Title']}](gallery/{f})\n" for f in row["files"] if f.endswith(".png")]
        text += [f"\n[{f}](gallery/{f})\n" for f in row["files"] if not f.endswith(".png")]
        if row["text"]:
            text.append(f"\n```text\n{row['text'].strip()}\n```\n")
    return "".join([*text, ELSEWHERE])
