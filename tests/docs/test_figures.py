"""The figures of the guides are those that their script makes, and each is shown with words for who cannot see it."""

import re

import pytest

from docs.builder import figures
from docs.builder.figures import FIGURES, FOLDER

SHOWN = {
    name: alternative
    for page in FOLDER.parent.glob("*.md")
    for alternative, name in re.findall(r"!\[([^\]]*)\]\(figures/([\w.]+)\)", page.read_text(encoding="utf-8"))
}


def test_each_figure_is_there_and_on_a_page():
    assert {path.name for path in FOLDER.iterdir()} == set(FIGURES) == set(SHOWN)
    assert [name for name, words in SHOWN.items() if len(words.split()) < 6] == []


def test_the_rooms_are_those_of_the_law():
    assert (FOLDER / "rooms.svg").read_text(encoding="utf-8") == figures.rooms()


@pytest.mark.parametrize("name", ["step_before_passes.svg", "step_after_passes.svg"])
def test_the_graphs_have_as_many_calls_as_is_said(name):
    drawn = (FOLDER / name).read_text(encoding="utf-8").count("font-weight")
    assert f"{drawn} calls" in SHOWN[name]
    assert FIGURES[name]().startswith("<svg")
