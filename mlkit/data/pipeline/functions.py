"""Functions of elements: map (by workers, if asked), filter, take_while, interleave, scan, unique."""

import pickle
import weakref
from typing import Any

import numpy as np

from mlkit.core import dtypes, tree
from mlkit.core.deferred import Deferred
from mlkit.data.pipeline import elements
from mlkit.data.pipeline.ahead import Prefetch
from mlkit.data.pipeline.calls import Call
from mlkit.data.pipeline.node import INFINITE, INNER, UNKNOWN, Node, Pass
from mlkit.data.workers import OrderedMap, end_pool, thread_pool
from mlkit.objects.seed_generator import global_seed_generator, set_global_seed

multiprocessing, futures = Deferred("multiprocessing"), Deferred("concurrent.futures")  # only for processes


class Map(Node):
    """A function's results, in order. workers: how many threads or processes compute them; 0: whoever asks for them."""

    def __init__(self, source: Node, call: Call, workers: int = 0, kind: str = "thread"):
        super().__init__(source)
        self.call, self.workers, self.kind = call, workers, kind
        self._processes = None
        if kind == "process":
            self._pickled = _pickled(call)

    def spec(self):
        return self.call.spec(self)

    def results(self, tasks: Any, again: list[Any]) -> OrderedMap:
        """The results of tasks, computed by the workers."""
        number = 2 * self.workers
        if self.kind == "process":
            return OrderedMap(_run, tasks, self._process_pool, number, again=again)
        return OrderedMap(self.call, tasks, lambda: thread_pool(self.workers), number, end_pool, again)

    def _process_pool(self):
        """Processes take long to start, so they serve all passes over this node."""
        if self._processes is None:
            seed = int(global_seed_generator().state.value.numpy()[0])
            self._processes = futures.ProcessPoolExecutor(
                self.workers,
                multiprocessing.get_context("spawn"),
                initializer=_begin_worker,
                initargs=(self._pickled, seed, dtypes.floatx()),
            )
            weakref.finalize(self, self._processes.shutdown, wait=False, cancel_futures=True)
        return self._processes

    class Pass(Pass):
        saved = ("index",)

        def begin(self):
            self.index, self.results, self.again = 0, None, []

        def __next__(self):
            node = self.node
            if not node.workers:
                result = node.call((self.epoch, self.index, next(self.source)))
            else:
                if self.results is None:
                    tasks = _tasks(self.source, self.epoch, self.index + len(self.again))
                    again = [(self.epoch, self.index + i, element) for i, element in enumerate(self.again)]
                    self.results = node.results(tasks, again)
                result = self._of_workers()
            self.index += 1
            return result

        def _of_workers(self):
            try:
                return next(self.results)
            except Exception as error:
                if type(error).__name__ == "BrokenProcessPool":
                    raise RuntimeError(
                        f"{self.node.call.what}: a worker process ended. Processes begin by importing the script, so its own "
                        'work must stand under `if __name__ == "__main__":`; or they ran out of memory.'
                    ) from error
                raise

        def get_state(self):
            waiting = self.again if self.results is None else [element for *_, element in self.results.waiting()]
            return {**super().get_state(), "again": list(waiting)}

        def set_state(self, state):
            super().set_state(state)
            self.again = list(state["again"])

        def close(self):
            if self.results is not None:
                self.results.close()
            super().close()


def _tasks(source, epoch, first):
    """(pass, number, element) of what a source still has; it does not hold the pass that asks, which ends with its consumer."""
    for number, element in enumerate(source, first):
        yield epoch, number, element


def _pickled(call):
    try:
        return pickle.dumps(call)
    except Exception as error:
        raise ValueError(
            f'{call.what}: workers="process" sends the function to other processes, for which it must be defined by `def` at the top '
            f'of a module, with what it uses; threads (workers="thread") take any function. ({error})'
        ) from error


_call: Any = None  # of this worker process


def _begin_worker(pickled, seed, floatx):
    global _call
    dtypes.set_floatx(floatx)
    set_global_seed(seed)
    _call = pickle.loads(pickled)


def _run(task):
    return _call(task)


class _Tested(Node):
    """Elements of which a function says yes or no."""

    def __init__(self, source: Node, call: Call):
        super().__init__(source)
        self.call = call

    def cardinality(self):
        return UNKNOWN

    class Pass(Pass):
        saved = ("index",)

        def begin(self):
            self.index = 0

        def next_tested(self):
            element = next(self.source)
            found = self.node.call((self.epoch, self.index, element))
            self.index += 1
            if getattr(found, "shape", None) != () or found.dtype != bool:
                raise TypeError(f"{self.node.call.what}: the function must return one truth value, but returned {found!r}.")
            return element, bool(found)


class Filter(_Tested):
    """Elements of which a function says yes."""

    class Pass(_Tested.Pass):
        def __next__(self):
            while True:
                element, is_wanted = self.next_tested()
                if is_wanted:
                    return element


class TakeWhile(_Tested):
    """Elements up to the first of which a function says no."""

    class Pass(_Tested.Pass):
        saved = ("index", "is_over")

        def begin(self):
            super().begin()
            self.is_over = False

        def __next__(self):
            if not self.is_over:
                element, is_wanted = self.next_tested()
                if is_wanted:
                    return element
                self.is_over = True
            raise StopIteration


class Unique(Node):
    """Each element once."""

    def cardinality(self):
        return UNKNOWN

    class Pass(Pass):
        saved = ("seen",)

        def begin(self):
            self.seen = {}

        def __next__(self):
            for element in self.source:
                key = tuple(x.item() if x.dtype == object else x.tobytes() for x in tree.flatten(element))
                if key not in self.seen:
                    self.seen[key] = None
                    return element
            raise StopIteration


class Scan(Node):
    """A function's results, which hands itself a state: (state, element) -> (state, result)."""

    def __init__(self, source: Node, first: Any, call: Call):
        super().__init__(source)
        self.first, self.call = first, call

    def spec(self):
        return self.first_spec()

    class Pass(Pass):
        saved = ("index", "state")

        def begin(self):
            self.index, self.state = 0, self.node.first

        def __next__(self):
            found = self.node.call((self.epoch, self.index, (self.state, next(self.source))))
            if type(found) is not tuple or len(found) != 2:
                raise TypeError("scan: the function must return a pair (state, result).")
            self.index += 1
            self.state = found[0]
            return found[1]


class Interleave(Node):
    """The datasets that a function makes of elements, `cycle` of them read in turn, `length` elements at a time.

    ahead: so many of them are read by threads of their own.
    """

    def __init__(self, source: Node, call: Call, cycle: int = 1, length: int = 1, ahead: int = 0):
        super().__init__(source)
        self.call, self.cycle, self.length, self.ahead = call, cycle, length, ahead

    def cardinality(self):
        return self.source.cardinality() if self.source.cardinality() in (0, INFINITE) else UNKNOWN

    def spec(self):
        made = self.call.spec(self._made())
        return getattr(made, "element_spec", None) or self.first_spec()

    def _made(self):
        """The datasets themselves."""
        return Map(self.source, self.call)

    def opened(self, epoch: int, number: int, element: Any, slot: int) -> Pass:
        made = self.call((epoch, number, element))
        if not elements.is_node(made):
            raise TypeError(f"{self.call.what}: the function must return a Dataset, but returned {elements.spec_of(made)}.")
        if slot < self.ahead:
            made = Prefetch(made, self.length)
        return made.start(epoch * INNER + number)

    class Pass(Pass):
        saved = ("number", "slot", "taken", "is_over")

        def begin(self):
            self.open = [None] * self.node.cycle  # (number, element, pass over the dataset made of it)
            self.number, self.slot, self.taken, self.is_over = 0, 0, 0, False

        def __next__(self):
            while not self.is_over or any(self.open):
                if self.open[self.slot] is None and not self.is_over:
                    self._open_next()
                if self.open[self.slot] is None:
                    self._advance()
                    continue
                for element in self.open[self.slot][2]:
                    self.taken += 1
                    if self.taken == self.node.length:
                        self._advance()
                    return element
                self.open[self.slot][2].close()
                self.open[self.slot] = None
                self._advance()
            raise StopIteration

        def _open_next(self):
            for element in self.source:
                one = self.node.opened(self.epoch, self.number, element, self.slot)
                self.open[self.slot] = (self.number, element, one)
                self.number += 1
                return
            self.is_over = True

        def _advance(self):
            self.slot, self.taken = (self.slot + 1) % self.node.cycle, 0

        def get_state(self):
            inner = [o and (o[0], o[1], o[2].get_state()) for o in self.open]
            return {**super().get_state(), "open": inner}

        def set_state(self, state):
            super().set_state(state)
            for slot, saved in enumerate(state["open"]):
                if saved is not None:
                    number, element, position = saved
                    one = self.node.opened(self.epoch, number, element, slot)
                    one.set_state(position)
                    self.open[slot] = (number, element, one)

        def close(self):
            for one in filter(None, self.open):
                one[2].close()
            super().close()


def reduced(node: Node, first: Any, call: Call) -> Any:
    """The last state of a function (state, element) -> state over all elements."""
    state, one = first, node.start(0)
    try:
        for number, element in enumerate(one):
            state = call((0, number, (state, element)))
            _require_same(first, state)
    finally:
        one.close()
    return state


def _require_same(first: Any, state: Any) -> None:
    try:
        tree.assert_same_structure(first, state)
    except ValueError as error:
        raise TypeError(f"reduce: the function must return a state of the form of `initial_state`. {error}") from None
    for a, b in zip(tree.flatten(first), tree.flatten(state)):
        if isinstance(a, np.ndarray) and a.dtype != b.dtype:
            raise TypeError(
                f"reduce: `initial_state` holds {a.dtype}, but the function returned {b.dtype}. They must be the same."
            )
