"""Programs as CUDA graphs: what the first call launches kernel by kernel, later ones launch at once.

Programs in which arrays travel to other processes are launched kernel by kernel at each call: NCCL has a stream of its own, and what is
under way there is watched, which it could not be within a graph.

A graph holds addresses. So the arguments of a call are copied to a place of their own, its results are copied out, and before each launch
the arrays of variables are looked at: where one has been given a new value, that is copied to where the graph expects it if nobody holds
what lies there, else the program is captured anew.

The first call finds engines, compiles kernels and takes all memory that is needed on the way. It comes from a pool of the program's own:
what the graph writes between its kernels must be nobody else's for as long as the graph is there.
"""

import weakref

from mlkit.backends.native.cuda.doubts import Doubts
from mlkit.backends.native.cuda.words import in_words
from mlkit.core import debug
from mlkit.core.graph import Graph
from mlkit.primitives.control import cond_op, while_op
from mlkit.primitives.foreign import foreign_call

FEW_BYTES = 1 << 20  # of values of variables, which may be copied to where the graph expects them at each call
_ASKED_ON_THE_HOST = (cond_op, while_op, foreign_call)  # ops that go on as values tell


def can_capture(graph):
    """Whether the same kernels run at each call, and on this GPU alone: none is chosen by values, none waits for other processes."""
    return debug.CAPTURE and not any(
        call.op in _ASKED_ON_THE_HOST or call.op.traits.communicates or _is_branching(call) for call in graph.calls
    )


def _is_branching(call):
    return any(type(p) is Graph and not can_capture(p) for p in call.params.values())


def calls_back(graph):
    """Whether other libraries, and so threads that may want the GPU, run before a program has been launched to its end."""
    return any(
        call.op is foreign_call or any(type(p) is Graph and calls_back(p) for p in call.params.values()) for call in graph.calls
    )


class LockedProgram:
    """A program that is launched kernel by kernel, one thread at a time: all share the memory that it runs in. lock: that of all who
    share it."""

    def __init__(self, device, run, lock):
        self.device, self.run, self.lock = device, run, lock

    @in_words
    def __call__(self, arrays):
        with self.lock:
            return self.run(arrays)


class CapturedProgram:
    """A program that is captured at its second call.

    Args:
        device: The GPU.
        run: What launches it kernel by kernel: function of a list of arrays, which returns a list.
        plan: The plan that it was made from.
    """

    def __init__(self, device, run, plan):
        self.device, self._run = device, run
        graph, own = plan.graph, set(plan.overwrites)
        given = len(graph.inputs) - graph.state
        # Variables that the plan cannot write in place get a new array from each call.
        self._copied = [*range(given), *(i for i in graph.successors if i not in own)]
        self._fixed = [i for i in range(given, len(graph.inputs)) if i not in graph.successors or i in own]
        self._pool = None
        self._addresses = self._failed = None
        self._recording = []  # the one there is, if any
        self._doubts = Doubts(device.xp)  # whether no index was out of range
        self._was_elsewhere = False
        weakref.finalize(self, _drop, device, self._recording).atexit = False

    @in_words
    def __call__(self, arrays):
        with self.device.lock:
            if self._failed:
                return self._run(arrays)
            if self._recording and not self._settled(arrays):
                self.forget()
            if not self._recording:
                if self._has_moved(arrays):
                    return self._first(arrays)
                if not self._capture(arrays):
                    return self._run(arrays)
            return self._replay(arrays)

    def forget(self):
        """Give the graph up, and its memory when the GPU is done with it."""
        _drop(self.device, self._recording)
        self._pool = self._addresses = None
        self._doubts = Doubts(self.device.xp)

    def _has_moved(self, arrays):
        """Whether much of the variables lies elsewhere than it did at the call before."""
        before, self._addresses = self._addresses, [arrays[i].data.ptr for i in self._fixed]
        if before is None:
            return True
        moved = (i for i, old, new in zip(self._fixed, before, self._addresses) if old != new)
        return sum(arrays[i].nbytes for i in moved) > FEW_BYTES

    # ---- kernel by kernel --------------------------------------------------------------------------------------------

    def _first(self, arrays):
        """A call that is not captured: all memory that a capture will take is in the pool when it has returned."""
        streams = self.device.streams
        if self._pool is None:
            self._pool = self.device.xp.cuda.MemoryPool()
        streams.after(streams.computing, streams.recording)
        with streams.recording:
            results = self._in_pool(arrays)
        streams.after(streams.recording, streams.computing)
        self.device.doubt(self._doubts)
        return self._copies(results, self._sources(results, arrays), arrays)

    def _in_pool(self, arrays):
        """Run it in memory of its own; what is noted about its indices stays."""
        with self.device.noting(self._doubts), self.device.xp.cuda.using_allocator(self._pool.malloc):
            return self._run(arrays)

    def _sources(self, results, arrays):
        """Of each result the number of the variable in whose memory it lies, or None."""
        places = {id(arrays[i]): i for i in self._fixed}
        return [places.get(id(r)) for r in results]

    def _copies(self, results, sources, arrays):
        """Arrays for the caller, which later calls do not write to."""
        copy = self.device.xp.array
        return [copy(r) if source is None else arrays[source] for r, source in zip(results, sources)]

    # ---- captured ----------------------------------------------------------------------------------------------------

    def _capture(self, arrays):
        """Capture a call, which computes nothing yet. Whether that went well; if not, the program is never captured again."""
        given = list(arrays)
        for i in self._copied:
            given[i] = self.device.xp.array(arrays[i])
        try:
            graph, results = self._captured(given)
        except Exception as error:
            if debug.LEVEL >= 1:
                debug.say(f"a program runs kernel by kernel, for it cannot be captured: {error}")
            self._failed = True
            self.forget()
            return False
        places = [_Place(arrays[i]) for i in self._fixed]
        copied = [(i, given[i]) for i in self._copied]
        self._recording.append(_Recording(graph, copied, places, results, self._sources(results, given), self._pool))
        return True

    def _captured(self, arrays):
        """(graph, results) of a call that is captured. The stream is itself again whatever happens."""
        stream, error = self.device.streams.recording, None
        with stream:
            stream.begin_capture()
            try:
                results = self._in_pool(arrays)
            except BaseException as raised:
                error = raised
            try:
                graph = stream.end_capture()
            except Exception as raised:  # it says once more that the capture failed
                error = error or raised
        if error is not None:
            try:
                raise error
            finally:
                error = None  # which holds this frame, and so all memory that was taken
        return graph, results

    def _replay(self, arrays):
        (recording,) = self._recording
        for i, place in recording.copied:
            self.device.copy(arrays[i], place)
        recording.graph.launch(self.device.streams.computing)
        self.device.doubt(self._doubts)
        return self._copies(recording.results, recording.sources, arrays)

    def _settled(self, arrays):
        """Whether the variables are where the graph expects them, some perhaps after they were copied there."""
        (recording,) = self._recording
        addresses = [arrays[i].data.ptr for i in self._fixed]
        if addresses == recording.addresses:
            self._was_elsewhere = False
            return True
        elsewhere = [
            (i, place) for i, place, address in zip(self._fixed, recording.places, addresses) if address != place.pointer.ptr
        ]
        much = sum(arrays[i].nbytes for i, _ in elsewhere) > FEW_BYTES
        if (much and self._was_elsewhere) or not all(place.is_free() for _, place in elsewhere):
            return False
        self._was_elsewhere = much
        for i, place in elsewhere:
            arrays[i] = place.put(self.device, arrays[i])
        return True


class _Recording:
    """A graph and all memory that it reads and writes."""

    def __init__(self, graph, copied, places, results, sources, pool):
        self.graph, self.copied, self.places, self.pool = graph, copied, places, pool
        self.addresses = [place.pointer.ptr for place in places]
        self.results, self.sources = [r if s is None else None for r, s in zip(results, sources)], sources


class _Place:
    """Where a graph expects the value of a variable. It holds the memory, not the array, of which others ask who holds it."""

    def __init__(self, array):
        self.pointer, self._array = array.data, weakref.ref(array)

    def is_free(self):
        """Whether nobody has an array there."""
        return self._array() is None

    def put(self, device, array):
        """A copy of the array in this place."""
        new = device.xp.ndarray(array.shape, array.dtype, self.pointer)
        device.copy(array, new)
        self._array = weakref.ref(new)
        return new


def _drop(device, recording):
    """Let a recording go when the GPU has done what was asked of it so far."""
    if recording:
        device.streams.hold(recording.pop())
