"""Rooms: a folder of sources imports what stands below it, at the head of its modules. The order stands in pyproject, where
`lint-imports` reads it too, of an installed package; this reads the sources as they lie here."""

import ast
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SOURCES = {"mlkit": ROOT / "mlkit", "mlkit.backends": ROOT / "backends", "mlkit.applications": ROOT / "applications"}
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
LAYERS = next(c["layers"] for c in CONTRACTS if c["type"] == "layers")
HEIGHT = {room: -i for i, layer in enumerate(LAYERS) for room in re.split(r"\s*[|:]\s*", layer)}

# Two files are programs of their own, without mlkit: they begin with what they need, and say by their status that it is missing.
LATE = {"ai_edge_quantizer", "litert_converter"}


def parsed():
    """Module name -> (file, tree)."""
    found = {}
    for package, folder in SOURCES.items():
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            name = ".".join((package, *(p for p in parts if p != "__init__")))
            found[name] = file.relative_to(ROOT), ast.parse(file.read_text())
    return found


MODULES = parsed()


def imported(tree, known=MODULES):
    """(node, name of a module) for each import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield node, full if full in known else node.module
        elif isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)


def room(module):
    return module.split(".")[1] if module.startswith("mlkit.") else None


def upward(name, tree):
    """Imports of a module that lead to a room that stands no lower than its own."""
    own = room(name)
    return [
        (node.lineno, other)
        for node, other in imported(tree)
        if own is not None and room(other) not in (None, own) and HEIGHT[room(other)] >= HEIGHT[own]
    ]


def late(tree, allowed=LATE):
    """Imports within functions."""
    within = {n for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef)) for n in ast.walk(f)}
    return [(node.lineno, other) for node, other in imported(tree) if node in within and other.split(".")[0] not in allowed]


def test_every_room_has_its_place():
    assert {room(name) for name in MODULES} - {None} == set(HEIGHT)


def test_the_docs_show_this_order():
    figure = (ROOT / "docs" / "how_it_works.md").read_text().partition(". Rooms: who may import whom\n")[2].split("```")[1]
    assert [line.strip().partition("   ")[0].strip() for line in figure.strip().splitlines()] == LAYERS


def test_nothing_is_imported_from_above():
    found = {str(file): bad for name, (file, tree) in MODULES.items() if (bad := upward(name, tree))}
    assert not found


def test_modules_import_at_their_head():
    """What is heavy and seldom needed, or optional, is a `Deferred` there."""
    found = {str(file): bad for file, tree in MODULES.values() if (bad := late(tree))}
    assert not found


def test_no_module_imports_itself_by_way_of_others():
    """A circle shows itself as modules that are never free of imports that wait."""
    waiting = {name: {m for _, m in imported(tree) if m in MODULES and m != "mlkit"} for name, (_, tree) in MODULES.items()}
    del waiting["mlkit"]
    while free := [name for name, needs in waiting.items() if not needs & waiting.keys()]:
        for name in free:
            del waiting[name]
    assert not waiting


@pytest.mark.parametrize("line", ["from mlkit.models import model", "import mlkit.models.model", "from mlkit import models"])
def test_an_import_from_above_is_found(line):
    assert upward("mlkit.core.spec", ast.parse(f"def f():\n    {line}"))
    assert late(ast.parse(f"def f():\n    {line}"))
    assert not upward("mlkit.saving", ast.parse(line))
    assert not late(ast.parse(line))


HEAVY = "numpy PIL cupy h5py jax matplotlib ml_dtypes tqdm".split()


@pytest.mark.parametrize(
    "line, none_of",
    [("import mlkit", HEAVY), ("import mlkit; mlkit.layers.Dense; mlkit.Model", HEAVY[1:])],
    ids=["mlkit", "Model"],
)
def test_what_is_heavy_is_not_imported_beforehand(line, none_of):
    code = f"import sys; {line}; print(*[name for name in {none_of} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []


@pytest.mark.slow
def test_any_module_may_be_imported_first():
    """A circle that a package makes by what it offers shows itself to whoever comes from another side."""
    code = (
        "import importlib, os, sys, inspect, numpy\n"  # what all need; each module then is the first of mlkit in a fork of this
        "for name in sys.argv[1:]:\n"
        "    if not (child := os.fork()):\n"
        "        importlib.import_module(name)\n"
        "        os._exit(0)\n"
        "    assert not os.waitpid(child, 0)[1], name\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *MODULES], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
