"""The memory that plans run in: a block as large as the largest plan in use; one for each thread where threads compute at once."""

import weakref


class Arena:
    """The block itself is held by the programs bound to it, so that it goes when the last of them does, or when a larger one takes its
    place: all are bound anew then, when they are run next."""

    def __init__(self, device):
        self.device = device
        self._local = device.local()

    @property
    def _own(self):
        """What this thread has."""
        own = getattr(self._local, "own", None)
        if own is None:
            own = self._local.own = _Own()
        return own

    def current(self):
        """The block, or None."""
        block = self._own.block
        return block and block()

    def expect(self, nbytes):
        """Say that a block of so many bytes will be asked for, or a larger one, when a plan is made."""
        block = self.current()
        if block is None or block.nbytes < nbytes:
            self._own.coming = self.device.coming(nbytes)

    def lend(self, bound, nbytes):
        """Give a `Bound` the block, of at least so many bytes."""
        bound.block = self.at_least(nbytes)
        self._own.bound.add(bound)

    def at_least(self, nbytes):
        """A block of at least so many bytes; a larger one takes the place of the old one."""
        own = self._own
        block, coming = self.current(), own.coming
        own.coming = None
        if block is None or block.nbytes < nbytes:
            for other in own.bound:
                other.release()
            own.bound.clear()
            block = coming.claim(nbytes) if coming is not None else self.device.reserve(nbytes)
            own.block = weakref.ref(block)
        return block


class _Own:
    def __init__(self):
        self.block = None  # weak reference
        self.coming = None
        self.bound = weakref.WeakSet()


class Bound:
    """A program bound to a block of memory: `run` is the function that works there, None where the block is given up."""

    __slots__ = ("block", "run", "__weakref__")

    def __init__(self):
        self.release()

    def release(self):
        self.block = self.run = None
