"""The graph of a loop's body as steps over memory: what one turn of native code does, in order.

Elementwise calls of one shape that can follow one another become one pass (`Map`). Views are other ways to look at a place. What depends
on nothing that differs from turn to turn is done once, before the first.
"""

from typing import NamedTuple

import numpy as np

from mlkit.backends.native.jit import expressions, steps
from mlkit.backends.native.jit.places import Declined, Place, place_of
from mlkit.core import dtypes, layout
from mlkit.core.machine import THRESHOLDS
from mlkit.core.spec import Spec
from mlkit.core.tensor import Value
from mlkit.primitives import elementwise as el
from mlkit.primitives.linear import matmul
from mlkit.primitives.movement import full, take, take_along_axis
from mlkit.primitives.reduction import max_, min_

_INDEXED = (take, take_along_axis, *steps.SCATTERS)  # by their second argument
LARGEST = THRESHOLDS["one_thread"].size  # bytes of a tensor: larger ones are for several threads
LARGEST_PRODUCT = THRESHOLDS["product_on_one_thread"].size  # multiplications
LONGEST_SUM = 1 << 13  # elements: more are better added in pairs
MOST_CALLS = 1000


class _Ref(NamedTuple):
    """A value: the elements of a `Place` or of what a `_Node` makes; seen: (offset, strides) of a part of these, None for all."""

    source: object
    shape: tuple
    dtype: str
    seen: tuple = None

    @property
    def node(self):
        """The node whose result it is, whole or in part."""
        return self.source if type(self.source) is _Node else None

    @property
    def layout(self):
        """(offset, strides)"""
        if self.seen is not None:
            return self.seen
        if type(self.source) is Place:
            return self.source.offset, self.source.strides
        return 0, layout.contiguous(self.shape, dtypes.itemsize(self.dtype))

    @property
    def place(self):
        """Where it lies, once nodes have their homes."""
        home = self.source if type(self.source) is Place else self.source.home
        if self.seen is None:
            return home
        start = 0 if type(self.source) is Place else home.offset
        return home.seen(self.shape, start + self.seen[0], self.seen[1])


class _Node:
    """A call whose result has a place of its own.

    home    that place, where anybody looks at it there
    stores  further ones that it is written to
    varies  whether it differs from turn to turn
    kept    whether it needs a home
    """

    def __init__(self, op, args, params, spec, varies):
        place_of(None, spec.shape, spec.dtype)  # which declines what has none
        if 0 in spec.shape:
            raise Declined(f"{op.name} of {spec}")
        if layout.nbytes(spec.shape, dtypes.itemsize(spec.dtype)) > LARGEST:
            raise Declined(f"a tensor of {spec}: several threads are better for it")
        self.op, self.args, self.params, self.shape, self.dtype = op, args, params, tuple(spec.shape), spec.dtype
        self.varies, self.home, self.stores, self.kept = varies, None, [], op in steps.WHOLE

    @property
    def is_map(self):
        return self.op not in steps.WHOLE

    @property
    def refs(self):
        return [a for a in self.args if type(a) is _Ref]

    @property
    def ref(self):
        return _Ref(self, self.shape, self.dtype)


class Body:
    """before: steps that are done once; steps: those of each turn; results: places of the outputs that have none of their own; work: about
    how many elements a turn passes over.

    Args:
        graph: The body, in which no op is fused.
        inputs: Places of the graph's inputs.
        memory: The `Memory` that gives places for what lies between.
        states: Numbers of inputs that are carried. The first outputs are their new values.
        slots: Places for the outputs behind these, of one turn; None where the body is to find one.
        saved: Pairs (number of a carried input, place) of what is to be copied before it changes.
    """

    def __init__(self, graph, inputs, memory, states=(), slots=(), saved=()):
        if len(graph.calls) > MOST_CALLS:
            raise Declined(f"a body of more than {MOST_CALLS} calls")
        self._memory, self._nodes, self._claimed = memory, [], []
        self._refs = {id(v): _Ref(p, p.shape, p.dtype) for v, p in zip(graph.inputs, inputs)}
        self._varying = {p.buffer for p in inputs if p.turn or p.buffer.kind == "result"}  # slices, and what is carried
        for call in graph.calls:
            self._take(call)
        for i, place in saved:
            self._write(self._of(graph.inputs[i]), place)
        outputs = list(zip(graph.outputs[len(states) :], slots))
        for v, place in outputs:
            if place is not None:
                self._write(self._of(v), place)
        found = [self._of(v) for v, place in outputs if place is None]
        for ref in found:
            if ref.node is not None:
                ref.node.kept = True
        carried = [(inputs[k], self._new(self._of(v), inputs[k])) for k, v in zip(states, graph.outputs)]
        groups = self._scheduled()
        late = [(node, place) for place, node in carried if node is not None and not _joins(node, place, groups)]
        self._give_homes(groups, [node for node, _ in late])
        self.before = [s for g in groups if not g[0].varies for s in _made(g)]
        self.steps = [s for g in groups if g[0].varies for s in _made(g)] + [steps.copy(n.home, p) for n, p in late]
        self.results = [ref.place for ref in found]
        self.work = 1 + sum(s.work for s in self.steps)

    # ---- from calls to nodes -----------------------------------------------------------------------------------------

    def _of(self, a):
        """What stands for an argument: a _Ref, or (number,)."""
        if type(a) is Value:
            return self._refs[id(a)]
        if not hasattr(a, "shape"):
            return (a,)
        if a.size > 1 and a.tobytes() == a.flat[0].tobytes() * a.size:
            a = np.broadcast_to(a.flat[0], a.shape)
        place = self._memory.constant(a)
        return _Ref(place, place.shape, place.dtype)

    def _take(self, call):
        if call.is_tuple or len(call.outs) != 1 or any(a is None for a in call.args):
            raise Declined(call.op.name)
        (out,) = call.outs
        args = [self._of(a) for a in call.args]
        if call.op is full:
            ref = self._of(np.broadcast_to(dtypes.as_numpy(out.dtype).type(call.params["value"]), out.shape))
        elif call.op.traits.view is not None and type(args[0]) is _Ref:
            ref = self._view(call, args[0], out)
        else:
            ref = self._node(call.op, args, call.params, out.spec).ref
        self._refs[id(out)] = ref

    def _view(self, call, ref, out):
        """A value looked at in another way, or a dense copy of it is."""
        for source in (ref, None):
            source = source or self._copy(ref).ref
            offset, strides = source.layout
            seen = call.op.traits.view(source, offset, strides, **call.params)
            if seen is not None:
                break
        else:
            raise Declined(call.op.name)
        shape, seen = tuple(out.shape), (seen[0], tuple(seen[1]))
        return source if (shape, seen) == (source.shape, (offset, tuple(strides))) else source._replace(shape=shape, seen=seen)

    def _node(self, op, args, params, spec):
        tensors = [a.dtype for a in (args[1:] if op is el.where else args) if type(a) is _Ref]
        if not tensors:
            raise Declined(f"{op.name} of numbers alone")
        if op not in steps.WHOLE and not expressions.knows(op, tensors[0], args, params):
            raise Declined(f"{op.name} of {tensors[0]}")
        if op in steps.REDUCTIONS:
            _check_reduction(op, args[0], spec)
        if op in _INDEXED:
            _check_indexed(op, args)
        if op is matmul:
            args = self._factors(args, spec)
        node = _Node(op, args, params, spec, any(map(self._varies, args)))
        self._nodes.append(node)
        return node

    def _factors(self, args, spec):
        """Those of a product, with rows of the second that are dense."""
        a, b = args
        if a.dtype == "bool" or spec.shape[-2] * spec.shape[-1] * a.shape[-1] > LARGEST_PRODUCT or 0 in a.shape:
            raise Declined(f"a product of {a.shape} and {b.shape}: a library is better for it")
        is_dense = b.shape[-1] == 1 or b.layout[1][-1] == dtypes.itemsize(b.dtype)
        return [a, b if is_dense else self._copy(b).ref]

    def _varies(self, a):
        if type(a) is not _Ref:
            return False
        return a.source.varies if a.node is not None else a.source.buffer in self._varying

    def _copy(self, ref, varies=False):
        node = _Node(steps.COPY, [ref], {}, Spec(ref.shape, ref.dtype), varies or self._varies(ref))
        self._nodes.append(node)
        return node

    # ---- what is wanted where ----------------------------------------------------------------------------------------

    def _as_ref(self, ref, place):
        return ref if type(ref) is _Ref else self._of(dtypes.as_numpy(place.dtype).type(ref[0]))

    def _write(self, ref, place):
        """Have a value written to a place in each turn."""
        ref = self._as_ref(ref, place)
        node = ref.node if ref.seen is None else None
        if node is None or node.home is not None or not node.varies:
            node = self._copy(ref, varies=True)
        node.home, node.kept = place, True

    def _new(self, ref, place):
        """The node whose result a carried value is to be; None where it stays as it is."""
        ref = self._as_ref(ref, place)
        if ref.seen is None and ref.source is place:
            return None
        if ref.seen is not None or ref.node is None or not ref.node.varies or ref.node in self._claimed:
            return self._copy(ref, varies=True)
        self._claimed.append(ref.node)
        return ref.node

    # ---- in which order ----------------------------------------------------------------------------------------------

    def _scheduled(self):
        """Lists of nodes that are one pass, or one node."""
        groups, done, left = [], set(), list(self._nodes)
        while left:
            first = left[0]
            group, inside = [first], {first}
            if first.is_map:
                for node in left[1:]:
                    if (
                        node.is_map
                        and (node.shape, node.varies) == (first.shape, first.varies)
                        and _can_join(node, inside, done)
                    ):
                        group.append(node)
                        inside.add(node)
            groups.append(group)
            done |= inside
            left = [n for n in left if n not in inside]
        return groups

    def _give_homes(self, groups, late):
        """Places for results that are looked at from outside of their group."""
        for group in groups:
            for node in group:
                for ref in node.refs:
                    if ref.node is not None and ref.node not in group:
                        ref.node.kept = True
        for node in (n for g in groups for n in g):
            if node.home is None and (node.kept or node in late):
                node.home = self._memory.temporary(node.shape, node.dtype)


def _check_reduction(op, ref, spec):
    if 0 in ref.shape or (spec.dtype == "bool" and op not in (max_, min_)):
        raise Declined(f"{op.name} of {ref.dtype} of shape {ref.shape}")
    if ref.layout[1] and np.prod(ref.shape) > LONGEST_SUM * max(np.prod(spec.shape), 1):
        raise Declined(f"{op.name} of shape {ref.shape}")


def _check_indexed(op, args):
    if any(type(a) is not _Ref for a in args) or 0 in args[0].shape:
        raise Declined(f"{op.name} of numbers, or of nothing")
    if steps.SCATTERS.get(op) is not None and args[0].dtype == "bool":
        raise Declined(f"{op.name} of bool")


def _can_join(node, inside, done):
    """Whether a pass that makes some nodes can make this one too."""
    return all(r.node is None or r.node in done or (r.node in inside and r.seen is None) for r in node.refs)


def _joins(node, place, groups):
    """Have a carried value written over by what makes its new one, if nobody reads the old one any more."""
    if not node.is_map or node.shape != place.shape:
        return False
    at = next(i for i, g in enumerate(groups) if node in g)
    here, later = (
        [r for g in part for n in g for r in n.refs if r.source is place] for part in ([groups[at]], groups[at + 1 :])
    )
    if later or any(r.seen is not None for r in here):
        return False
    node.stores.append(place)
    return True


def _made(group):
    """The steps of a group, whose nodes have their homes."""
    first = group[0]
    if first.is_map:
        return [_pass(group)]
    return steps.WHOLE[first.op](first.op, [ref.place for ref in first.refs], first.home, **first.params)


def _pass(group):
    shape, loads, number = group[0].shape, [], {}
    for ref in (r for node in group for r in node.refs if r.node not in group):
        place = ref.place.broadcast(shape)
        if place not in number:
            number[place] = len(loads)
            loads.append(place)
    ops, stores = [], []
    for node in group:
        args = []
        for a in node.args:
            if type(a) is not _Ref:
                args.append(a)
            else:
                args.append(number[a.node if a.node in group else a.place.broadcast(shape)])
        tensors = [a.dtype for a in (node.args[1:] if node.op is el.where else node.args) if type(a) is _Ref]
        ops.append((node.op, tuple(args), node.params, tensors[0]))
        number[node] = len(loads) + len(ops) - 1
        stores += [(number[node], p) for p in ([node.home] if node.home is not None else []) + node.stores]
    return steps.Map(shape, loads, ops, stores)
