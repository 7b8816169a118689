"""One call of a graph as a sequence of primitives, and its binding to memory.

A row describes what it runs with a `Kernel`: the primitives in order, and for each of their tensors where it lies: in an
argument or a result of the call, in one of these converted to another layout, or in temporary memory. `bind` then makes memory
objects for all of it and returns a function of the arrays that are known only at run time. For a call whose tensors all lie in
the plan's arena that is a function without arguments, written in C from end to end.
"""

import functools
import weakref

import numpy as np

from mlkit.backends.native import version_counters
from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn import kernel_steps, reordered_copies
from mlkit.backends.native.onednn.handover import Memory, address_of, execution
from mlkit.backends.native.onednn.memory import dense
from mlkit.backends.native.onednn.primitive import reorder
from mlkit.core.dtypes import name_of
from mlkit.core.machine import CACHE_LINE


class Kernel:
    """Primitives to run for a call.

    operands: an `Operand` for each argument (scalars and None as they are), followed by one for each result
    inplace:  pairs (i, k): result i may lie where argument k lies
    """

    def __init__(self, operands, outs, inplace=()):
        self.operands, self.inputs = [*operands, *outs], len(operands)
        self.inplace = inplace
        self._steps, self._temporary, self._scratch = [], _Space(), 0
        self._copies_back = {}  # id of a temporary place -> the primitive that copies it to a result, and its places

    # ---- places ------------------------------------------------------------------------------------------------------

    def argument(self, k, desc):
        """Where argument k lies."""
        return _Place("operand", k, desc)

    def result(self, i, desc):
        """Where result i lies."""
        return _Place("operand", self.inputs + i, desc)

    def constant(self, array):
        """A place with numbers that stay as they are."""
        return _Place("constant", array, dense(array.shape, name_of(array.dtype)))

    def temporary(self, desc):
        """A piece of temporary memory, which other kernels use as well when this one is done."""
        return _Place("temporary", self._temporary.take(desc.nbytes), desc)

    def converted(self, k, desc, wanted, offset=0):
        """Argument k (or what lies so many bytes behind its start), which lies in memory as `desc` says, in the layout that a
        primitive wants it in.

        Copies of arguments that do not change from run to run (`Operand.steady`) are kept.
        """
        source = self.argument(k, desc).part(desc, offset)
        if desc == wanted:
            return source
        copy = reorder(desc, wanted)
        if self.operands[k].steady:
            return _Place("kept", k, wanted, (desc, copy), offset)
        place = self.temporary(wanted)
        self.run(copy, {c.FROM: source, c.TO: place})
        return place

    def converted_back(self, i, desc, made):
        """A place for result i, which lies as `desc` says, in the layout `made`."""
        return self.through(self.result(i, desc), made)

    def through(self, target, made):
        """A place in the layout `made`; what a primitive writes there is copied to the place `target`."""
        if target.desc == made:
            return target
        place = self.temporary(made)
        self._copies_back[id(place)] = reorder(made, target.desc), {c.FROM: place, c.TO: target}
        return place

    # ---- steps -------------------------------------------------------------------------------------------------------

    def run(self, primitive, places, alone=False):
        """Append a primitive. places: name of an argument -> place; alone: one thread is enough, as it is for what is small."""
        self._steps.append((primitive, places, alone or primitive.is_small))
        self._scratch = max(self._scratch, padded(primitive.scratchpad_bytes))
        for place in places.values():
            if id(place) in self._copies_back:
                self.run(*self._copies_back.pop(id(place)))
        return self

    def branches(self, number):
        """So many Kernels, each to be done by one thread beside the others: where `join` is called."""
        return [_Branch(self) for _ in range(number)]

    def join(self, branches):
        """Append the branches."""
        self._steps.append((branches, None, False))

    @property
    def primitives(self):
        """The primitives of all steps."""
        for primitive, places, _ in self._steps:
            if places is None:
                yield from (p for branch in primitive for p in branch.primitives)
            else:
                yield primitive

    @property
    def is_small(self):
        """Whether one thread is enough for all steps."""
        return all(small for _, _, small in self._steps)

    @property
    def workspace(self):
        """Bytes of temporary memory, of which `bind` gets an array behind those of the results."""
        return self._temporary.nbytes + self._scratch

    # ---- binding -----------------------------------------------------------------------------------------------------

    def bind(self, arrays, strided=False):
        """A function of the arrays that are None here, in the same order, that runs the call and returns 0 or an error number.

        arrays: arguments, results and, if `workspace` is not 0, temporary memory, as far as their places are fixed
        strided: arrays will have the strides of the operands; else they are dense, or are made so, and the operands lie in them
        """
        slots = {i: _Slot(strided) for i, (a, o) in enumerate(zip(arrays, self.operands)) if a is None and hasattr(o, "shape")}
        if self.workspace and arrays[-1] is None:
            slots[len(self.operands)] = _Slot(strided)
        runs = kernel_steps.alone_where_small(self._executions(_Memories(arrays, self.operands, slots)))
        if not slots:
            return runs[0] if len(runs) == 1 else functools.partial(kernel_steps.run_all, runs)
        return _dynamic(list(slots.values()), runs)

    def _executions(self, memories):
        """(function, whether one thread is enough) for each step."""
        found = []
        for primitive, places, is_small in self._steps:
            if places is None:
                branches = [[run for run, _ in branch._executions(memories)] for branch in primitive]
                found.append((kernel_steps.side_by_side(branches), False))
                continue
            tensors = {name: memories.memory(place) for name, place in places.items()}
            if primitive.scratchpad_bytes and c.SCRATCHPAD not in tensors:
                desc = primitive.desc(c.SCRATCHPAD_MD)
                tensors[c.SCRATCHPAD] = memories.memory(_Place("temporary", self._temporary.nbytes, desc))
            found.append((execution(primitive, tensors), is_small))
        return found


class _Branch(Kernel):
    """Steps of another kernel that run beside others. All its memory is of its own, a part of the trunk's."""

    def __init__(self, trunk):
        super().__init__(trunk.operands, ())
        self.inputs, self._temporary = trunk.inputs, trunk._temporary

    def run(self, primitive, places, alone=True):
        if primitive.scratchpad_bytes:
            places = {**places, c.SCRATCHPAD: self.temporary(primitive.desc(c.SCRATCHPAD_MD))}
        return super().run(primitive, places, alone)


class _Space:
    """Memory that is given out piece by piece."""

    nbytes = 0

    def take(self, nbytes):
        """Where a new piece begins."""
        start = self.nbytes
        self.nbytes += padded(nbytes)
        return start


class _Place:
    __slots__ = ("kind", "where", "desc", "conversion", "offset")

    def __init__(self, kind, where, desc, conversion=None, offset=0):
        self.kind, self.where, self.desc, self.conversion, self.offset = kind, where, desc, conversion, offset

    def part(self, desc, offset):
        """What lies so many bytes behind the start, as `desc` says."""
        return _Place(self.kind, self.where, desc, self.conversion, self.offset + offset)


def padded(size):
    """Bytes up to the next multiple of the alignment."""
    return -(-size // CACHE_LINE) * CACHE_LINE


class _Memories:
    """Memory objects for the places of one call, bound to arrays or waiting for them."""

    def __init__(self, arrays, operands, slots):
        self.arrays, self.operands, self.slots = arrays, operands, slots
        self._made = {}  # a place and its descriptor -> the object, which all primitives of the call share

    def memory(self, place):
        """The memory object for a place."""
        if place.kind in ("constant", "kept"):
            return self._make(place)
        key = place.kind, place.where, place.offset, id(place.desc)
        if key not in self._made:
            self._made[key] = self._make(place)
        return self._made[key]

    def _make(self, place):
        if place.kind == "constant":
            return Memory(place.desc, address_of(place.where), place.where)
        if place.kind == "temporary":
            offset = place.where + place.offset
            return self._at(len(self.operands), place.desc, offset, offset)
        if place.kind == "kept":
            return self._kept(place.where, place.desc, place.offset, *place.conversion)
        return self._at(place.where, place.desc, place.offset, self.operands[place.where].offset + place.offset)

    def _kept(self, k, wanted, offset, desc, conversion):
        if k not in self.slots:  # a constant
            copy = reordered_copies.of(self.arrays[k], offset, desc, wanted, conversion)
            copy.renew(self.arrays[k], version_counters.stamp(self.arrays[k]))
            return Memory(wanted, copy.address, copy)
        memory = Memory(wanted)
        self.slots[k].kept.append(_Kept(memory, wanted, self.operands[k].offset + offset, desc, conversion))
        return memory

    def _at(self, k, desc, in_array, offset):
        """in_array, offset: bytes from the start of the array if it is known now, and if it is not."""
        if k not in self.slots:
            fixed = self.arrays[k]
            return Memory(desc, address_of(fixed) + in_array, fixed)
        memory = Memory(desc)
        self.slots[k].memories.append((memory, offset))
        return memory


class _Slot:
    """An operand whose array is known at run time only, with the memory objects that depend on it."""

    __slots__ = ("strided", "array", "memories", "kept", "held", "stamp")

    def __init__(self, strided):
        self.strided = strided
        self.array, self.memories, self.kept, self.held = _nothing, [], [], None
        self.stamp = None  # the array's when the copies were last brought up to date

    def point(self, array):
        """Use another array from now on. It is not kept alive: who else holds it matters to programs."""
        if self.strided or array.flags.c_contiguous:
            self.array, self.held, self.stamp = weakref.ref(array), None, None
        else:
            self.array, self.held, self.stamp = _nothing, np.ascontiguousarray(array), None
        start = address_of(array if self.held is None else self.held)
        for memory, offset in self.memories:
            memory.point(start + offset)

    def refresh(self, array):
        """Bring the kept copies up to date."""
        now = self.stamp = version_counters.stamp(array)
        array = array if self.held is None else self.held
        for k in self.kept:
            if k.copy is None or k.copy.array() is not array:
                k.copy = reordered_copies.of(array, k.offset, k.desc, k.wanted, k.conversion)
                k.memory.point(k.copy.address)
            if k.copy.stamp != now:
                k.copy.renew(array, now)


class _Kept:
    """A memory object for a copy in another layout that lasts longer than a run."""

    __slots__ = ("memory", "wanted", "offset", "desc", "conversion", "copy")

    def __init__(self, memory, wanted, offset, desc, conversion):
        self.memory, self.wanted, self.offset, self.desc, self.conversion = memory, wanted, offset, desc, conversion
        self.copy = None


def _nothing():
    return None


def _dynamic(slots, runs):
    """A function of the slots' arrays that runs the steps."""
    kept = [(k, s) for k, s in enumerate(slots) if s.kept]
    stamp = version_counters.stamp

    def run(*arrays):
        for slot, a in zip(slots, arrays):
            if slot.array() is not a:
                slot.point(a)
        for k, slot in kept:
            if stamp(arrays[k]) != slot.stamp:
                slot.refresh(arrays[k])
        return kernel_steps.run_all(runs)

    return run
