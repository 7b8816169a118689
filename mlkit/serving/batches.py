"""What runs a model on the rows of several requests at once: sizes that are prepared, padding, and who may not be put together."""

import logging
import time
from collections.abc import Sequence

import numpy as np

from mlkit.core import dtypes
from mlkit.core.spec import Spec
from mlkit.export import golden
from mlkit.serving.contract import Runner, TensorSpec

log = logging.getLogger("mlkit.serving")
_TRIED = 8, 32, 128  # for sizes that are free: a model may need some length before it computes anything
_QUICK = 0.001  # seconds, of which an event loop has many to give between two answers about health


class Batches:
    """A runner, ready for batches of 1, 2, 4 … `max_batch_size` rows.

    together: whether rows of different requests run together. They do unless a row's answer depends on what stands beside it, as it
    does in models that compute over the batch; these run each request by itself, as it came, and so do models that took none of the
    free sizes that were tried, of which it is not known. verified: whether a golden sample came with
    the model, and its answers are the same here. quick_rows: how many rows take less time than it is worth handing them to another thread;
    0 where one does not, or where it is not known because sizes are free.
    """

    def __init__(self, runner: Runner, max_batch_size: int):
        self.runner = runner
        self.sizes = [runner.rows] if runner.rows else _powers(max_batch_size)
        self.max_rows = self.sizes[-1]
        self._room: dict[tuple[int, ...], list[np.ndarray]] = {}  # sizes -> memory that inputs are gathered in
        self.verified = self._verify()
        self.together = True
        self.quick_rows = 0
        self._warm()

    def __call__(self, jobs: Sequence[Sequence[np.ndarray]]) -> list[list[np.ndarray]]:
        """What the model gives for each job: a list of arrays, one for each input, all with the same number of rows."""
        rows = [len(job[0]) for job in jobs]
        if not self.together:
            return [self.runner.run(job) for job in jobs]
        if len(jobs) == 1 and rows[0] > self.max_rows:
            return [self._in_parts(jobs[0], rows[0])]
        outputs = self._run(jobs, sum(rows))
        found, first = [], 0
        for n in rows:
            found.append([a[first : first + n] for a in outputs])
            first += n
        return found

    def _in_parts(self, job: Sequence[np.ndarray], rows: int) -> list[np.ndarray]:
        step = self.max_rows
        parts = [self._run([[a[i : i + step] for a in job]], min(step, rows - i)) for i in range(0, rows, step)]
        return [
            np.concatenate([p[:n] for p, n in zip(one, [step] * (len(parts) - 1) + [rows - step * (len(parts) - 1)])])
            for one in zip(*parts)
        ]

    def _run(self, jobs: Sequence[Sequence[np.ndarray]], rows: int) -> list[np.ndarray]:
        """The rows of all jobs in a batch of the next size there is; rows beyond them are repetitions of the last."""
        size = next(n for n in self.sizes if n >= rows)
        if len(jobs) == 1 and rows == size:
            return self.runner.run(jobs[0])
        room = self._gathered(jobs, rows, size)
        outputs = self.runner.run(room)
        return [a.copy() if any(np.may_share_memory(a, b) for b in room) else a for a in outputs]

    def _gathered(self, jobs: Sequence[Sequence[np.ndarray]], rows: int, size: int) -> list[np.ndarray]:
        if any(dtypes.is_string(a) for a in jobs[0]):
            whole = [np.concatenate(parts) for parts in zip(*jobs)]
            return [np.concatenate([a, np.repeat(a[-1:], size - rows, axis=0)]) for a in whole]
        key = size, *(n for a in jobs[0] for n in a.shape[1:])
        room = self._room.get(key)
        if room is None:
            if len(self._room) > 2 * len(self.sizes):  # of free sizes there may be ever new ones
                self._room.clear()
            room = self._room[key] = [np.empty((size, *a.shape[1:]), a.dtype) for a in jobs[0]]
        for number, into in enumerate(room):
            first = 0
            for job in jobs:
                into[first : first + len(job[number])] = job[number]
                first += len(job[number])
            into[first:] = into[first - 1]
        return room

    # ---- before the first request ------------------------------------------------------------------------------------

    def _verify(self) -> bool:
        if self.runner.golden is None:
            return False
        inputs, wanted, tolerance = golden.unpacked(self.runner.golden)
        if self.runner.rows not in (None, len(inputs[0])):
            return False
        far = golden.difference(self.runner.run(inputs), wanted, tolerance)
        if not far <= 1:
            raise ValueError(
                f"it answers something else to its golden sample than the model did ({far:.3g} times what is allowed)."
            )
        return True

    def _warm(self) -> None:
        """Run each size once, and see whether rows depend on one another."""
        has_free_sizes = any(n is None for s in self.runner.inputs for n in s.shape)
        if not has_free_sizes:
            for size in self.sizes:
                self.runner.prepare(size)
                sample = _sample(self.runner.inputs, size)
                self.runner.run(sample)
                began = time.perf_counter()
                self.runner.run(sample)
                if time.perf_counter() - began < _QUICK:
                    self.quick_rows = size
        if self.runner.rows == 1:
            return
        self.together = self._found_out() if has_free_sizes else self._answers_rows_by_themselves()
        if not self.together and self.runner.rows:
            raise ValueError(
                f"a row's answer depends on the {self.max_rows - 1} beside it, so that requests cannot be answered."
            )

    def _found_out(self) -> bool:
        """`_answers_rows_by_themselves` with the first free sizes that the model takes. Where it takes none of them each request
        runs by itself, unless the model has a number of rows of its own, which have to be filled."""
        for size in _TRIED:
            try:
                return self._answers_rows_by_themselves(size)
            except Exception as error:  # of any kind, as the model is; requests bring sizes that it takes
                refused = error
        log.warning(
            "%s: the model takes none of the sizes %s where its own are free, so that it cannot be seen whether a row's answer "
            "depends on those beside it. Of the last size it said: %s",
            f"requests run in batches of {self.runner.rows}" if self.runner.rows else "each request runs by itself",
            ", ".join(map(str, _TRIED)),
            refused,
        )
        return self.runner.rows is not None

    def _answers_rows_by_themselves(self, free: int | None = None) -> bool:
        """Whether two rows have the same answers alone and in a batch. free: stands for sizes that are."""
        sample = _sample(self.runner.inputs, 2, free)
        beside = self._run([sample], 2) if self.max_rows > 1 else self.runner.run(sample)
        if any(not a.ndim or len(a) < 2 for a in beside):
            return False
        alone = [self._run([[a[i : i + 1] for a in sample]], 1) for i in (0, 1)]
        return all(golden.difference([a[:1] for a in one], [b[i : i + 1] for b in beside]) <= 1 for i, one in enumerate(alone))


def _powers(limit: int) -> list[int]:
    """1, 2, 4 … and the limit itself."""
    found = [1]
    while found[-1] * 2 < limit:
        found.append(found[-1] * 2)
    return found + [limit] * (limit > 1)


def _sample(specs: Sequence[TensorSpec], rows: int, free: int | None = None) -> list[np.ndarray]:
    """Arrays of so many rows for each input. free: stands for sizes that are."""
    shapes = [(rows, *(free if n is None else n for n in s.shape)) for s in specs]
    strings = np.array([["a", "b", "c"][i % 3] for i in range(rows)])
    full = lambda shape: np.broadcast_to(strings.reshape(-1, *[1] * (len(shape) - 1)), shape).copy()
    numbers = iter(golden.sample([Spec(n, s.dtype) for n, s in zip(shapes, specs) if s.dtype != dtypes.STRING]))
    return [full(shape) if s.dtype == dtypes.STRING else next(numbers) for shape, s in zip(shapes, specs)]
