"""The recipes are changes that can be applied to today's tree, and the tests that they add pass."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
RECIPES = re.findall(r"```diff\n(.*?)```", (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8"), re.DOTALL)

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git applies them")


def applied(recipes, folder, *options):
    for recipe in recipes:
        command = ["git", "apply", *options, "-"]
        found = subprocess.run(
            command, input=recipe, text=True, cwd=folder, capture_output=True, env=os.environ | {"GIT_DIR": "none"}
        )
        assert found.returncode == 0, found.stderr


def copied(folder, recipes):
    """The files that recipes change, in a folder where they can be changed."""
    for name in re.findall(r"^--- a/(.*)$", "\n".join(recipes), re.MULTILINE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)


@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_it_can_be_applied(number, tmp_path):
    copied(tmp_path, [RECIPES[number]])
    applied([RECIPES[number]], tmp_path)


@pytest.mark.slow
def test_what_they_add_passes(tmp_path):
    for name in ("mlkit", "backends", "applications", "tests", "docs/builder"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    copied(tmp_path, RECIPES)
    applied(RECIPES, tmp_path)
    added = re.findall(r"^--- /dev/null\n\+\+\+ b/(tests/.*/test_.*)$", "\n".join(RECIPES), re.MULTILINE)
    assert len(added) == len(RECIPES)
    changed = re.findall(r"^\+\+\+ b/(mlkit/.*)$", "\n".join(RECIPES), re.MULTILINE)
    run(tmp_path, "--doctest-modules", *added, *changed)
    run(tmp_path, "tests/ops/test_ops.py", "tests/core/test_traits.py", "-k", "mish")  # what every op is tested for
    run(tmp_path, "--backend", "double", "tests/ops/test_boundary.py", "tests/core/test_ownership_of_memory.py")


def run(folder, *arguments):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    found = subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    assert " passed" in found.stdout
