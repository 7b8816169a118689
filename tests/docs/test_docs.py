"""The pages of docs/ are executed: the Python blocks of a page run in order in one namespace."""

import pathlib
import re

import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", sorted(p.name for p in DOCS.glob("*.md") if "```python" in p.read_text()))
def test_page_runs(page):
    text = (DOCS / page).read_text()
    namespace = {"__name__": "docs"}
    for match in re.finditer(r"```python\n(.*?)```", text, re.DOTALL):
        line = text[: match.start()].count("\n") + 1
        exec(compile("\n" * line + match.group(1), f"docs/{page}", "exec"), namespace)
