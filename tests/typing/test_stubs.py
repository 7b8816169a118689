"""The stubs say of each package what it offers, and each is what .ci/stubs.py writes."""

import ast
import importlib
import importlib.util
import inspect
import pathlib

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / ".ci" / "stubs.py"
_spec = importlib.util.spec_from_file_location("stubs", SCRIPT)
stubs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(stubs)


def written():
    return {name: file.with_suffix(".pyi") for name, file in stubs.sources() if file.with_suffix(".pyi").exists()}


def test_they_are_what_the_script_writes():
    assert not stubs.differing(stubs.stubs()), "run `python .ci/stubs.py`"


@pytest.mark.parametrize("name", written())
def test_each_shows_what_its_package_offers(name):
    package, shown = importlib.import_module(name), set()
    for s in ast.parse(written()[name].read_text()).body:
        if isinstance(s, ast.ImportFrom):
            for alias in s.names:
                there = importlib.import_module(s.module)
                try:
                    value = getattr(there, alias.name)
                except AttributeError:  # a module that nobody has asked for yet
                    value = importlib.import_module(f"{s.module}.{alias.name}")
                if alias.asname:
                    assert inspect.unwrap(getattr(package, alias.asname)) is inspect.unwrap(value), alias.asname
                    shown.add(alias.asname)
        elif isinstance(s, ast.FunctionDef):
            own, declared = inspect.signature(getattr(package, s.name)), [a.arg for a in (*s.args.args, *s.args.kwonlyargs)]
            assert list(own.parameters) == declared
            shown.add(s.name)
        elif isinstance(s, ast.AnnAssign):
            assert type(getattr(package, s.target.id)).__name__ == s.annotation.id
            shown.add(s.target.id)
    assert shown >= set(package.__all__)


def test_a_module_whose_names_can_be_read_needs_none():
    names = set(written())
    assert {"mlkit", "mlkit.layers", "mlkit.ops", "mlkit.ops.numpy", "mlkit.saving", "mlkit.applications"} <= names
    assert not names & {"mlkit.losses", "mlkit.activations", "mlkit.core", "mlkit.ops.linalg"}


def test_a_stub_that_is_old_missing_or_too_many_is_found():
    wanted = stubs.stubs()
    old, missing, *_ = wanted
    wrong = {f: text for f, text in wanted.items() if f != missing} | {old: wanted[old] + "x: int\n"}
    assert stubs.differing(wrong) == sorted([old, missing])
    assert stubs.differing(wanted | {old.with_name("new.pyi"): ""}) == [old.with_name("new.pyi")]
