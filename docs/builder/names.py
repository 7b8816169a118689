"""The public names: each namespace, what it offers, and under which name each object is described."""

import inspect
from typing import NamedTuple

import mlkit

NESTED = (
    "optimizers.schedules",
    "preprocessing.image",
    "preprocessing.sequence",
    "ops.image",
    "ops.linalg",
    "utils.bounding_boxes",
)
OF_DATASETS = ("load_data", "get_word_index", "get_label_names")


class Described(NamedTuple):
    """An object that the reference describes once.

    path: its name from `mlkit` on, as "layers.Conv2D". value: the object. aliases: its other public names.
    """

    path: str
    value: object
    aliases: tuple[str, ...]

    @property
    def namespace(self) -> str:
        return self.path.rpartition(".")[0]

    @property
    def module(self) -> str:
        """The module that defines it."""
        return inspect.unwrap(self.value).__module__


def namespaces() -> dict[str, object]:
    """The namespaces by their name from `mlkit` on; "" is the library itself."""
    names = [*mlkit._HOMES["."].split(), *NESTED]
    names += [f"datasets.{n}" for n in mlkit.datasets.__all__]
    return {"": mlkit, **{n: _resolved(n) for n in names}}


def offered(module: object) -> dict[str, object]:
    """The classes and functions that a namespace offers."""
    if module.__name__.startswith("mlkit.datasets."):
        names = [n for n in OF_DATASETS if hasattr(module, n)]
    else:
        names = getattr(module, "__all__", None) or [n for n in vars(module) if n[0] != "_"]
    found = {n: getattr(module, n) for n in names}
    helps = "mlkit.data.decode"  # what a module of old names uses itself
    return {n: v for n, v in found.items() if (inspect.isclass(v) or inspect.isfunction(v)) and v.__module__ != helps}


def described() -> list[Described]:
    """All public classes and functions, each once: under its own name in the namespace where it is defined, if there is one."""
    paths: dict[int, list[str]] = {}
    values = {}
    for space, module in namespaces().items():
        for name, value in offered(module).items():
            key = id(inspect.unwrap(value))
            paths.setdefault(key, []).append(f"{space}.{name}" if space else name)
            values.setdefault(key, value)
    found = []
    for key, names in paths.items():
        plain = inspect.unwrap(values[key])
        first = min(names, key=lambda path: _rank(path, plain))
        found.append(Described(first, _resolved(first), tuple(n for n in names if n != first)))
    return sorted(found, key=lambda d: d.path.lower())


def _rank(path: str, value: object) -> tuple[bool, ...]:
    space, _, name = path.rpartition(".")
    here = value.__module__.startswith(f"mlkit.{space}") if space else False
    return (not here, name != value.__name__, not space, "legacy" in path, name.islower() and inspect.isclass(value))


def _resolved(path: str) -> object:
    found = mlkit
    for part in path.split("."):
        found = getattr(found, part)
    return found
