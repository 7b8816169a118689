"""CallbackList: calls every callback that listens to a turn, with logs of Python floats."""

from collections.abc import Callable, Sequence
from typing import Any

from mlkit.callbacks.callback import HOOKS, Callback
from mlkit.callbacks.foreign import ForeignCallback, is_callback
from mlkit.callbacks.history import History
from mlkit.callbacks.progbar_logger import ProgbarLogger
from mlkit.core import tree
from mlkit.core.communicator import replicas


class CallbackList(Callback):
    """Several callbacks that act as one.

    Args:
        callbacks: a callback, or a (nested) list of them. Objects of other classes count if they have some of the methods.
        add_history: whether to add a `History` where there is none.
        add_progbar: whether to add a `ProgbarLogger` where there is none.
        model: the model at work.
        **params: what the callbacks find in `params`: `verbose`, `epochs`, `steps`.

    `logs` may be a function without arguments: it is called only if some callback reads its result, for that may mean to wait
    for the device. The hooks cost nothing where nobody overrides them.
    """

    def __init__(
        self,
        callbacks: Callback | Sequence[Any] | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        super().__init__()
        self.callbacks = [_as_callback(c) for c in tree.flatten(callbacks)] if callbacks else []
        group = replicas()
        if group is not None and group.rank:
            self.callbacks = [c for c in self.callbacks if not c.only_on_rank_0]
        if add_history and self._find(History) is None:
            self.callbacks.append(History())
        if add_progbar and self._find(ProgbarLogger) is None:
            self.callbacks.append(ProgbarLogger())
        self._listeners = {}
        self.set_model(model)
        self.set_params(params)

    def _find(self, cls: type[Callback]) -> Any:
        return next((c for c in self.callbacks if isinstance(c, cls)), None)

    @property
    def history(self) -> History | None:
        """The `History` among the callbacks, or None."""
        return self._find(History)

    def append(self, callback: Callback) -> None:
        """Add a callback at the end."""
        self.callbacks.append(_as_callback(callback))
        self._listeners.clear()

    def set_model(self, model: Any) -> None:
        """Make the model known to every callback, and its history to the model."""
        if model is None:
            return
        super().set_model(model)
        if self.history is not None:
            model.history = self.history
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Make the parameters known to every callback."""
        super().set_params(params)
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def listeners(self, hook: str) -> list[Callable[..., Any]]:
        """The callbacks' methods of this name, those left out that do nothing. Kept from the first call on."""
        if hook not in self._listeners:
            in_turn = sorted(self.callbacks, key=lambda c: c.comes_last)
            self._listeners[hook] = [getattr(c, hook) for c in in_turn if _listens(c, hook)]
        return self._listeners[hook]

    def _call(self, hook: str, *args: Any) -> None:
        listeners = self.listeners(hook) if self.callbacks else ()
        if listeners:
            logs = _OnceRead(args[-1])
            for listener in listeners:
                lazy = type(getattr(listener, "__self__", None)) is ProgbarLogger
                listener(*args[:-1], logs if lazy else logs())


class _OnceRead:
    """Logs that are turned into Python floats when somebody reads them: one and the same dict for all."""

    def __init__(self, logs: dict[str, Any] | None):
        self._logs, self._read = logs, None

    def __call__(self) -> dict[str, Any]:
        if self._read is None:
            self._read = python_logs(self._logs)
        return self._read


def _as_callback(obj: Any) -> Callback:
    if isinstance(obj, Callback):
        return obj
    if not is_callback(obj):
        raise TypeError(
            f"`callbacks` holds {obj!r} of type {type(obj).__name__}. Expected instances of `mlkit.callbacks.Callback`"
            + (" (an instance, not the class)." if isinstance(obj, type) else ", or objects with methods of its names.")
        )
    return ForeignCallback(obj)


def _listens(callback: Callback, hook: str) -> bool:
    """Whether a callback overrides the hook, in its class or on the instance (or the older name, for the training batches)."""
    names = [hook, hook.replace("_train", "")] if hook.startswith("on_train_batch") else [hook]
    return any(getattr(getattr(callback, name), "__func__", None) is not getattr(Callback, name) for name in names)


def _calls_all(hook: str) -> Callable[..., None]:
    if hook.split("_")[1] == "epoch" or "batch" in hook:

        def call(self, index: int, logs: dict[str, Any] | None = None):
            self._call(hook, index, logs)
    else:

        def call(self, logs: dict[str, Any] | None = None):
            self._call(hook, logs)

    call.__name__ = hook
    call.__doc__ = f"Call `{hook}` of every callback."
    return call


for _hook in HOOKS:
    setattr(CallbackList, _hook, _calls_all(_hook))


def python_logs(logs: dict[str, Any] | None) -> dict[str, Any]:
    """Logs, sorted by name, with scalars as Python floats; a function without arguments is called for them.

    >>> import numpy as np
    >>> python_logs({"loss": np.float32(0.5)})
    {'loss': 0.5}
    """
    logs = logs() if callable(logs) else logs
    flat = {}
    for name, value in sorted((logs or {}).items()):
        if isinstance(value, dict):
            flat.update(python_logs(value))
        elif isinstance(value, float) or getattr(value, "shape", ()) != () or not hasattr(value, "__float__"):
            flat[name] = value
        else:
            flat[name] = float(value)
    return flat
