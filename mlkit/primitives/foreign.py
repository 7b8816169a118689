"""Functions of other libraries as ops of a graph: the kernel and the gradient are theirs."""

import abc
import itertools
from collections.abc import Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Dim, Spec, are_known
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits


class ForeignFunction(abc.ABC):
    """A function of arrays that another library computes and differentiates. What it returns depends on its arguments alone: random
    keys and state that changes are among the arguments and the results, so that a graph may drop a call, or make it twice.

    in_jax: whether it can be called on arrays and tracers of JAX, by `on_jax`.
    """

    in_jax = False

    def __init__(self) -> None:
        self._pullbacks: dict[Any, ForeignFunction] = {}
        self._known: dict[Any, tuple[Spec, ...]] = {}  # specs of the arguments -> of the results

    @abc.abstractmethod
    def run(self, *arrays: Any) -> Sequence[Any]:
        """The results for arrays of NumPy, which it does not change: arrays that are read before anything else runs."""

    @abc.abstractmethod
    def shapes(self, *specs: Spec) -> tuple[Spec, ...]:
        """The specs of the results for arguments of known sizes."""

    @abc.abstractmethod
    def make_pullback(self, wanted: tuple[bool, ...], given: tuple[bool, ...]) -> "ForeignFunction":
        """See `pullback`."""

    def on_jax(self, *arrays: Any) -> Sequence[Any]:
        """The results for arrays or tracers of JAX, where `in_jax`."""
        raise NotImplementedError

    def pullback(self, wanted: tuple[bool, ...], given: tuple[bool, ...]) -> "ForeignFunction":
        """The function of the arguments, and of gradients of those results that are `given`, which returns the gradients of those
        arguments that are `wanted`."""
        found = self._pullbacks.get((wanted, given))
        if found is None:
            found = self._pullbacks[wanted, given] = self.make_pullback(wanted, given)
        return found

    def infer(self, *specs: Spec) -> tuple[Spec, ...]:
        """The specs of the results for arguments some of whose sizes may be unknown."""
        if not are_known(specs):
            return self.infer_unknown(*specs)
        found = self._known.get(specs)
        if found is None:
            found = self._known[specs] = self.shapes(*specs)
        return found

    def infer_unknown(self, *specs: Spec) -> tuple[Spec, ...]:
        """The same where sizes are unknown: what differs between two tries with other numbers in their place is unknown too, and
        found anew when they are known."""
        unknown = list(dict.fromkeys(n for s in specs for n in s.shape if type(n) is Dim))
        tries = [dict(zip(unknown, itertools.count(start, step))) for start, step in _TRIES]
        try:
            first, second = (self.shapes(*(_filled(s, sizes) for s in specs)) for sizes in tries)
        except Exception:
            batch = [s.shape[0] for s in specs if s.ndim and type(s.shape[0]) is Dim]
            if len(set(batch)) < 2:
                raise
            tries = [{**sizes, **dict.fromkeys(batch, sizes[batch[0]])} for sizes in tries]  # they have to be the same size
            first, second = (self.shapes(*(_filled(s, sizes) for s in specs)) for sizes in tries)

        def size(i: int, axis: int) -> Any:
            pair = first[i].shape[axis], second[i].shape[axis]
            if pair[0] == pair[1]:
                return pair[0]
            same = [d for d in unknown if pair == tuple(sizes[d] for sizes in tries)]
            return same[0] if same else self.later(specs, unknown, i, axis)

        return tuple(Spec([size(i, axis) for axis in range(s.ndim)], s.dtype) for i, s in enumerate(first))

    def later(self, specs: tuple[Spec, ...], unknown: Sequence[Dim], i: int, axis: int) -> Dim:
        """A size of result `i` that is found once the unknown ones of the arguments are."""

        def found(*sizes: Any) -> Any:
            given = dict(zip(unknown, sizes))
            known = tuple(_filled(s, given) for s in specs)
            return self.infer(*known)[i].shape[axis]

        return Dim(made_by=(found, tuple(unknown)))


_TRIES = ((2, 31), (7, 37))  # (first number, step): small for the batch, and no two unknown sizes get the same pair


def _filled(spec: Spec, sizes: dict[Any, Any]) -> Spec:
    return Spec([sizes.get(n, n) if type(n) is Dim else n for n in spec.shape], spec.dtype)


def _spec(*specs: Spec, function: ForeignFunction) -> tuple[Spec, ...]:
    return function.infer(*specs)


def _vjp(g: Sequence[Any], out: Sequence[Tensor], *args: Tensor, function: ForeignFunction) -> tuple[Any, ...]:
    """One call that runs the function anew, for those arguments of which `call_foreign` has left that tapes follow them."""
    wanted = tuple(dtypes.is_float(x.dtype) and x.node is not None for x in args)
    given = tuple(h is not None and dtypes.is_float(y.dtype) for h, y in zip(g, out))
    if True not in wanted or True not in given:
        return (None,) * len(args)
    seeds = [h for h, is_given in zip(g, given) if is_given]
    found = iter(foreign_call(*args, *seeds, function=function.pullback(wanted, given)))
    return tuple(next(found) if w else None for w in wanted)


# arguments of the function -> its results; always a tuple
foreign_call = Op("foreign_call", _spec, _vjp, "x", traits=Traits(flops=lambda *_: 0))  # nobody knows how many there are


def call_foreign(function: ForeignFunction, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The results for these tensors. The gradient is one call for all of them, so those that no open tape follows, data and frozen
    weights, are handed on as tensors that none can follow: nothing is computed for them."""
    top = state.top
    if not top.replaces():
        tensors = [x if any(t.follows((x,))[0] for t in top.tapes) else Tensor(x.data) for x in tensors]
    return foreign_call(*tensors, function=function)
