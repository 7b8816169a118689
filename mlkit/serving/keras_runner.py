"""Models of mlkit as a server runs them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes, tree
from mlkit.core.function import Traced
from mlkit.core.spec import Spec
from mlkit.serving.contract import TensorSpec


class KerasRunner:
    """See `contract.Runner`. What a row's sizes are known for runs as a program that is made beforehand and kept; other models as in
    `predict_on_batch`."""

    rows = None
    platform = "mlkit"

    def __init__(self, model: Any, golden: str | None = None):
        if not getattr(model, "_graph", None):
            raise ValueError(
                f"model {model.name!r} does not tell its inputs, so that no request can be checked. Serve one made from Input: "
                "mlkit.Model(inputs, model(inputs))."
            )
        self.model, self.golden = model, golden
        self.inputs = [_spec(n, t) for n, t in zip(model.input_names, tree.flatten(model.input))]
        self.outputs = [_spec(n, t) for n, t in zip(model.output_names, tree.flatten(model.output))]
        self.class_names = getattr(model, "class_names", None)
        self._structure = model.input
        step = model.make_predict_function()
        in_programs = isinstance(step, Traced) and not any(s.dtype == dtypes.STRING for s in self.inputs)
        self._step = step if in_programs else None
        self._programs: dict[int, Any] = {}  # rows -> Program

    @property
    def nbytes(self) -> int:
        weights = sum(v.value.data.nbytes for v in self.model.variables)
        plans = list(self._programs.values())
        return (
            weights
            + sum(p.nbytes for p in plans)
            + max((p.plan.arena_bytes for p in plans if p.run.plan is not None), default=0)
        )

    def prepare(self, rows: int) -> None:
        if self._step is not None and all(n is not None for s in self.inputs for n in s.shape):
            specs = [Spec((rows, *s.shape), s.dtype) for s in self.inputs]
            self._programs[rows] = self._step.program(self._packed(specs))

    def run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        program = self._programs.get(len(arrays[0]))
        if program is not None:
            out = program(list(arrays))
        elif self._step is not None:
            out = self._step(self._packed(arrays))
        else:
            out = self.model.predict_on_batch(tree.pack_sequence_as(self._structure, list(arrays)))
        return [np.asarray(t) for t in tree.flatten(out)]

    def _packed(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """As the predict step takes them."""
        return (tree.pack_sequence_as(self._structure, list(leaves)),)


def _spec(name: str, tensor: Any) -> TensorSpec:
    return TensorSpec(name, tensor.dtype, tuple(n if isinstance(n, int) else None for n in tensor.shape[1:]))
