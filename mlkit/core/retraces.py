"""What differed between the traces of one function: said once, when there are more than anybody wants."""

import inspect
import reprlib
import warnings
from collections.abc import Callable
from typing import Any

from mlkit.core import tree

MOST = 20  # traces of a function without a word
_SHOWN = 4  # values of what differed


class Retraces:
    """What a function was traced for, trace by trace: {what: value}, both as text. name: the function's."""

    def __init__(self, name: str):
        self.name, self._seen, self.count = name, list[dict[Any, Any]](), 0

    def note(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], others: dict[str, Any]) -> None:
        """Note a trace; warns after the 21st. others: {what: value} besides the arguments."""
        self.count += 1
        if self.count > MOST + 1:
            return
        self._seen.append({**_arguments(fn, args, kwargs), **{k: _show(v) for k, v in others.items()}})
        if self.count > MOST:
            warnings.warn(
                f"{self.name} has been traced {self.count} times, which takes time and memory: {self._differences()}. Give it shapes "
                "that come again (pad sequences to a few lengths, keep batches of one size), and numbers that change as tensors. "
                "Programs used longest ago are dropped (mlkit.config.set_program_memory).",
                stacklevel=6,
            )
            self._seen.clear()

    def _differences(self) -> Any:
        """What differed, with its first values."""
        found = []
        for what in dict.fromkeys(k for seen in self._seen for k in seen):
            values = list(dict.fromkeys(seen[what] for seen in self._seen if what in seen))
            if len(values) > 1:
                more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
                found.append(f"{what} was {', '.join(values[:_SHOWN])}{more}")
            elif any(what not in seen for seen in self._seen):
                found.append(f"{what} was there in some calls")
        return "; ".join(found) or "its variables or closures differed"


def _arguments(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[Any, Any]:
    """{path of an argument: what it is}, for all leaves."""
    try:
        named = inspect.signature(fn).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        named = {**{f"argument {i}": a for i, a in enumerate(args)}, **kwargs}
    found = {}
    for name, value in named.items():
        for path, leaf in tree.flatten_with_path(value):
            found[name + "".join(f"[{k!r}]" for k in path)] = _show(leaf)
    return found


def _show(leaf: Any) -> str:
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return f"{leaf.dtype}{list(leaf.shape)}"
    return reprlib.repr(leaf)
