"""Packages that import what they offer when it is asked for."""

import importlib
import inspect
import pathlib
import pkgutil
import subprocess
import sys

import pytest

import mlkit

PACKAGES = ["mlkit", "mlkit.layers", "mlkit.metrics", "mlkit.models", "mlkit.optimizers", "mlkit.utils"]


@pytest.mark.parametrize("name", PACKAGES)
def test_all_that_is_offered_is_there(name):
    package = importlib.import_module(name)
    assert len(set(package.__all__)) == len(package.__all__)
    for offered in package.__all__:
        found = getattr(package, offered)
        assert getattr(package, offered) is found
        assert offered in dir(package)


def test_nothing_is_offered_under_the_name_of_a_module():
    """Who imports the module would find it in the place of what is offered: Python binds it to its package."""
    for folder in sorted({file.parent for file in pathlib.Path(mlkit.__file__).parent.rglob("__init__.pyi")}):
        package = importlib.import_module(".".join(("mlkit", *folder.relative_to(pathlib.Path(mlkit.__file__).parent).parts)))
        modules = {module.name for module in pkgutil.iter_modules([str(folder)])}
        offered = modules & set(package.__all__) if "__getattr__" in vars(package) else set()
        assert all(inspect.ismodule(getattr(package, name)) for name in offered), package


def test_what_is_not_offered_is_missing():
    with pytest.raises(AttributeError, match="module 'mlkit.layers' has no attribute 'Dance'"):
        exec("mlkit.layers.Dance", {"mlkit": mlkit})


def test_only_what_is_used_is_imported():
    code = "import sys, mlkit; mlkit.layers.Dense; print(*(m for m in sys.modules if m.startswith('mlkit.layers.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "mlkit.layers.dense" in done.stdout.split()
    assert not {"mlkit.layers.conv", "mlkit.layers.recurrent", "mlkit.layers.rand_augment"} & set(done.stdout.split())


def test_star_gives_everything():
    namespace = {}
    exec("from mlkit.layers import *", namespace)
    assert {"Dense", "add", "Input"} <= set(namespace)
