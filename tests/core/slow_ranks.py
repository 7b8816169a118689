"""A communicator of two ranks in one process, whose arrays are on their way for a while."""

import threading
import time

from mlkit.core.communicator import Communicator


class Slow(Communicator):
    """Two ranks that always bring the same; arrays travel for a while in threads."""

    rank, size, overlaps = 0, 2, True
    all_gather = broadcast = all_gather_values = exchange = None

    def __init__(self, seconds):
        self.seconds, self.said, self.under_way = seconds, [], {}

    def all_reduce(self, array, reduction="sum", label=""):
        time.sleep(self.seconds)
        array *= 2

    def start(self, array, reduction="sum", label=""):
        self.said.append(f"start {label}")
        thread = threading.Thread(target=self.all_reduce, args=(array,))
        self.under_way[array.ctypes.data] = thread, label
        thread.start()

    def wait(self, array):
        thread, label = self.under_way.pop(array.ctypes.data)
        self.said.append(f"wait {label}")
        thread.join()
