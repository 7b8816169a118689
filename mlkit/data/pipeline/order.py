"""Which elements come, and in which order: shuffle, repeat, take, skip, shard, concatenate, zip, enumerate, sample."""

from typing import Any

import numpy as np

from mlkit.core import tree
from mlkit.data.pipeline import elements
from mlkit.data.pipeline.elements import TensorSpec
from mlkit.data.pipeline.node import INFINITE, INNER, UNKNOWN, Node, Pass


class Shuffle(Node):
    """Elements in random order: each is drawn from a buffer, where the source's next one takes its place.

    Of a source that is indexed the buffer holds numbers only. reshuffle: whether each pass has an order of its own.
    """

    def __init__(self, source: Node, size: int, seed: int, reshuffle: bool = True):
        super().__init__(source)
        self.size, self.seed, self.reshuffle = size, seed, reshuffle

    class Pass(Pass):
        saved = ("buffer", "next_number")

        def begin(self):
            self.buffer, self.next_number = [], 0
            self.rng = np.random.default_rng([self.node.seed, self.epoch if self.node.reshuffle else 0])
            self.numbered = self.node.source.cardinality() if self.node.source.is_indexed else None

        def __next__(self):
            drawn = self._draw()
            return drawn if self.numbered is None else self.node.source.at(drawn)

        def _draw(self):
            buffer = self.buffer
            try:
                while len(buffer) < self.node.size:
                    buffer.append(self._following())
            except StopIteration:
                if not buffer:
                    raise
            i = int(self.rng.integers(len(buffer)))
            buffer[i], buffer[-1] = buffer[-1], buffer[i]
            return buffer.pop()

        def _following(self):
            if self.numbered is None:
                return next(self.source)
            if self.next_number >= self.numbered:
                raise StopIteration
            self.next_number += 1
            return self.next_number - 1

        def block(self, count):
            if self.numbered is None:
                return super().block(count)
            drawn = []
            try:
                while len(drawn) < count:
                    drawn.append(self._draw())
            except StopIteration:
                pass
            return self.node.source.block(np.array(drawn)) if drawn else None

        def get_state(self):
            return {**super().get_state(), "random": self.rng.bit_generator.state}

        def set_state(self, state):
            super().set_state(state)
            self.rng.bit_generator.state = state["random"]


class Repeat(Node):
    """The source several times, or (count None) for ever. Repetition k of pass e is pass e * count + k of the source."""

    def __init__(self, source: Node, count: int | None):
        super().__init__(source)
        self.count = count

    def cardinality(self):
        once = self.source.cardinality()
        if self.count is None:
            return once if once == 0 else INFINITE
        return 0 if self.count == 0 else once if once < 0 else once * self.count

    class Pass(Pass):
        saved = ("repetition", "is_empty")

        def __init__(self, node, epoch):
            self.node, self.epoch = node, epoch
            self.sources, self.repetition, self.is_empty = [], 0, True
            self._begin(0)

        def _begin(self, repetition):
            self.repetition, self.is_empty = repetition, True
            for source in self.sources:
                source.close()
            self.sources = [self.node.source.start(self.epoch * (self.node.count or INNER) + repetition)]

        def __next__(self):
            while self.node.count is None or self.repetition < self.node.count:
                try:
                    element = next(self.source)
                except StopIteration:
                    if self.is_empty:  # it would be for ever
                        raise
                    self._begin(self.repetition + 1)
                else:
                    self.is_empty = False
                    return element
            raise StopIteration

        def set_state(self, state):
            self.check_state(state)
            self._begin(state["repetition"])
            super().set_state(state)


class Take(Node):
    """The first elements."""

    def __init__(self, source: Node, count: int):
        super().__init__(source)
        self.count = count

    def cardinality(self):
        there = self.source.cardinality()
        if there == UNKNOWN and self.count:
            return UNKNOWN
        return self.count if there < 0 else min(there, self.count)

    class Pass(Pass):
        saved = ("taken",)

        def begin(self):
            self.taken = 0

        def __next__(self):
            if self.taken >= self.node.count:
                raise StopIteration
            element = next(self.source)
            self.taken += 1
            return element


class Skip(Node):
    """All but the first elements."""

    def __init__(self, source: Node, count: int):
        super().__init__(source)
        self.count = count

    def cardinality(self):
        there = self.source.cardinality()
        return there if there < 0 else max(there - self.count, 0)

    class Pass(Pass):
        saved = ("skipped",)

        def begin(self):
            self.skipped = 0

        def __next__(self):
            while self.skipped < self.node.count:
                next(self.source)
                self.skipped += 1
            return next(self.source)


class Shard(Node):
    """Every `count`-th element, from number `index` on."""

    def __init__(self, source: Node, count: int, index: int):
        super().__init__(source)
        self.count, self.index = count, index

    def cardinality(self):
        there = self.source.cardinality()
        return there if there < 0 else len(range(self.index, there, self.count))

    class Pass(Pass):
        saved = ("position",)

        def begin(self):
            self.position = 0

        def __next__(self):
            while True:
                element = next(self.source)
                self.position += 1
                if (self.position - 1) % self.node.count == self.node.index:
                    return element


class Concatenate(Node):
    """The elements of the sources one after the other."""

    def cardinality(self):
        counts = [s.cardinality() for s in self.sources]
        return INFINITE if INFINITE in counts else UNKNOWN if UNKNOWN in counts else sum(counts)

    def spec(self):
        first, *others = [s.spec() for s in self.sources]
        for other in others:
            first = tree.map_structure(_common, first, other)
        return first

    class Pass(Pass):
        saved = ("which",)

        def begin(self):
            self.which = 0

        def __next__(self):
            while self.which < len(self.sources):
                for element in self.sources[self.which]:
                    return element
                self.which += 1
            raise StopIteration


def _common(a: Any, b: Any) -> Any:
    """The kind that both fit."""
    if not isinstance(a, TensorSpec) or a == b:
        return a
    if a.dtype != b.dtype:
        raise TypeError(f"concatenate: the datasets have different kinds of elements: {a} and {b}.")
    same_rank = a.shape is not None and b.shape is not None and len(a.shape) == len(b.shape)
    return TensorSpec([m if m == n else None for m, n in zip(a.shape, b.shape)] if same_rank else None, a.dtype)


class Zip(Node):
    """Elements side by side, in a structure whose leaves stand for the sources; as many as the shortest has."""

    def __init__(self, structure: Any):
        super().__init__(*tree.flatten(structure))
        self.structure = structure

    def cardinality(self):
        counts = [s.cardinality() for s in self.sources]
        finite = [n for n in counts if n != INFINITE]
        return INFINITE if not finite else 0 if 0 in finite else UNKNOWN if UNKNOWN in finite else min(finite)

    def spec(self):
        return tree.map_structure(lambda s: s.spec(), self.structure)

    class Pass(Pass):
        def __next__(self):
            found = iter([next(s) for s in self.sources])
            return tree.map_structure(lambda _: next(found), self.node.structure)


class Enumerate(Node):
    """Pairs (number, element)."""

    def __init__(self, source: Node, start: int):
        super().__init__(source)
        self.first = start

    def spec(self):
        return TensorSpec((), "int64"), self.source.spec()

    class Pass(Pass):
        saved = ("number",)

        def begin(self):
            self.number = self.node.first

        def __next__(self):
            element = next(self.source)
            self.number += 1
            return np.asarray(self.number - 1, "int64"), element


class Choose(Node):
    """Each element from one of the sources: that whose number the first source, a dataset of integers, names."""

    def __init__(self, choice: Node, sources: list[Node], stop_on_empty: bool):
        super().__init__(choice, *sources)
        self.stop_on_empty = stop_on_empty

    def cardinality(self):
        return UNKNOWN

    def spec(self):
        return self.sources[1].spec()

    class Pass(Pass):
        saved = ("ended",)

        def begin(self):
            self.ended = []

        def __next__(self):
            while True:
                which = int(next(self.source))
                if not 0 <= which < len(self.sources) - 1:
                    raise ValueError(f"choose_from_datasets: there is no dataset number {which}.")
                for element in self.sources[which + 1]:
                    return element
                self.ended = sorted({*self.ended, which})
                if self.node.stop_on_empty or len(self.ended) == len(self.sources) - 1:
                    raise StopIteration


class Draws(Node):
    """Random integers with given probabilities, for ever."""

    def __init__(self, weights: list[float], seed: int):
        super().__init__()
        self.weights, self.seed = weights, seed

    def cardinality(self):
        return INFINITE

    def spec(self):
        return TensorSpec((), "int64")

    class Pass(Pass):
        def begin(self):
            self.rng = np.random.default_rng([self.node.seed, self.epoch])

        def __next__(self):
            return elements.to_array(np.int64(self.rng.choice(len(self.node.weights), p=self.node.weights)))

        def get_state(self):
            return {**super().get_state(), "random": self.rng.bit_generator.state}

        def set_state(self, state):
            super().set_state(state)
            self.rng.bit_generator.state = state["random"]
