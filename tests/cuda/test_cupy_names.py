"""Each name of CuPy that the native backend uses, and each keyword it gives, is there in the real CuPy, which needs no GPU for that."""

import ast
import inspect
import pathlib

import pytest

from tests.cuda import record_cupy

cupy = pytest.importorskip("cupy", reason='the real CuPy: pip install "mlkit-engine[cuda]"', exc_type=ImportError)

ROOT = pathlib.Path(__file__).parents[2] / "backends" / "native"
FILES = [p for p in sorted(ROOT.rglob("*.py")) if "onednn" not in p.parts]
OF_NUMPY = {"cpu.py", "random_numpy.py", "threads.py"}  # modules that only the CPU has
UFUNC_KEYWORDS = {"out", "dtype", "casting"}  # of `ufunc.__call__`, which has no signature to be asked for


def path_of(node):
    """["linalg", "svd"] for `xp.linalg.svd` and for `self.device.xp.linalg.svd`; None for what does not begin with `xp`."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    parts = [node.id, *reversed(parts)]
    return parts[parts.index("xp") + 1 :] or None if "xp" in parts else None


def found(path):
    value = cupy
    for name in path:
        value = getattr(value, name)
    return value


def used():
    """(place, path, keywords or None) of each name that is used: of those that are called with the keywords."""
    for file in FILES:
        if file.name in OF_NUMPY:
            continue
        tree = ast.parse(file.read_text())
        called = {id(n.func): n for n in ast.walk(tree) if isinstance(n, ast.Call)}
        asked = {
            getattr(n.args[1], "value", None) for n in called.values() if getattr(n.func, "id", "") in ("hasattr", "getattr")
        }
        inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        for node in ast.walk(tree):
            path = path_of(node) if isinstance(node, ast.Attribute) and id(node) not in inner else None
            if path and path[-1] not in asked:  # what is asked for may be missing
                call = called.get(id(node))
                yield f"{file.relative_to(ROOT)}:{node.lineno}", path, call and [k.arg for k in call.keywords if k.arg]


def test_names_are_there():
    missing = {}
    for place, path, _ in used():
        try:
            found(path)
        except AttributeError:
            if path[-1] not in ("shape", "dtype", "size", "ptr", "malloc", "is_capturing"):  # of a value, not of a module
                missing[".".join(path)] = place
    assert missing == {}


def test_keywords_are_taken():
    refused, checked = {}, 0
    for place, path, keywords in used():
        if not keywords:
            continue
        function = found(path)
        if isinstance(function, cupy.ufunc):
            taken = UFUNC_KEYWORDS
        elif isinstance(function, type):
            taken = _of_class(function)
        else:
            recorded = record_cupy.signature(function)
            taken = None if recorded is None else {p.strip("*=") for p in recorded}
        if taken is None:
            continue  # in Cython and without a docstring that tells
        checked += 1
        wrong = [k for k in keywords if k not in taken]
        if wrong:
            refused[".".join(path)] = place, wrong
    assert refused == {}
    assert checked > 40


def _of_class(kind):
    try:
        return set(inspect.signature(kind).parameters)
    except (TypeError, ValueError):
        return None


def test_a_name_that_is_not_there_is_found(monkeypatch, tmp_path):
    file = tmp_path / "wrong.py"
    file.write_text("def f(xp, x):\n    return xp.no_such_thing(x) + xp.sum(x, nonsense=1)\n")
    monkeypatch.setitem(globals(), "FILES", [file])
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    with pytest.raises(AssertionError, match="no_such_thing"):
        test_names_are_there()
    file.write_text("def f(xp, x):\n    return xp.sum(x, nonsense=1)\n")
    with pytest.raises(AssertionError, match="nonsense"):
        test_keywords_are_taken()


def test_what_is_recorded_is_what_is_there():
    """The double refuses by names recorded from a wheel: those of this one."""
    from tests.cuda.fake_cupy import NAMES

    if cupy.__version__ != NAMES["version"]:
        pytest.skip(f"the double stands for CuPy {NAMES['version']}, here is {cupy.__version__}")
    for name, kind in NAMES["cupy"].items():
        assert record_cupy.kind_of(getattr(cupy, name), cupy) == kind, name
