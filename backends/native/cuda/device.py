"""A GPU as a `Device`: its memory is CuPy's pool, and one stream computes."""

from mlkit.backends.native.device import Device


class Cuda(Device):
    """One GPU, on which the arrays of `xp` lie, which is CuPy."""

    def __init__(self, xp, number=0):
        super().__init__(xp)
        self.number, self.name = number, f"cuda:{number}"
        self._doubts = {}  # message -> whether all is well so far, one truth value on the device

    def indices(self, index, low, high, message):
        """The device is not waited for: that one is out of range is noted there, and told by `raise_doubts`."""
        xp = self.xp
        low = 0 if index.dtype.kind == "u" else low
        fine = xp.all((index >= low) & (index < high))
        known = self._doubts.setdefault(message, fine)
        if known is not fine:
            xp.logical_and(known, fine, out=known)
        return xp.clip(index, low, high - 1)

    def raise_doubts(self):
        """Raise IndexError if an index was out of range since the last time."""
        doubts, self._doubts = self._doubts, {}
        for message, fine in doubts.items():
            if not bool(fine):
                raise IndexError(message)

    def wait(self):
        """Until everything asked for has been computed."""
        self.xp.cuda.get_current_stream().synchronize()

    def memory(self):
        """(bytes that can be had, bytes there are)."""
        with self.xp.cuda.Device(self.number):
            free, total = self.xp.cuda.runtime.memGetInfo()
        return free + self.xp.get_default_memory_pool().free_bytes(), total
