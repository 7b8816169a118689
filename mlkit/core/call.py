"""CallContext: what a layer hands to everything that is called within it."""

import itertools

_numbers = itertools.count(1)


class CallContext:
    """What holds in a layer's call, and for the layers called in it.

    path: names of the layers (and name scopes) around, outermost first. training: the `training` argument, which layers within inherit.
    autocast: the dtype that float variables are read in, or None for their own. number: of the outermost call around, None outside of
    all calls; what an older one added to the losses is stale.
    """

    __slots__ = ("path", "training", "autocast", "number")

    def __init__(
        self, path: tuple[str, ...] = (), training: bool | None = None, autocast: str | None = None, number: int | None = None
    ):
        self.path, self.training, self.autocast, self.number = path, training, autocast, number

    def enter(self, path: tuple[str, ...]) -> "CallContext":
        """The context of a layer's call in this one."""
        return CallContext(path, self.training, self.autocast, self.number or next(_numbers))

    def at(self, path: tuple[str, ...]) -> "CallContext":
        """The same with another path."""
        return CallContext(path, self.training, self.autocast, self.number)

    def plain(self) -> "CallContext":
        """The same where variables are read in their own dtype."""
        return CallContext(self.path, self.training, None, self.number)
