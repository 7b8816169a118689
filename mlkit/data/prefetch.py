"""Batches made ahead of time: in one background thread, or by several workers that keep the order."""

import collections
import contextlib
import contextvars
import threading

from mlkit.core.ownership import own_arrays
from mlkit.core.state import state, swapped
from mlkit.core.typing import IntOrSequence

_END = object()


def prefetch(iterable, size: IntOrSequence = 2, own: bool = False):
    """Iterate in a background thread, up to `size` elements ahead of the consumer.

    An exception of the iterable is raised in the consumer, where its element would have been, with the traceback of where it
    arose. When the consumer stops early (break, an error, or `close()`), the thread ends before its next element. The thread
    sees the consumer's backend and device, and its context variables. own: copy an element's arrays before the next is asked
    for, which the iterable may write into the same ones.

    >>> list(prefetch(range(3)))
    [0, 1, 2]
    """
    import queue  # not needed by a fit on arrays

    ready = queue.Queue(max(1, size))
    stopped = threading.Event()
    surroundings = dict(backend=state.backend, kernels=state.kernels, device=state.device)
    run = contextvars.copy_context().run
    arguments = (_produce, iterable, ready, stopped, surroundings, own)
    thread = threading.Thread(target=run, args=arguments, name="mlkit-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stopped.set()
        with contextlib.suppress(queue.Empty):  # the producer may be waiting for room
            while True:
                ready.get_nowait()
        thread.join(timeout=5.0)


def _produce(iterable, ready, stopped, surroundings, own):
    import queue  # as above

    def put(item, error=None):
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                return ready.put((item, error), timeout=0.1)

    iterator = None
    try:
        with swapped(**surroundings):
            iterator = iter(iterable)
            for item in iterator:
                put(own_arrays(item) if own else item)
                if stopped.is_set():
                    return
        put(_END)
    except BaseException as error:  # whatever it is, it belongs to the consumer
        put(None, error)
    finally:
        if hasattr(iterator, "close"):
            iterator.close()


def ordered_map(function, items, workers, ahead):
    """`map(function, items)` by several threads: results in order, at most `ahead` of them made before they are asked for.

    >>> list(ordered_map(abs, [-1, 2, -3], workers=2, ahead=2))
    [1, 2, 3]
    """
    from concurrent.futures import ThreadPoolExecutor  # brings much with it that a fit on arrays does not need

    pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="mlkit-data")
    pending = collections.deque()
    items = iter(items)
    try:
        while True:
            while len(pending) < max(1, ahead):
                item = next(items, _END)
                if item is _END:
                    break
                pending.append(pool.submit(function, item))
            if not pending:
                return
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
