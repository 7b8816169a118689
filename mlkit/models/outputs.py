"""The outputs of a model by name: how losses, metrics, targets and weights given for several outputs find their places."""

from collections.abc import Sequence
from typing import Any

from mlkit.core import tree
from mlkit.core.typing import Structure


class OutputNames:
    """Names and structure of a model's outputs, from the predictions.

    One output has one name; a dict's outputs are named by their keys, others by `names` (of the output layers) or "output_1"
    ...
    """

    def __init__(self, y_pred: Structure, names: Sequence[str] | None = None):
        self.single = not tree.is_nested(y_pred)
        self.is_dict = isinstance(y_pred, dict)
        leaves = tree.flatten(y_pred)
        if self.is_dict and len(leaves) == len(y_pred):
            self.names = sorted(y_pred, key=str)
        elif names is not None and len(names) == len(leaves) and len(set(names)) == len(names):
            self.names = list(names)
        else:
            self.names = [f"output_{i + 1}" for i in range(len(leaves))]
        self.has_loss = [True] * len(self.names)  # targets may be given for these outputs alone

    def spread(self, value: Any, what: str, repeat: bool = False) -> list[Any]:
        """`value` as a list, one entry an output; None where nothing is given.

        value: one entry for a single output, a list in order, or a dict by name. repeat: a single entry serves all outputs.
        """
        n = len(self.names)
        if value is None:
            return [None] * n
        if isinstance(value, dict):
            unknown = [k for k in value if k not in self.names]
            if unknown:
                raise ValueError(
                    f"`{what}` names {unknown}, but the model's outputs are {self.names}. Use these names, or a list in their "
                    "order."
                )
            return [value.get(name) for name in self.names]
        if isinstance(value, (list, tuple)) and (not self.single or len(value) == 1):
            if len(value) != n:
                raise ValueError(f"`{what}` has {len(value)} entries, but the model has {n} outputs {self.names}.")
            return list(value)
        if repeat or n == 1:
            return [value] * n
        raise ValueError(f"`{what}` is one entry, but the model has {n} outputs {self.names}: pass a list or a dict by name.")

    def leaves(self, structure: Structure, what: str) -> list[Any]:
        """Arrays given for the outputs (targets, weights), in order."""
        if structure is None:
            return [None] * len(self.names)
        if isinstance(structure, dict):
            return self.spread(structure, what)
        flat = tree.flatten(structure)
        if len(flat) == sum(self.has_loss) < len(self.names):
            given = iter(flat)
            return [next(given) if has else None for has in self.has_loss]
        if len(flat) != len(self.names):
            raise ValueError(
                f"{what}: {len(flat)} arrays were given, but the model has {len(self.names)} outputs {self.names}."
            )
        return flat
