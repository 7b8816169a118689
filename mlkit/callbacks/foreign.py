"""Callbacks of other libraries: whatever has Keras's methods is called as one of ours is."""

from typing import Any

from mlkit.callbacks.callback import HOOKS, Callback


def is_callback(obj: Any) -> bool:
    """Whether an object that is none of our callbacks has any of their turns."""
    return not isinstance(obj, type) and any(callable(getattr(obj, hook, None)) for hook in HOOKS)


class ForeignCallback(Callback):
    """Hands the turns on to an object that has some of a callback's methods, such as a callback of Keras, MLflow or W&B.

    callback: the object. One without `set_model` and `set_params` gets the attributes `model` and `params`.

    >>> class Shout:
    ...     def on_epoch_end(self, epoch, logs):
    ...         print(f"epoch {epoch} of {self.params['epochs']}!")
    >>> import mlkit, numpy as np
    >>> model = mlkit.Sequential([mlkit.Input((2,)), mlkit.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> _ = model.fit(np.ones((4, 2)), np.arange(4), epochs=1, verbose=0, callbacks=[Shout()], check=False)
    epoch 0 of 1!
    """

    def __init__(self, callback: Any):
        super().__init__()
        self.callback = callback
        self.handles_nonfinite = getattr(callback, "handles_nonfinite", False)
        for hook in HOOKS:
            method = getattr(callback, hook, None)
            if callable(method) and not getattr(
                method, "_is_default", False
            ):  # Keras marks those of its base, which do nothing
                setattr(self, hook, method)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._tell("model", model)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self._tell("params", params)

    def _tell(self, name, value):
        if hasattr(self.callback, f"set_{name}"):
            getattr(self.callback, f"set_{name}")(value)
        else:
            setattr(self.callback, name, value)

    def get_state(self) -> dict[str, Any]:
        return self.callback.get_state() if hasattr(self.callback, "get_state") else {}

    def set_state(self, state: dict[str, Any]) -> None:
        if hasattr(self.callback, "set_state"):
            self.callback.set_state(state)
