"""The plan of a graph: where each tensor lives while the graph is run, decided before the first run.

Tensors that kernels write into memory given to them share one arena: two may lie at the same place when one is dead before the
other is born. Views (reshape, transpose, slices ...) of the arena are made once. An op may take over the memory of an argument
that dies in it. What the graph returns never lies in the arena.
"""

import bisect
import math
from collections.abc import Callable, Sequence
from typing import Any

from mlkit.compiler.passes import inplace
from mlkit.compiler.passes.rewrite import count_uses
from mlkit.core import debug, dtypes, layout
from mlkit.core.graph import Call, Graph
from mlkit.core.machine import CACHE_LINE
from mlkit.core.tensor import Value

ALIGNMENT = CACHE_LINE


class Operand:
    """What is known of an argument or a result of a call while the plan is made.

    shape, dtype  as in its Spec
    strides       in bytes; those of a dense array where nothing else is known
    offset        bytes from the start of the array it is a part of, if that array is known only at run time
    steady        whether it is a variable's value (or a part of it) that this graph does not change
    used          whether anything reads it; of several results some may be left unwritten
    """

    __slots__ = ("shape", "dtype", "strides", "offset", "steady", "used")

    def __init__(
        self,
        shape: Sequence[Any],
        dtype: str,
        strides: Sequence[int] | None = None,
        offset: int = 0,
        steady: bool = False,
        used: bool = True,
    ) -> None:
        self.shape, self.dtype = shape, dtype
        self.strides = layout.contiguous(shape, dtypes.itemsize(dtype)) if strides is None else strides
        self.offset, self.steady, self.used = offset, steady, used

    @property
    def ndim(self) -> int:
        return len(self.shape)


class Choice:
    """How a backend runs one call.

    kernel     (*args, **params) -> array, or tuple for an op of several outputs
    into       the same, but it writes into given memory: (*args, out=array or tuple, **params); or None
    inplace    pairs (i, k): output i may lie where argument k lies, if that is as large and dies in this call
    aliases    whether the result may be a view of the first argument
    workspace  bytes it allocates besides its results while it runs
    prepared   instead of kernel and into: something that is bound to memory before the first run (see docs/backend.md)
    scratch    bytes of temporary memory that `into` or `prepared` is given, which the plan has a place for
    """

    __slots__ = ("kernel", "into", "params", "inplace", "aliases", "workspace", "prepared", "scratch")

    def __init__(
        self,
        kernel: Any,
        params: dict[str, Any],
        into: Callable[..., Any] | None = None,
        inplace: Sequence[tuple[int, int]] = (),
        aliases: bool = False,
        workspace: int = 0,
        prepared: Any = None,
        scratch: int = 0,
    ) -> None:
        self.kernel, self.params, self.into = kernel, params, into
        self.inplace, self.aliases, self.workspace, self.prepared = inplace, aliases, workspace, prepared
        self.scratch = scratch if prepared is None else prepared.workspace

    @property
    def writes(self) -> bool:
        """Whether it writes its results into memory given to it."""
        return self.into is not None or self.prepared is not None


class Storage:
    """A piece of memory. kind: "input"; "arena"; "fresh": made anew in each run and then written; "made": returned by a kernel;
    "constant": perhaps that of a constant, looked at in another way, so that nobody may write into it.

    first, last: numbers of the calls between which it is needed; owner: the Value that fills it first; offset: in the arena.
    """

    __slots__ = ("kind", "nbytes", "first", "last", "owner", "offset", "merged", "reused")

    def __init__(self, kind: str, owner: Any, first: int, size: int | None = None) -> None:
        self.kind, self.owner, self.first, self.last = kind, owner, first, first
        self.nbytes = layout.nbytes(owner.shape, dtypes.itemsize(owner.dtype)) if size is None else size
        self.offset: Any = None  # bytes, once they are known
        self.merged: Storage | None = None  # the storage of another Value that this one takes over
        self.reused = False  # whether another Value takes this one over


class Place:
    """Where a Value lies: its storage and, where they are known before the run, offset and strides in it."""

    __slots__ = ("_storage", "offset", "strides")

    def __init__(self, storage: Storage, offset: int = 0, strides: Sequence[int] | None = None) -> None:
        self._storage, self.offset, self.strides = storage, offset, strides

    @property
    def storage(self) -> Storage:
        while self._storage.merged is not None:
            self._storage = self._storage.merged
        return self._storage

    @property
    def is_static(self) -> bool:
        """Whether it is a fixed part of the arena."""
        return self.strides is not None and self.storage.kind == "arena"


def _may_be_view(call: Call, choice: Choice) -> bool:
    """Whether the result may be a view of the first argument."""
    return choice.aliases or call.op.traits.view is not None


def _sees_constant(call: Call, choice: Choice) -> bool:
    """Whether the result may be a view of a constant."""
    return _may_be_view(call, choice) and type(call.args[0]) is not Value


class Plan:
    """graph; choices: one Choice a call; copies: numbers of outputs that must be copied because they share memory with what
    the caller passed (or, own_outputs, with any input, constant or output before them); overwrites: numbers of inputs whose
    memory an output takes over; workspaces: number of a call -> its Storage.

    choose(call, operand): the Choice for a call; ``operand(x)`` gives the Operand for one of its arguments or results.
    """

    def __init__(self, graph: Graph, choose: Callable[..., Any], own_outputs: bool = False) -> None:
        self.graph = graph
        self.choices: list[Any] = []
        self.workspaces: dict[int, Storage] = {}
        self.places: dict[int, Place] = {}  # id of a Value -> Place
        self._steady, self._uses = self._unchanging(), count_uses(graph)
        self._place_values(choose)
        self._keep_outputs(own_outputs)
        if not debug.is_off("inplace"):
            inplace.share(self)
        self.overwrites = [i for i, v in enumerate(graph.inputs) if self.place(v).storage.reused]
        storages = self.storages()
        self.arena_bytes = arrange([s for s in storages if s.kind == "arena"] + list(self.workspaces.values()))
        self._count(storages)

    def _unchanging(self) -> set[Any]:
        """ids of the inputs that are the same in each run."""
        return self.graph.unchanging()

    def place(self, value: Value) -> Place:
        return self.places[id(value)]

    def storages(self) -> list[Storage]:
        """All pieces of memory, in order of birth."""
        return list(dict.fromkeys(p.storage for p in self.places.values()))

    def is_view(self, call: Call) -> bool:
        """Whether a call only looks at the memory of its first argument in another way."""
        source = call.args[0] if call.op.traits.view is not None else None
        return type(source) is Value and self.place(call.outs[0]).storage is self.place(source).storage

    # ---- where values lie --------------------------------------------------------------------------------------------

    def _place_values(self, choose: Callable[..., Any]) -> None:
        for v in self.graph.inputs:
            self.places[id(v)] = Place(Storage("input", v, -1), 0, layout.contiguous(v.shape, dtypes.itemsize(v.dtype)))
        for i, call in enumerate(self.graph.calls):
            choice = choose(call, self.operand)
            self.choices.append(choice)
            for a in call.args:
                if type(a) is Value:
                    self.place(a).storage.last = i
            looked_at = self._as_view(call, choice)
            for v in call.outs:
                if looked_at is not None:
                    self.places[id(v)] = looked_at
                elif choice.writes:
                    self.places[id(v)] = Place(Storage("arena", v, i), 0, layout.contiguous(v.shape, dtypes.itemsize(v.dtype)))
                else:
                    self.places[id(v)] = Place(Storage("constant" if _sees_constant(call, choice) else "made", v, i))
            if choice.scratch:
                self.workspaces[i] = Storage("arena", None, i, choice.scratch)

    def operand(self, a: Any) -> Any:
        """What is known of an argument, or of a result that has no place yet; scalars and None stand for themselves."""
        if type(a) is not Value:
            return Operand(a.shape, dtypes.name_of(a.dtype), a.strides, 0, True) if hasattr(a, "shape") else a
        place = self.places.get(id(a))
        if place is None or place.strides is None:
            return Operand(a.shape, a.dtype, used=id(a) in self._uses)
        return Operand(a.shape, a.dtype, place.strides, place.offset, id(place.storage.owner) in self._steady)

    def _as_view(self, call: Call, choice: Choice) -> Place | None:
        """The Place of a call's result in its argument's memory, or None where it has memory of its own."""
        if not _may_be_view(call, choice) or type(call.args[0]) is not Value:
            return None
        source = call.args[0]
        place = self.place(source)
        if place.strides is None or choice.aliases:
            return Place(place.storage)
        (v,) = call.outs
        if 0 in v.shape:  # there is nothing to see, and a slice of nothing begins nowhere
            return Place(place.storage, 0, layout.contiguous(v.shape, dtypes.itemsize(v.dtype)))
        view = call.op.traits.view
        found = None if view is None else view(source, place.offset, place.strides, **call.params)
        return None if found is None else Place(place.storage, *found)

    def _keep_outputs(self, own: bool) -> None:
        """What is returned lives in memory of its own, to the end and beyond."""
        graph, self.copies = self.graph, set()
        borrowed = {id(v) for v in graph.inputs[: len(graph.inputs) - graph.state]}  # the caller's, who may write there later
        returned: set[int] = set()  # ids of Storages
        for i, v in enumerate(graph.outputs):
            if type(v) is not Value:
                if own and hasattr(v, "shape"):
                    self.copies.add(i)
                continue
            storage = self.place(v).storage
            storage.last = len(graph.calls)
            if storage.kind == "arena":
                storage.kind = "fresh"
            elif (storage.kind in ("input", "constant") and own) or id(storage.owner) in borrowed:
                self.copies.add(i)
            if own and id(storage) in returned:
                self.copies.add(i)
            returned.add(id(storage))

    # ---- how much memory that is -------------------------------------------------------------------------------------

    def _count(self, storages: Sequence[Storage]) -> None:
        """Bytes by kind, and the largest sum at any time."""
        graph, n = self.graph, len(self.graph.calls)
        self.state_bytes = sum(self.place(v).storage.nbytes for v in graph.inputs[len(graph.inputs) - graph.state :])
        self.input_bytes = sum(s.nbytes for s in storages if s.kind == "input")
        self.output_bytes = sum(s.nbytes for s in storages if s.kind != "input" and s.last == n)
        constants = {id(a): a for c in graph.calls for a in c.args if hasattr(a, "nbytes")}
        self.constant_bytes = sum(a.nbytes for a in constants.values())
        change = [0] * (n + 2)
        for s in storages:
            if s.kind in ("fresh", "made"):
                change[max(s.first, 0)] += s.nbytes
                change[s.last + 1] -= s.nbytes
        live = most = 0
        self.peak_call = 0
        for i in range(n):
            live += change[i]
            now = live + self.choices[i].workspace
            if now > most:
                most, self.peak_call = now, i
        self.result_bytes = most  # fresh and made arrays and workspaces together, where they are most
        self.peak_bytes = self.input_bytes + self.constant_bytes + self.arena_bytes + most

    def report(self) -> str:
        """The memory of one run as a text of one line for each kind."""
        rows = [
            ("weights and other state", self.state_bytes),
            ("inputs", self.input_bytes - self.state_bytes),
            ("outputs", self.output_bytes),
            ("constants", self.constant_bytes),
            ("arena", self.arena_bytes),
            ("results and workspaces outside the arena, at most", self.result_bytes),
            ("peak", self.peak_bytes),
        ]
        lines = [f"{label:50s}{size / 2**20:10.1f} MB" for label, size in rows]
        if self.graph.calls:
            call = self.graph.calls[self.peak_call]
            where = "/".join(call.place)
            lines.append(f"most is in use at call {self.peak_call}, {call.op.name}{f' in {where}' if where else ''}")
        return "\n".join(lines)


# ---- the arena -----------------------------------------------------------------------------------------------------------


def arrange(storages: Sequence[Storage]) -> int:
    """Give each storage an offset so that those alive at the same time do not overlap; the bytes that takes.

    Best fit: in order of birth each takes the smallest hole that holds it. (The problem is strip packing, which is NP-hard.)
    """
    dying: dict[int, list[Storage]] = {}
    for s in storages:
        dying.setdefault(s.last, []).append(s)
    holes, clock, k = _Holes(), sorted(dying), 0
    for s in sorted(storages, key=lambda s: s.first):
        while k < len(clock) and clock[k] < s.first:
            for dead in dying[clock[k]]:
                holes.give(dead.offset, _padded(dead))
            k += 1
        s.offset = holes.take(_padded(s))
    return holes.end


def _padded(s: Storage) -> int:
    return max(math.ceil(s.nbytes / ALIGNMENT), 1) * ALIGNMENT


class _Holes:
    """The free places in memory that ends at `end` and grows where none is large enough."""

    def __init__(self) -> None:
        self.end = 0
        self._size: dict[int, int] = {}  # offset -> size
        self._offsets: list[int] = []  # sorted, as the next
        self._by_size: list[tuple[int, int]] = []  # pairs (size, offset)

    def take(self, size: int) -> int:
        """Offset of so many bytes: in the smallest hole that holds them, or at the end."""
        i = bisect.bisect_left(self._by_size, (size, -1))
        if i < len(self._by_size):
            whole, offset = self._by_size[i]
            self._remove(offset)
            if whole > size:
                self._add(offset + size, whole - size)
            return offset
        offset = self.end
        if self._offsets and self._offsets[-1] + self._size[self._offsets[-1]] == self.end:
            offset = self._offsets[-1]
            self._remove(offset)
        self.end = offset + size
        return offset

    def give(self, offset: int, size: int) -> None:
        """A hole, joined with its neighbours."""
        i = bisect.bisect_left(self._offsets, offset)
        after = self._offsets[i] if i < len(self._offsets) else None
        before = self._offsets[i - 1] if i else None
        if after == offset + size:
            size += self._remove(after)
        if before is not None and before + self._size[before] == offset:
            size += self._remove(before)
            offset = before
        self._add(offset, size)

    def _add(self, offset: int, size: int) -> None:
        self._size[offset] = size
        bisect.insort(self._offsets, offset)
        bisect.insort(self._by_size, (size, offset))

    def _remove(self, offset: int) -> int:
        """Its size."""
        size = self._size.pop(offset)
        del self._offsets[bisect.bisect_left(self._offsets, offset)]
        del self._by_size[bisect.bisect_left(self._by_size, (size, offset))]
        return size
