"""Looks at the built site as a browser would, without one: `python .ci/check_site.py build/site`.

Links and anchors lead somewhere, pictures have alternative texts, a page weighs less than 300 KB with its styles and scripts and
without pictures, and the search index finds each of `WORDS` on the page where it belongs. Exit status 1 with a line for each finding.
"""

import json
import pathlib
import re
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

from sphinx.search.en import SearchEnglish

LIMIT = 300_000  # bytes
WORDS = {  # what one looks for -> the beginning of a page that must be among those found
    "dropout": "reference/mlkit.layers", "embedding": "reference/mlkit.layers", "conv2d": "reference/mlkit.layers-conv",
    "lstm": "reference/mlkit.layers-recurrent", "attention": "reference/mlkit.layers", "adamw": "reference/mlkit.optimizers",
    "huber": "reference/mlkit.losses", "arena": "glossary", "einsum": "reference/mlkit.ops", "softmax": "reference/mlkit.ops",
    "vmap": "reference/mlkit", "gradienttape": "reference/mlkit", "earlystopping": "reference/mlkit.callbacks",
    "tensorboard": "reference/mlkit.callbacks", "backupandrestore": "training", "glossary": "glossary", "onnx": "export",
    "openvino": "export", "tflite": "export", "caffe": "caffe", "raspberry": "raspberry_pi", "optuna": "tuner", "breakpoint": "debugging",
    "cudnn": "gpu", "mpi": "distributed", "serve": "serving", "safetensors": "reference/mlkit", "resnet50": "reference/mlkit.applications",
    "changelog": "project/CHANGELOG", "vulnerability": "project/SECURITY",
}  # fmt: skip


class Page(HTMLParser):
    """What a page links to, loads and shows."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.ids, self.silent = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag == "link" and found.get("rel") == "stylesheet":
            self.loads.append(found["href"])
        if tag == "script" and found.get("src"):
            self.loads.append(found["src"])
        if tag == "img" and not found.get("alt"):
            self.silent.append(found.get("src", "")[:80])


def findings(site):
    """What is wrong, a line each."""
    pages = {file.relative_to(site).as_posix(): Page(file.read_text()) for file in sorted(site.rglob("*.html"))}
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = _target(site, name, parts.path)
            if not (site / target).is_file():
                yield f"{name}: no file for the link {link}"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                yield f"{name}: no anchor for the link {link}"
        for source in page.silent:
            yield f"{name}: a picture without alternative text: {source}"
        if not name.startswith(("_modules/", "search.html")):  # listings are as long as the source; the search loads its index
            text = re.sub(r"data:image/[^\"]*", "", (site / name).read_text())
            loads = [(site / _target(site, name, urlsplit(s).path)).read_bytes() for s in page.loads if "://" not in s]
            weight = sum(map(len, (text.encode(), *loads)))
            if weight > LIMIT:
                yield f"{name}: {weight:,} bytes with its styles and scripts; at most {LIMIT:,}"
    yield from _search(site)


def _target(site, page, path):
    if not path:
        return page
    target = ((site / page).parent / unquote(path)).resolve().relative_to(site.resolve()).as_posix()
    return f"{target}/index.html" if (site / target).is_dir() else target


def _search(site):
    """Words that the index does not know, or not on the page where they belong."""
    text = (site / "searchindex.js").read_text()
    index = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)", text, re.DOTALL)[1])
    stem = SearchEnglish({}).stem
    for word, where in WORDS.items():
        found = set()
        for table in ("terms", "titleterms"):
            numbers = index[table].get(stem(word), index[table].get(word, []))
            found |= {index["docnames"][n] for n in (numbers if isinstance(numbers, list) else [numbers])}
        for objects in index["objects"].values():
            found |= {index["docnames"][number] for number, *_, name in objects if name.lower() == word}
        if not any(name.startswith(where) for name in found):
            yield f"the search for {word!r} does not find {where}, but {sorted(found)[:5]}"


if __name__ == "__main__":
    found = list(findings(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "The site is well.")
    sys.exit(bool(found))
