"""What docstrings say of arguments: as the reference shows them (`docs/builder`), and how many say all."""

import inspect

import pytest

from docs.builder import docstrings, names

ALL = [d for d in names.described() if docstrings.parameters(d.value)]


def test_all_arguments_are_explained():
    lacking = {d.path: set(docstrings.parameters(d.value)) - docstrings.explained(d.value, d.path).keys() for d in ALL}
    assert {path: names for path, names in lacking.items() if names} == {}


def test_arguments_that_a_docstring_refers_to_are_explained_there():
    assert docstrings.explained(names._resolved("ops.fold"), "ops.fold")["stride"] == ["ints or pairs."]


def test_public_callables_have_docstrings():
    assert [d.path for d in names.described() if not inspect.getdoc(inspect.unwrap(d.value))] == []


def test_nothing_is_explained_that_is_no_argument():
    wrong = {}
    for d in ALL:
        text = inspect.unwrap(d.value).__doc__ or ""
        own = docstrings.arguments(text).keys() if "Attributes:" not in text else set()
        takes = inspect.signature(d.value).parameters
        extra = own - takes.keys()
        if extra and not any(p.kind is p.VAR_KEYWORD for p in takes.values()):
            wrong[d.path] = extra
    assert wrong == {}


def test_a_base_explains_for_its_subclasses():
    said = docstrings.explained(names._resolved("layers.Conv2D"), "layers.Conv2D")
    assert said["filters"] == ["output channels."]
    assert said["kernel_initializer"] == ["initializer of the weight `kernel`: a name, an object or a config."]
    assert "units" in docstrings.explained(names._resolved("layers.LSTM"))  # its cell's


@pytest.mark.parametrize(
    "line, shown",
    [("`x` and `y`s.", "``x`` and ``y``\\ s."), ("a*b, c_", "a\\*b, c\\_"), (">>> a * b_", ">>> a * b_"), ("``a*``", "``a*``")],
)
def test_markdown_of_docstrings(line, shown):
    assert docstrings.as_restructured([line]) == [shown]
