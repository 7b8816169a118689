"""SaveInterval: when a callback that saves every n batches is due."""


class SaveInterval:
    """Counts batches across epochs, also when a step runs several of them (`steps_per_execution`).

    >>> interval = SaveInterval(3)
    >>> [interval.is_due(batch) for batch in (0, 1, 2, 3, 0, 1)]
    [False, False, True, False, False, True]
    """

    def __init__(self, save_freq: int | str):
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(f"`save_freq` must be 'epoch' or a positive number of batches, but is {save_freq!r}.")
        self.save_freq = save_freq
        self._last = -1  # last batch of the epoch seen
        self._since = 0  # batches since the last save

    def is_due(self, batch: int) -> bool:
        """Whether to save after this batch."""
        if self.save_freq == "epoch":
            return False
        self._since += batch + 1 if batch <= self._last else batch - self._last
        self._last = batch
        if self._since < self.save_freq:
            return False
        self._since = 0
        return True

    def get_state(self):
        """The counts, to go on with in another process."""
        return [self._last, self._since]

    def set_state(self, state):
        self._last, self._since = state
