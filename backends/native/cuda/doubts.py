"""Whether indices were in range, noted on the GPU by kernels that do not wait, and told when something is read."""

AT_ONCE = 32  # checks that share an array


class Doubts:
    """Truth values on the device, those of a program in one array, which is read at once.

    Kernels write False; then `first` has the message.
    """

    def __init__(self, xp):
        self._xp = xp
        self._arrays, self._messages = [], []
        self._views = {}  # message -> where kernels write

    def fine(self, message):
        """The truth value for a message."""
        view = self._views.get(message)
        if view is None:
            at = len(self._messages) % AT_ONCE
            if at == 0:  # it stays, so it does not come from the memory of a program's graph
                with self._xp.cuda.using_allocator(self._xp.get_default_memory_pool().malloc):
                    self._arrays.append(self._xp.ones(AT_ONCE, bool))
            view = self._views[message] = self._arrays[-1][at : at + 1].reshape(())
            self._messages.append(message)
        return view

    def __bool__(self):
        return bool(self._messages)

    def first(self):
        """The message of the first check that failed, or None; all are fine again."""
        found = None
        for k, array in enumerate(self._arrays):
            values = array.get()
            if not values.all():
                found = found or self._messages[k * AT_ONCE + int(values.argmin())]
                array.fill(True)
        return found
