"""Replicas: copies of a model in several processes, each of which computes its part of every batch; what makes them one training run.

The rule is one weight: a rank whose part has n of the N samples of a batch brings its gradients, and the moving averages that its step
has changed, times n / N. So the losses of all ranks are minimized as the one loss of the whole batch, a short batch counts rightly,
and a rank without samples joins with weight 0 (it computes on a sample of another one, for the collectives must be met).
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes, tree
from mlkit.core.communicator import Communicator
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.distribution.agreement import broadcast_variables, require_equal, require_equal_calls, require_equal_models
from mlkit.distribution.buckets import in_buckets
from mlkit.distribution.last_step import LastStep
from mlkit.ops.gradients import custom_gradient
from mlkit.primitives.collectives import all_reduce, rank
from mlkit.primitives.convert import cast, convert_to_tensor
from mlkit.primitives.elementwise import add, div, mul

_SPREAD = 0x9E3779B9  # an odd number: ranks times it lie far apart


class Replicas:
    """What trainers, optimizers, metrics and layers ask of the processes that train one model together.

    shards: whether each rank has the whole data and takes its part of each batch; else what a rank has is its part.
    samples: how many of the batch at hand are this rank's; 0: it has none. first: the number in the batch of the first of them. in_step:
    whether a step on a batch is under way.
    """

    def __init__(self, communicator: Communicator, shards: bool):
        self.communicator, self.shards = communicator, shards
        self.rank, self.size = communicator.rank, communicator.size
        self.samples, self.first, self.in_step = 1, 0, False
        self._whole: int | None = None  # samples of all ranks, where that is known
        self._counts: list[int] = []
        self._warned = self._reading = False
        self.last_step = LastStep(self.rank)

    # ---- batches -----------------------------------------------------------------------------------------------------

    def part(self, batch: Any) -> Any:
        """This rank's part of a batch, a structure of arrays: rows that follow one another, as many as others have, or one more."""
        whole = next((a.shape[0] for a in tree.flatten(batch) if getattr(a, "shape", ())), 1)
        if not self.shards:
            self.samples, self.first, self._whole = whole, 0, None
            if whole == 0:
                raise ValueError(
                    f"Rank {self.rank} got a batch without samples. With auto_shard_dataset=False each rank needs some."
                )
            return batch
        each, more = divmod(whole, self.size)
        self._counts = [each + (r < more) for r in range(self.size)]
        self.samples, self._whole = self._counts[self.rank], whole
        if whole < self.size and not self._warned:
            self._warned = True
            warnings.warn(
                f"A batch of {whole} samples is divided among {self.size} processes: {1 - whole / self.size:.0%} of them have nothing "
                "to compute. `batch_size` is that of all processes together.",
                stacklevel=4,
            )
        self.first = sum(self._counts[: self.rank])
        rows = slice(self.first, self.first + self.samples) if self.samples else slice(0, 1)
        return tree.map_structure(lambda a: _rows(a, rows), batch)

    def gathered(self, outputs: Any) -> Any:
        """What all ranks have computed for their parts of the last batch, arrays, in the order of the batch."""
        counts = self._counts if self.shards else self.communicator.all_gather_values(self.samples, "numbers of samples")
        return tree.map_structure(lambda a: self.communicator.all_gather_rows(np.asarray(a), counts, "predictions"), outputs)

    def together(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Batches of which each rank has its own, as long as all ranks have some."""
        if self.shards:
            yield from batches
            return
        with contextlib.closing(batches):
            while True:
                batch = next(batches, None)
                there = self.communicator.all_gather_values(batch is not None, "whether there is a batch")
                if not all(there):
                    if any(there):
                        names = ", ".join(str(r) for r, has in enumerate(there) if not has)
                        warnings.warn(f"The data of rank {names} ran out before those of the others; the epoch ends for all.")
                    return
                yield batch

    # ---- steps -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def step(self, moving: Sequence[Any] = ()) -> Iterator[None]:
        """A block in which a step is computed, or traced. moving: variables that it may change besides those that are trained; the
        float ones it changes become their means over all ranks."""
        trace = state.top.trace
        before = [None if trace is not None else v.value for v in moving]
        self.in_step = True
        try:
            yield
            changed = [v for v, old in zip(moving, before) if (v in trace.writes if trace is not None else v.value is not old)]
            changed = [v for v in changed if dtypes.is_float(v.dtype) and v.aggregation != "only_first_replica"]
            for v, value in zip(changed, self.mean([v.value for v in changed], [v.path for v in changed])):
                v.assign(value)
        finally:
            self.in_step = False

    @property
    def share(self) -> int | None:
        """Samples of the batch at hand, if that is known before the step: programs are made for it."""
        return self._whole

    @property
    def total(self) -> Any:
        """Samples of all ranks in the batch at hand, a number or a tensor."""
        if self._whole is not None:
            return self._whole
        return all_reduce(convert_to_tensor(float(self.samples), dtype="float64"), label="numbers of samples")[0]

    @property
    def weight(self) -> Any:
        """This rank's share of the samples, a number or a float64 tensor; 1 / size outside of a step."""
        if not self.in_step:
            return 1.0 / self.size
        total = self.total
        return (
            div(convert_to_tensor(float(self.samples), dtype="float64"), total)
            if type(total) is Tensor
            else self.samples / total
        )

    def mean(self, tensors: Sequence[Tensor], names: Sequence[str]) -> list[Any]:
        """The means of tensors over the samples of all ranks; None where one is None."""
        there = [k for k, t in enumerate(tensors) if t is not None]
        if not there:
            return list(tensors)
        weight, found = self.weight, list(tensors)
        for number, bucket in enumerate(in_buckets([(k, tensors[k]) for k in reversed(there)])):
            label = f"bucket {number}: {', '.join(names[k] for k in bucket)}"
            for k, total in zip(bucket, _weighted_sum([tensors[k] for k in bucket], weight, label)):
                found[k] = total
        return found

    def batch_mean(self, value: Tensor) -> Tensor:
        """The mean over the batch of all ranks of a tensor that is a mean over this rank's samples; in a step.

        Its gradient is that of the loss of the whole batch, which is made of the ranks' losses times their weights.
        """

        def weighted_sum(value):
            return _weighted_sum([value], self.weight, "means over the batch")[0]

        return custom_gradient(lambda value: (weighted_sum(value), weighted_sum))(value)

    def whole_sum(self, value: Tensor) -> Tensor:
        """A sum over this rank's samples as what, times the rank's weight, is its part of the sum over all samples; in a step."""
        weight = self.weight
        if self.samples == 0:
            return value
        return div(value, cast(weight, dtype=value.dtype)) if type(weight) is Tensor else _times(value, 1.0 / weight)

    def key(self, key: Tensor) -> Tensor:
        """The random key that this rank uses in a step in place of one that all ranks have."""
        if not self.in_step:
            return key
        return add(key, mul(cast(rank(), dtype="uint32"), convert_to_tensor([_SPREAD, 0], dtype="uint32")))

    # ---- metrics -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def reading(self, variables: Sequence[Any]) -> Iterator[None]:
        """A block in which variables of metrics have the values of all ranks together, as their `aggregation` says."""
        if self._reading:
            yield
            return
        own, self._reading = [(v, v.value) for v in variables], True
        try:
            for v, value in self._aggregated(variables):
                v.assign(value)
            yield
        finally:
            self._reading = False
            for v, value in own:
                v.assign(value)

    def _aggregated(self, variables):
        for dtype in dict.fromkeys(v.dtype for v in variables):
            group = [v for v in variables if v.dtype == dtype and v.aggregation in ("sum", "mean")]
            if not group:
                continue
            label = f"{group[0].path} ... {group[-1].path}"
            for v, total in zip(group, all_reduce(*(_number(v.value) for v in group), label=label)):
                total = cast(total, dtype=dtype)
                yield v, (_times(total, 1.0 / self.size) if v.aggregation == "mean" else total)

    @contextlib.contextmanager
    def updating(self, variables: Sequence[Any]) -> Iterator[None]:
        """A block in which metrics take in a batch: without effect where this rank has no samples of it."""
        idle = self.in_step and self.samples == 0
        before = [v.value for v in variables] if idle else []
        yield
        for v, value in zip(variables, before):
            v.assign(value)

    # ---- agreement ---------------------------------------------------------------------------------------------------

    def check(self, model: Any) -> None:
        """Before the first step: all ranks have the same program and model; its variables get the values of rank 0."""
        require_equal_models(self.communicator, model)
        optimizer = model.optimizer.variables if model.optimizer is not None else []
        broadcast_variables(self.communicator, [*model.variables, *optimizer])

    def check_loop(self, arguments: dict[str, Any], data: dict[str, Any]) -> None:
        """Before a loop over data: all ranks have its arguments, by name, and data of the same size, unless each has its own."""
        facts = {**arguments, **(data if self.shards else {})}
        where = "with the same data (or with data of their own, and DataParallel(auto_shard_dataset=False))"
        require_equal(self.communicator, facts, "go through the same data", where)

    def check_calls(self, graph: Any) -> None:
        """Raise RuntimeError on all ranks unless all have traced the same calls."""
        require_equal_calls(self.communicator, graph)


def _rows(a: Any, rows: slice) -> Any:
    if not getattr(a, "shape", ()):
        return a
    return Tensor(a.data[rows]) if type(a) is Tensor else a[rows]


def _weighted_sum(tensors: Sequence[Tensor], weight: Any, label: str) -> Sequence[Tensor]:
    """The sums over all ranks of tensors times the ranks' weights."""
    if type(weight) is Tensor:
        return all_reduce(*(_times(t, weight) for t in tensors), label=label)
    return all_reduce(*tensors, scale=weight, label=label)


def _number(t: Tensor) -> Tensor:
    return cast(t, dtype="int32") if t.dtype == "bool" else t


def _times(t: Tensor, factor: Any) -> Tensor:
    if type(factor) is Tensor:
        return mul(t, cast(factor, dtype=t.dtype))
    return mul(t, convert_to_tensor(factor, dtype=t.dtype))
