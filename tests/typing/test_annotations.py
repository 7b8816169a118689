"""A default shows one value of many: without a type beside it, type checkers take its type for all that a parameter may be."""

import inspect

import pytest

import mlkit

NAMESPACES = (
    "",
    *("activations", "applications", "callbacks", "config", "constraints", "datasets", "dtype_policies", "initializers"),
    *("layers", "losses", "metrics", "mixed_precision", "models", "ops", "ops.image", "ops.linalg", "ops.nn", "ops.numpy"),
    *("optimizers", "optimizers.schedules", "preprocessing", "random", "regularizers", "saving", "tree", "utils"),
)
ATTACHED = "mlkit.ops.operators"  # declared in `core.typing`


def functions():
    """Public functions, classes by their `__init__`, and public methods, each once."""
    found = {}
    for namespace in NAMESPACES:
        module = mlkit
        for part in filter(None, namespace.split(".")):
            module = getattr(module, part)
        for name in dir(module):
            thing = getattr(module, name)
            if name[0] == "_" or not callable(thing) or not getattr(thing, "__module__", "").startswith("mlkit"):
                continue
            where = f"{namespace}.{name}".lstrip(".")
            if not inspect.isclass(thing):
                found.setdefault(inspect.unwrap(thing), where)
                continue
            for method, f in inspect.getmembers(thing, inspect.isfunction):
                if method[0] != "_" or method == "__init__":
                    found.setdefault(inspect.unwrap(f), f"{where}.{method}")
    return [
        pytest.param(f, id=where) for f, where in found.items() if f.__module__.startswith("mlkit") and f.__module__ != ATTACHED
    ]


def test_defaults_do_not_stand_for_types():
    untold = []
    for case in functions():
        for p in inspect.signature(*case.values).parameters.values():
            plain = p.default is p.empty or p.default is None or isinstance(p.default, bool)
            if not plain and p.annotation is p.empty:
                untold.append(f"{case.id}({p.name}={p.default!r})")
    assert not untold


def test_what_a_name_stands_for_is_not_text():
    """Types are evaluated where a function is defined: a wrong name fails at once, and tools that read signatures see types."""
    text = [
        case.id
        for case in functions()
        for p in inspect.signature(*case.values).parameters.values()
        if type(p.annotation) is str
    ]
    assert not text
