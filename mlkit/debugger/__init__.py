"""A training step run call by call: `mlkit.debug`, and what shows it in a terminal and in a browser."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(
    __name__, {".open": "debug", ".debugger": "Debugger", ".breakpoint": "Breakpoint", ".live": "LiveDebugger"}
)
