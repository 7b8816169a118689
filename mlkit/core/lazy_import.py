"""Packages that import what they offer when it is first asked for."""

import importlib
import sys
from collections.abc import Callable

from mlkit.core.garbage_collection import uncollected
from mlkit.core.messages import explained


def offer(
    package: str, homes: dict[str, str], absent: dict[str, str] | None = None
) -> tuple[list[str], Callable[[str], object], Callable[[], list[str]]]:
    """A package's ``__all__, __getattr__, __dir__ = offer(__name__, homes)``.

    homes: module -> the names it defines, in one string. Modules are named in full, or from the package on, as ".dense"; the
    names at "." are modules of the package themselves. absent: names that are looked for and are not there -> why.

    >>> import mlkit
    >>> mlkit.layers.Dense.__module__, "Dense" in dir(mlkit.layers), hasattr(mlkit.layers, "Dance")
    ('mlkit.layers.dense', True, False)
    """
    home_of = {name: module for module, names in homes.items() for name in names.split()}
    namespace = vars(sys.modules[package])

    @uncollected()  # what is imported stays
    def find(name: str) -> object:
        home = home_of.get(name)
        if home is None:
            if absent and name in absent:
                error = AttributeError(f"module {package!r} has no attribute {name!r}: {absent[name]}")
                raise explained(error, "module-mlkit-has-no-attribute-weights-are-not-quantized")
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = importlib.import_module(f".{name}" if home == "." else home, package)
        value = namespace[name] = found if home == "." else getattr(found, name)
        return value

    return sorted(home_of), find, lambda: sorted({*namespace, *home_of})
