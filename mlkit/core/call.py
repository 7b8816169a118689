"""CallContext: what a layer hands to everything that is called within it."""

from collections.abc import MutableMapping
from typing import Any

Losses = MutableMapping[Any, list[Any]]  # layer -> what it added to the loss, scalar tensors


class CallContext:
    """What holds in a layer's call, and for the layers called in it.

    path: names of the layers (and name scopes) around, outermost first. training: the `training` argument, which layers within inherit.
    autocast: the dtype that float variables are read in, or None for their own. losses: what layers add to the loss in the outermost
    call around; outside of all calls, what they added in the last one that they added to. is_call: whether it is of a call.
    """

    __slots__ = ("path", "training", "autocast", "losses", "is_call")

    def __init__(
        self,
        path: tuple[str, ...] = (),
        training: bool | None = None,
        autocast: str | None = None,
        losses: Losses | None = None,
        is_call: bool = False,
    ):
        self.path, self.training, self.autocast, self.is_call = path, training, autocast, is_call
        self.losses: Losses = {} if losses is None else losses

    def enter(self, path: tuple[str, ...]) -> "CallContext":
        """The context of a layer's call in this one."""
        return CallContext(path, self.training, self.autocast, self.losses if self.is_call else {}, True)

    def at(self, path: tuple[str, ...]) -> "CallContext":
        """The same with another path."""
        return CallContext(path, self.training, self.autocast, self.losses, self.is_call)

    def plain(self) -> "CallContext":
        """The same where variables are read in their own dtype."""
        return CallContext(self.path, self.training, None, self.losses, self.is_call)

    def apart(self) -> "CallContext":
        """The same with losses of its own, of which nobody else knows."""
        return CallContext(self.path, self.training, self.autocast, {}, True)
