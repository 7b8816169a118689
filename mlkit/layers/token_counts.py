"""How often tokens occur in data: what a lookup orders its vocabulary by."""

import collections
from typing import Any

import numpy as np


class TokenCounts:
    """How often tokens occur, and in how many samples."""

    def __init__(self):
        self.times, self.samples_with, self.samples = collections.Counter(), collections.Counter(), 0

    def add(self, tokens: list[Any]) -> None:
        self.times.update(tokens)
        self.samples_with.update(set(tokens))
        self.samples += 1

    def most_frequent_first(self, without: set[Any]) -> list[Any]:
        return sorted(set(self.times) - without, key=lambda t: (self.times[t], t), reverse=True)

    def inverse_frequencies(self, tokens: list[Any]) -> list[float]:
        return [np.log(1 + self.samples / (1 + self.samples_with[t])) for t in tokens]
