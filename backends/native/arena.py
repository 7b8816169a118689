"""The memory that plans run in: one block a thread, as large as the largest plan that is still in use there."""

import threading
import weakref


class Arena(threading.local):
    """The block itself is held by the programs bound to it, so that it goes when the last of them does, or when a larger one takes its
    place: all are bound anew then, when they are run next."""

    _block = None  # weak reference
    _coming = None

    def __init__(self, device):
        self.device = device
        self._bound = weakref.WeakSet()

    def current(self):
        """The block, or None."""
        return self._block and self._block()

    def expect(self, nbytes):
        """Say that a block of so many bytes will be asked for, or a larger one, when a plan is made."""
        block = self.current()
        if block is None or block.nbytes < nbytes:
            self._coming = self.device.coming(nbytes)

    def lend(self, bound, nbytes):
        """Give a `Bound` the block, of at least so many bytes."""
        bound.block = self.at_least(nbytes)
        self._bound.add(bound)

    def at_least(self, nbytes):
        """A block of at least so many bytes; a larger one takes the place of the old one."""
        block, coming = self.current(), self._coming
        self._coming = None
        if block is None or block.nbytes < nbytes:
            for other in self._bound:
                other.release()
            self._bound.clear()
            block = coming.claim(nbytes) if coming is not None else self.device.reserve(nbytes)
            self._block = weakref.ref(block)
        return block


class Bound:
    """A program bound to a block of memory in one thread: `run` is the function that works there, None where the block is given up."""

    __slots__ = ("block", "run", "__weakref__")

    def __init__(self):
        self.release()

    def release(self):
        self.block = self.run = None
