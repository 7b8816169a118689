"""What makes elements before they are asked for, or keeps those that were: prefetch and cache."""

from typing import Any

from mlkit.core.ownership import own_arrays
from mlkit.data.pipeline import cache_file
from mlkit.data.pipeline.node import Node, Pass
from mlkit.data.workers import Prefetched


class Prefetch(Node):
    """Elements made by a thread, up to `size` ahead."""

    works_ahead = True

    def __init__(self, source: Node, size: int):
        super().__init__(source)
        self.size = size

    class Pass(Pass):
        def begin(self):
            self.ready = self._prefetched(())

        def _prefetched(self, ready):
            return Prefetched(self.source, self.node.size, own=False, ready=ready)

        def __next__(self):
            return next(self.ready)

        def get_state(self):
            with self.ready.paused() as waiting:
                return {**super().get_state(), "waiting": waiting}

        def set_state(self, state):
            super().set_state(state)
            self.ready = self._prefetched(state["waiting"])

        def close(self):
            self.ready.close()
            super().close()


class Cache(Node):
    """The elements of the source's pass 0, kept once a pass has come to its end: in memory, or in a file."""

    def __init__(self, source: Node, path: str = ""):
        super().__init__(source)
        self.path, self.kept = path, None  # all elements, once they are known

    def cardinality(self):
        return self.source.cardinality() if self.kept is None else len(self.kept)

    def open(self) -> Any:
        """The elements if they are known: a sequence."""
        if self.kept is None and self.path and cache_file.exists(self.path):
            self.kept = cache_file.Reader(self.path)
        return self.kept

    class Pass(Pass):
        """A restored pass over what is not kept yet begins anew, so that all of it will be kept, and skips what was there."""

        saved = ("index",)

        def __init__(self, node, epoch):
            self.node, self.epoch, self.index = node, epoch, 0
            self.kept, self.writer, self.sources = node.open(), None, []
            if self.kept is None:
                self.sources = [node.source.start(0)]
                self.writer = cache_file.Writer(node.path) if node.path else _Memory()

        def __next__(self):
            if self.kept is None:
                return self._made()
            if self.index >= len(self.kept):
                raise StopIteration
            self.index += 1
            return own_arrays(self.kept[self.index - 1])

        def _made(self):
            for element in self.source:
                self.writer.add(element)
                self.index += 1
                return own_arrays(element)
            kept = self.writer.finish()
            if self.node.kept is None:
                self.node.kept = kept
            raise StopIteration

        def get_state(self):
            return {"node": "Cache", "sources": [], "index": self.index}

        def set_state(self, state):
            self.check_state({**state, "sources": self.sources})
            if self.kept is not None:
                self.index = state["index"]
            while self.index < state["index"]:
                next(self)

        def close(self):
            if self.writer is not None:
                self.writer.close()
            super().close()


class _Memory:
    """Keeps elements in a list."""

    def __init__(self):
        self.elements = []

    def add(self, element):
        self.elements.append(element)

    def finish(self):
        return self.elements

    def close(self):
        """What was kept of a pass that ended early is dropped with it."""
