"""Elements made ahead of time: in one background thread, or by several workers that keep the order.

Both are iterators that tell what they hold: elements that are made but not handed out, of which a saved position consists.
"""

import collections
import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mlkit.core.deferred import Deferred
from mlkit.core.state import state, swapped
from mlkit.core.typing import IntOrSequence

futures = Deferred("concurrent.futures")  # a fit on arrays does not need it


def surroundings():
    """The backend and device of this thread, for `swapped` in another one."""
    return dict(backend=state.backend, kernels=state.kernels, device=state.device)


class _Shared:
    """What the consumer and the thread that makes elements both know; the thread must not hold the consumer."""

    def __init__(self, size, ready=()):
        self.size, self.ready = size, collections.deque(ready)
        self.changed = threading.Condition()
        self.making = threading.Lock()  # held while an element is made
        self.ended = self.stopped = False
        self.error = None

    def has_room(self):
        """Wait for room; False: nobody wants more. One element is made beside those that wait."""
        with self.changed:
            self.changed.wait_for(lambda: self.stopped or len(self.ready) <= self.size)
            return not self.stopped

    def put(self, item):
        with self.changed:
            self.ready.append(item)
            self.changed.notify_all()

    def end(self, error=None):
        with self.changed:
            self.ended, self.error = True, error
            self.changed.notify_all()

    def stop(self):
        with self.changed:
            self.stopped = True
            self.ready.clear()
            self.changed.notify_all()


class Prefetched:
    """The elements of an iterable, made by a background thread, up to `size` ahead of the consumer. See `prefetch`."""

    def __init__(self, iterable, size: IntOrSequence = 2, own: bool = False, ready=()):
        self._iterable, self._own, self._thread = iterable, own, None
        self._shared = _Shared(max(1, size), ready)

    def __iter__(self):
        return self

    def __next__(self):
        shared = self._shared
        if self._thread is None and not shared.stopped:
            self._start()
        with shared.changed:
            shared.changed.wait_for(lambda: shared.ready or shared.ended or shared.stopped)
            if shared.ready:
                item = shared.ready.popleft()
                shared.changed.notify_all()
                return item
        error, shared.error = shared.error, None
        self.close()
        if error is not None:
            raise error
        raise StopIteration

    def _start(self):
        arguments = (_produce, self._iterable, self._shared, surroundings(), self._own)
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=arguments, name="mlkit-prefetch", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def paused(self):
        """A block in which no element is made: a list of those that are made and not handed out."""
        with self._shared.making:
            yield list(self._shared.ready)

    def close(self):
        """End the thread before its next element."""
        self._shared.stop()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5.0)

    __del__ = close


def prefetch(iterable: Iterable[Any], size: int = 2, own: bool = False) -> Iterator[Any]:
    """Iterate in a background thread, up to `size` elements ahead of the consumer.

    An exception of the iterable is raised in the consumer, where its element would have been, with the traceback of where it
    arose. When the consumer stops early (break, an error, or `close()`), the thread ends before its next element. The thread
    sees the consumer's backend and device, and its context variables.

    Args:
        own: have the backend make an element its own before the next is asked for, which the iterable may write into the same
            arrays.
        iterable: of anything.
        size: elements that may wait.

    >>> list(prefetch(range(3)))
    [0, 1, 2]
    """
    return Prefetched(iterable, size, own)


def _produce(iterable, shared, around, own):
    iterator, error = None, None
    try:
        with swapped(**around):
            iterator = iter(iterable)
            while shared.has_room():
                with shared.making:
                    item = next(iterator)
                    shared.put(state.backend.ahead(item) if own else item)
    except StopIteration:
        pass
    except BaseException as raised:  # whatever it is, it belongs to the consumer
        error = raised
    try:
        if hasattr(iterator, "close"):
            iterator.close()
    finally:
        shared.end(error)


class OrderedMap:
    """Results of a function, computed by the workers of a pool, in the order of the items. See `ordered_map`.

    make_pool: () -> an executor, asked for when the first result is. finish: what to do with the executor at the end.
    again: items whose results come before those of `items`.
    """

    def __init__(self, function, items, make_pool, ahead, finish=None, again=()):
        self._function, self._items, self._ahead = function, iter(items), max(1, ahead)
        self._make_pool, self._finish, self._pool = make_pool, finish, None
        self._again = collections.deque(again)
        self._pending = collections.deque()  # (item, its future)
        self._ended = None  # what `items` raised

    def __iter__(self):
        return self

    def __next__(self):
        if self._pool is None and self._ended is None:
            self._pool = self._make_pool()
        while self._ended is None and len(self._pending) < self._ahead:
            try:
                item = self._again.popleft() if self._again else next(self._items)
            except Exception as ended:  # StopIteration, or an error, which belongs where the item's result would have been
                self._ended = ended
            else:
                self._pending.append((item, self._pool.submit(self._function, item)))
        try:
            if not self._pending:
                raise self._ended
            return self._pending.popleft()[1].result()
        except BaseException:
            self.close()
            raise

    def waiting(self):
        """The items whose results have not been handed out."""
        return [item for item, _ in self._pending] + list(self._again)

    def close(self):
        """Give up what is not computed yet."""
        while self._pending:
            self._pending.popleft()[1].cancel()
        if self._pool is not None and self._finish is not None:
            self._finish(self._pool)
        self._pool, self._finish, self._again, self._ended = None, None, collections.deque(), StopIteration()

    __del__ = close


def thread_pool(workers):
    """An executor of threads that see the backend and device of this one."""
    return futures.ThreadPoolExecutor(max(1, workers), "mlkit-data", initializer=_adopt, initargs=(surroundings(),))


def _adopt(around):
    vars(state).update(around)  # those of this thread


def end_pool(pool):
    """End an executor's workers and wait for them."""
    pool.shutdown(wait=True, cancel_futures=True)


def ordered_map(function: Callable[[Any], Any], items: Iterable[Any], workers: int, ahead: int) -> Iterator[Any]:
    """`map(function, items)` by several threads: results in order, at most `ahead` of them made before they are asked for.

    Args:
        function: of one item; it is called in threads.
        items: iterable, read in this thread.
        workers: threads.
        ahead: results that may wait.

    >>> list(ordered_map(abs, [-1, 2, -3], workers=2, ahead=2))
    [1, 2, 3]
    """
    return OrderedMap(function, items, lambda: thread_pool(workers), ahead, end_pool)
