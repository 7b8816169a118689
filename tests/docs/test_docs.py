"""The pages of docs/ are executed: the Python blocks of a page run in order in one namespace. Modules they name are there."""

import pathlib
import re
import subprocess

import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"


ELSEWHERE = {"distributed.md"}  # it needs a process of its own


@pytest.mark.filterwarnings("default::UserWarning")  # pages show what users are warned of, too
@pytest.mark.parametrize(
    "page", sorted(p.name for p in DOCS.glob("*.md") if "```python" in p.read_text() and p.name not in ELSEWHERE)
)
def test_page_runs(page):
    text = (DOCS / page).read_text()
    namespace = {"__name__": "docs"}
    try:
        for match in re.finditer(r"```python\n(.*?)```", text, re.DOTALL):
            line = text[: match.start()].count("\n") + 1
            exec(compile("\n" * line + match.group(1), f"docs/{page}", "exec"), namespace)
    finally:  # a page that fails half-way leaves no server behind
        for process in (value for value in namespace.values() if isinstance(value, subprocess.Popen)):
            if process.poll() is None:
                process.kill()
                process.wait()


def test_modules_that_pages_name_are_there():
    root = DOCS.parent
    named = {
        (p.name, m)
        for p in [*DOCS.glob("*.md"), root / "README.md"]
        for m in re.findall(r"`((?:\w+/)+\w+\.py)`", p.read_text())
    }
    assert len(named) > 20
    homes = root, root / "mlkit", root / "backends", root / "backends" / "native"
    assert not {(page, module) for page, module in named if not any((home / module).exists() for home in homes)}


def test_every_page_is_listed():
    listed = set((DOCS / "index.md").read_text().split())
    pages = {p.relative_to(DOCS).with_suffix("").as_posix() for p in DOCS.glob("*.md")}
    pages |= {f"notebooks/{p.stem}" for p in (DOCS.parent / "notebooks").glob("*.ipynb")}
    assert pages - listed == {"index"}
