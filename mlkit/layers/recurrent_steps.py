"""The steps of a recurrent layer: its cell as the body of a scan."""

from typing import Any

from mlkit import ops
from mlkit.core import tree
from mlkit.core.interpreter import on_shapes
from mlkit.core.spec import compatible, show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure
from mlkit.layers.call_info import call_info
from mlkit.layers.losses_within import with_losses


def run_steps(layer: Any, sequences: Tensor, states: list[Any], mask: Tensor | None, training: bool | None) -> Any:
    """(last output, outputs of all steps in the order in which they are made, last states) of a layer with a `cell`.

    Where a mask leaves out a step, states stay as they are, and the output is 0 or the one before.
    """
    step = _Step(layer, {"training": training} if call_info(type(layer.cell)).takes_training else {})
    options = {"reverse": layer.go_backwards, "unroll": layer.unroll or sequences.shape[1] == 1}
    xs = ops.moveaxis(sequences, 1, 0)
    if mask is None:
        states, (outputs, losses) = ops.scan(step.run, states, xs, **options)
        last = tree.flatten(states)[step.shown] if step.shown is not None else outputs[0 if layer.go_backwards else -1]
    else:
        first, before = tree.map_structure(lambda t: Tensor(t.spec), (sequences[:, 0], states))
        with on_shapes():
            start = step(first, before)[0]
        carried = states, ops.zeros(start.shape, dtype=start.dtype)
        given = xs, ops.moveaxis(ops.cast(mask, "bool"), 1, 0)
        (states, last), (outputs, losses) = ops.scan(step.run_if_present, carried, given, **options)
    for owner, loss in zip(step.owners, losses):
        owner.add_loss(ops.sum(loss))
    outputs = ops.moveaxis(outputs, 0, 1)
    return last, ops.flip(outputs, axis=1) if layer.go_backwards else outputs, states


class _Step:
    """A step. owners: the layers that add losses in it; shown: number of the state that is the output as well, or None."""

    def __init__(self, layer: Any, options: dict[str, Any]):
        self.layer, self.options = layer, options
        self.owners: list[Any] = []
        self.shown: int | None = None

    def __call__(self, x: Tensor, states: list[Any]) -> tuple[Tensor, list[Any], list[Tensor]]:
        """(output, new states, losses)"""
        (out, after), added = with_losses(self.layer.cell)(x, states, **self.options)
        after = list(after) if isinstance(after, (list, tuple)) else [after]
        self.owners = [owner for owner, _ in added]
        self.shown = next((k for k, s in enumerate(tree.flatten(after)) if s is out), None)
        return out, self._like(states, after), [loss for _, loss in added]

    def run(self, states: list[Any], x: Tensor) -> Structure:
        out, states, losses = self(x, states)
        return states, (out, losses)

    def run_if_present(self, carried: Structure, given: Structure) -> Structure:
        (before, last), (x, present) = carried, given
        out, after, losses = self(x, before)
        shown = _choose(present, out, ops.zeros_like(out) if self.layer.zero_output_for_mask else last)
        return (tree.map_structure(lambda n, o: _choose(present, n, o), after, before), shown), (shown, losses)

    def _like(self, before: list[Any], after: list[Any]) -> list[Any]:
        """New states in the dtypes of the old ones, whose shapes they must have."""
        old, new = tree.flatten(before), list(map(ops.convert_to_tensor, tree.flatten(after)))
        if len(old) != len(new) or not all(compatible(a.shape, b.shape) for a, b in zip(old, new)):
            raise ValueError(
                f"{type(self.layer).__name__} {self.layer.path!r}: the cell must return states of the shapes that it is given, "
                f"{[show(s.shape) for s in old]}, but returned {[show(s.shape) for s in new]}."
            )
        return tree.pack_sequence_as(before, [ops.cast(n, o.dtype) for n, o in zip(new, old)])


def _choose(present: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return ops.where(ops.reshape(present, (present.shape[0], *(1,) * (new.ndim - 1))), new, old)
