"""RematScope: layers made in the block compute what they have computed a second time for their gradients, instead of keeping it."""

import math
import types
from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core import tree
from mlkit.core.interpreter import on_shapes
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.layers.losses_within import with_losses
from mlkit.ops.rematerialization import remat

__all__ = ["RematScope"]

_MODES = ("full", "activations", "larger_than", "list_of_layers", None)


class RematScope:
    """A block; layers made in it are rematerialized when they are called: see `mlkit.remat`.

    Args:
        mode: "full": each layer; "activations": the activation functions of layers that have one; "larger_than": layers whose outputs
            have more elements than `output_size_threshold`; "list_of_layers": those named in `layer_names`; None: no layer.
        output_size_threshold: number of elements of a layer's output, without the batch axis where its size is unknown.
        layer_names: list of names.

    >>> import mlkit
    >>> with mlkit.RematScope(mode="full"):
    ...     hidden = mlkit.layers.Dense(64, activation="relu")
    """

    def __init__(self, mode: str | None = "full", output_size_threshold: int = 1024, layer_names: Sequence[str] | None = None):
        if mode not in _MODES:
            raise ValueError(f"RematScope: `mode` must be one of {_MODES}, but got {mode!r}.")
        self.mode, self.output_size_threshold = mode, output_size_threshold
        self.layer_names = list(layer_names or []) if mode == "list_of_layers" else []
        self._outer = None

    def __enter__(self) -> "RematScope":
        self._outer, state.remat = state.remat, self
        return self

    def __exit__(self, *_: Any) -> None:
        state.remat, self._outer = self._outer, None

    def run(self, layer: Any, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `call`, a method of the layer, returns."""
        if not state.top.tapes or self.mode is None:
            return call(*args, **kwargs)
        if self.mode == "activations":
            return _with_activation(layer, call)(*args, **kwargs)
        chosen = (
            self.mode == "full"
            or layer.name in self.layer_names
            or (self.mode == "larger_than" and self._is_large(call, args, kwargs))
        )
        return _rematerialized(call, args, kwargs) if chosen else call(*args, **kwargs)

    def _is_large(self, call: Callable[..., Any], args, kwargs):
        with on_shapes():
            a, k = tree.map_structure(lambda x: Tensor(x.spec) if type(x) is Tensor else x, (args, kwargs))
            outputs = [t for t in tree.flatten(call(*a, **k)) if type(t) is Tensor]
        return sum(math.prod(s for s in t.shape if type(s) is int) for t in outputs) > self.output_size_threshold


def _with_activation(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
    """The method of a layer of the same state whose activation function is rematerialized; `call` itself if it has none."""
    if not callable(getattr(layer, "activation", None)) or getattr(call, "__self__", None) is not layer:
        return call
    twin = object.__new__(type(layer))
    vars(twin).update(vars(layer), activation=remat(layer.activation))
    return types.MethodType(call.__func__, twin)


def _rematerialized(call: Callable[..., Any], args, kwargs):
    """The rematerialized call. Losses added in it are results of it, which have gradients."""
    owners = []

    def run(*args: Any, **kwargs: Any):
        out, added = with_losses(call)(*args, **kwargs)
        owners[:] = [owner for owner, _ in added]
        return out, [loss for _, loss in added]

    out, losses = remat(run)(*args, **kwargs)
    for owner, loss in zip(owners, losses):
        owner.add_loss(loss)
    return out
