"""Pages that lie elsewhere in the tree: notebooks, and what stands in its root."""

import pathlib

ROOT = pathlib.Path(__file__).parents[2]
PROJECT = ("CONTRIBUTING", "CHANGELOG", "SECURITY", "CODE_OF_CONDUCT")


def write(docs: pathlib.Path) -> None:
    """Copy them to where their pages shall be, with their links turned."""
    for name in PROJECT:
        _renewed(docs / "project" / f"{name}.md", (ROOT / f"{name}.md").read_text().replace("](docs/", "](../"))
    for file in (*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "notebooks").glob("gallery/*.py")):
        _renewed(docs / file.relative_to(ROOT), file.read_text())


def links(text: str) -> str:
    """The text of a page of docs/ in which links to notebooks lead to their pages."""
    return text.replace("](../notebooks/", "](notebooks/")


def _renewed(file: pathlib.Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
