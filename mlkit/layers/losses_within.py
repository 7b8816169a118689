"""Losses that layers add while something runs, as results of it: in the body of a loop, say, they are values of its turn."""

from collections.abc import Callable
from typing import Any

from mlkit.core.state import state, swapped


def with_losses(call: Callable[..., Any]) -> Callable[..., tuple[Any, list[tuple[Any, Any]]]]:
    """The function, which returns (what `call` returns, [(layer, loss that it added), ...]); nobody else sees these losses."""

    def run(*args: Any, **kwargs: Any) -> tuple[Any, list[tuple[Any, Any]]]:
        with swapped(call=state.call.apart()):
            out = call(*args, **kwargs)
            return out, [(layer, loss) for layer, losses in state.call.losses.items() for loss in losses]

    return run
