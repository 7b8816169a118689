"""Layout: large images are laid in blocks of channels, where all that touches them can work so.

Values that elementwise ops and normalizations join must lie alike; windows (convolutions, pooling) may stand between two layouts,
which costs their kernel a copy of the smaller side. So the values of a graph fall into groups. A group is laid in blocks if one of
its values does not fit in the cache, and then its neighbours, if they are not small.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.rewrite import Rewriter, is_scalar
from mlkit.core.dtypes import itemsize
from mlkit.core.graph import Call, Graph
from mlkit.core.layout import nbytes
from mlkit.core.machine import threshold
from mlkit.core.tensor import Value
from mlkit.primitives.blocked_layout import shape_in_blocks
from mlkit.primitives.fused.blocked_images import OF_IMAGES
from mlkit.primitives.shape import broadcast_to, reshape, sum_

LARGE = threshold("block_channels")
MEDIUM = threshold("block_channels_beside")


def block_channels(graph: Graph, target: Target) -> Graph:
    """The graph with images in blocks of channels where that gains."""
    block, graph = target.channel_block, prune(graph)
    if block is None:
        return graph
    chosen = _Groups(graph, block).chosen()
    return _Layout(graph, block, chosen).run() if chosen else graph


def _is_image(v: Value) -> bool:
    return type(v) is Value and len(v.shape) == 4 and v.dtype in ("float32", "bfloat16")


def _bytes(v: Value) -> int:
    return nbytes(v.shape, itemsize(v.dtype))


def _joins(call: Call) -> bool:
    """Whether an elementwise call joins images of one shape, with scalars and tensors that vary along the channels only."""
    if not call.op.traits.elementwise or call.is_tuple or not _is_image(call.outs[0]):
        return False
    image = call.outs[0].shape
    return all(
        is_scalar(a) or (_is_image(a) and a.shape == image) or a.shape == () or _is_small(a.shape, image) for a in call.args
    )


def _is_small(shape: Sequence[Any], image: Sequence[Any]) -> bool:
    """Whether something broadcasts to an image and does not vary along height and width."""
    shape = (1,) * (4 - len(shape)) + tuple(shape)
    return len(shape) == 4 and shape[1:3] == (1, 1) and shape[3] == image[3] and shape[0] in (1, image[0])


def _is_spatial_sum(call: Call) -> bool:
    return call.op is sum_ and sorted(call.params["axes"]) == [1, 2] and _is_image(call.args[0])


def _is_spread(call: Call) -> bool:
    """Whether a call repeats what does not vary along height and width."""
    return call.op is broadcast_to and _is_image(call.outs[0]) and _is_small(call.args[0].shape, call.outs[0].shape)


class _Groups:
    """Values that must lie alike, by a representative."""

    def __init__(self, graph: Graph, block: int) -> None:
        self.parent: dict[int, int] = {}
        self.members: dict[int, Value] = {}
        self.bad: set[int] = set()
        self.edges: list[tuple[int, int]] = []
        self.block = block
        for v in graph.inputs:
            self._refuse([v])
        for call in graph.calls:
            self._add(call)
        self._refuse(graph.outputs)

    def chosen(self) -> set[Any]:
        """ids of the Values to lay in blocks."""
        groups: dict[Any, list[Any]] = {}
        for key, v in self.members.items():
            groups.setdefault(self._root(key), []).append(v)
        bad = set(map(self._root, self.bad))
        size = {r: max(map(_bytes, g)) for r, g in groups.items()}
        taken = {r for r in groups if r not in bad and size[r] >= LARGE}
        edges = [tuple(map(self._root, e)) for e in self.edges]
        grew: Any = True
        while grew:
            grew = {b for e in edges for a, b in (e, e[::-1]) if a in taken and b not in taken | bad and size[b] >= MEDIUM}
            taken |= grew
        return {id(v) for r in taken for v in groups[r]}

    def _add(self, call: Call) -> None:
        images = call.op.traits.images
        if images is not None:
            found = [call.args[i] for i in images.arguments if i < len(call.args) and call.args[i] is not None]
            found += [call.outs[i] for i in images.results]
            self._note(found)
            if not all(map(_is_image, found)):
                self._refuse(found)
                return
            if not images.fits(found, call.params):
                self._refuse(found)
            self._join(found[1:] if images.mixes else found)
            self.edges += [(id(a), id(b)) for a, b in pairwise(found)]
        elif _joins(call):
            found = [v for v in (*call.args, *call.outs) if _is_image(v) and v.shape == call.outs[0].shape]
            self._note(found)
            self._join(found)
        elif _is_spatial_sum(call):
            self._note(call.args)
        elif _is_spread(call):
            self._note(call.outs)
        else:
            self._refuse([*call.args, *call.outs])

    def _note(self, values: Iterable[Any]) -> None:
        for v in values:
            if _is_image(v):
                self.members[id(v)] = v
                self.parent.setdefault(id(v), id(v))
                if v.shape[3] % self.block or v.shape[1] * v.shape[2] == 1:
                    self.bad.add(id(v))

    def _refuse(self, values: Sequence[Any]) -> None:
        self._note(values)
        self.bad.update(id(v) for v in values if _is_image(v))

    def _root(self, key: int) -> int:
        while self.parent[key] != key:
            key = self.parent[key]
        return key

    def _join(self, values: Sequence[Value]) -> None:
        for a, b in pairwise(values):
            self.parent[self._root(id(a))] = self._root(id(b))


class _Layout(Rewriter):
    """Rewrites calls for the chosen Values; what stands for one of them lies in blocks."""

    def __init__(self, graph: Graph, block: int, chosen: set[int]) -> None:
        super().__init__(graph)
        self.block, self.chosen = block, chosen
        self.laid: set[int] = set()  # ids of new Values in blocks

    def _rule(self, call: Call) -> Any:
        wanted = [id(v) in self.chosen for v in call.outs]
        if not any(wanted) and not any(id(a) in self.laid for a in call.args):
            return None
        images = call.op.traits.images
        if images is not None:
            return self._images(call, images.arguments, wanted)
        if call.op is sum_:
            return self._sum(call)
        if call.op is broadcast_to:
            small = self._small(call.args[0])
            return self._note_laid(self.add(call.op, (small,), dict(shape=shape_in_blocks(call.outs[0].shape, self.block))))
        args = [a if is_scalar(a) or id(a) in self.laid else self._small(a) for a in call.args]
        return self._note_laid(self.add(call.op, args, call.params))

    def _images(self, call: Call, arguments: Iterable[int], wanted: Sequence[bool]) -> Any:
        numbers = [i for i in arguments if i < len(call.args) and id(call.args[i]) in self.laid]
        layout = dict(block=self.block, blocked=tuple(numbers), results=tuple(i for i, w in enumerate(wanted) if w))
        outs = self.add(call.op.variants["in_blocks"], call.args, {**layout, **call.params})
        several = outs if call.is_tuple else (outs,)
        self.laid.update(id(v) for v, w in zip(several, wanted) if w)
        return outs

    def _sum(self, call: Call) -> Value:
        total = self.add(call.op, call.args, dict(axes=(2, 3), keepdims=False))
        return self.add(reshape, (total,), dict(shape=call.outs[0].shape))

    def _small(self, a: Any) -> Any:
        """Something that varies along batch and channels only, so that it broadcasts to images in blocks."""
        if len(a.shape) == 0:
            return a
        n = a.shape[0] if len(a.shape) == 4 else 1
        return self.add(reshape, (a,), dict(shape=(n, a.shape[-1] // self.block, 1, 1, self.block)))

    def _note_laid(self, v: Value) -> Value:
        self.laid.add(id(v))
        return v


PASS = Pass("block_channels", block_channels, needs=OF_IMAGES)
