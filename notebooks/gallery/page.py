"""The page docs/gallery.md, made of the results that were recorded and of the heads of the files."""

import ast
import json
from pathlib import Path

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


def keep(name: str, row: dict) -> None:
    """Put a file's row into results.json, and write the page anew."""
    rows = json.loads(RECORDS.read_text()) if RECORDS.exists() else {}
    rows[name] = row
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
        cells = (
            f"[{name}](#{name})", row["measure"].replace("|", "\\|"), f"**{row['figure']:g}**", f"{row['baseline']:g}",
            f"{'≤' if row['lower'] else '≥'} {row['goal']:g}{mark}", str(row["seconds"]),
        )  # fmt: skip
        text.append(f"| {' | '.join(cells)} |\n")
    for name, row in sorted(rows.items()):
        about = header(name)
        text.append(f"\n## {name}\n\n{about['Title']}. [{name}.py](../notebooks/gallery/{name}.py)\n\n")
        text += [f"- {key}: {about[key]}\n" for key in ("Paper", "Data", "Needs") if key in about]
        text += [f"\n![{about['Title']}](gallery/{f})\n" for f in row["files"] if f.endswith(".png")]
        text += [f"\n[{f}](gallery/{f})\n" for f in row["files"] if not f.endswith(".png")]
        if row["text"]:
            text.append(f"\n```text\n{row['text'].strip()}\n```\n")
    return "".join([*text, ELSEWHERE])
