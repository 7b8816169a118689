"""Different optimizers for different weights of one model."""

import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from mlkit.core.tensor import Tensor
from mlkit.objects.config_object import Configurable
from mlkit.objects.serialization import deserialize_keras_object
from mlkit.objects.variable import Variable
from mlkit.optimizers.loss_scale import LossScaleOptimizer
from mlkit.optimizers.optimizer import Optimizer


class OptimizerMap(MutableMapping, Configurable):
    """From the paths of variables to optimizers.

    Args:
        default_optimizer: for paths that nothing matches.
        optimizer_map: dict path, or regular expression that matches all of a path -> optimizer; more may be assigned later.

    >>> from mlkit.optimizers import SGD, Adam
    >>> rates = OptimizerMap(Adam(), {"encoder/.*": SGD(0.1)})
    >>> type(rates["encoder/dense/kernel"]).__name__, type(rates["head/kernel"]).__name__
    ('SGD', 'Adam')
    """

    def __init__(self, default_optimizer: Any, optimizer_map: Mapping[str, Any] | None = None):
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(f"OptimizerMap: `default_optimizer` must be an Optimizer, but got {default_optimizer!r}.")
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"OptimizerMap: `optimizer_map` must be a dict, but got {optimizer_map!r}.")
        self.default_optimizer = default_optimizer
        self._optimizer_map = {} if optimizer_map is None else optimizer_map

    @property
    def optimizer_map(self) -> dict[str, Any]:
        """The dict of paths and patterns."""
        return self._optimizer_map

    def __getitem__(self, key: str) -> Any:
        if key in self._optimizer_map:
            return self._optimizer_map[key]
        patterns = [p for p in self._optimizer_map if re.fullmatch(p, key)]
        if len(patterns) > 1:
            raise ValueError(f"Multiple optimizers assigned to variable {key!r}: it matches {patterns}.")
        return self._optimizer_map[patterns[0]] if patterns else self.default_optimizer

    def __setitem__(self, key: str, optimizer: Any) -> None:
        if key in self._optimizer_map:
            raise ValueError(f"OptimizerMap: {key!r} has {self._optimizer_map[key]!r} already; delete that first.")
        if not isinstance(key, str):
            raise ValueError(f"OptimizerMap: a key must be a string, but got {key!r}.")
        check_inner(optimizer, key)
        self._optimizer_map[key] = optimizer

    def __delitem__(self, key: str) -> None:
        del self._optimizer_map[key]

    def __len__(self) -> int:
        return len(self._optimizer_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimizer_map)

    def __call__(self, variable: Variable) -> Any:
        """The optimizer for a variable."""
        return self[variable.path]

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "OptimizerMap":
        """The map that `get_config` described."""
        return cls(**{k: deserialize_keras_object(v, custom_objects=custom_objects) for k, v in config.items()})


class MultiOptimizer(Optimizer):
    """Hands each variable to the optimizer that a map, or a function, chooses for it.

    Args:
        optimizer_map: an `OptimizerMap`, or a callable variable -> optimizer.
        loss_scale_factor: replaces that of all inner optimizers.

    It has no learning rate of its own: use those of `optimizers`.
    """

    get_config = Configurable.get_config

    def __init__(self, optimizer_map: Any, loss_scale_factor: float | None = None, name: str | None = None):
        super().__init__(learning_rate=0.0, name=name)
        self.optimizer_map = optimizer_map
        self._inner, self._inner_of = [], {}  # optimizers; variable -> its optimizer
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in (*optimizer_map.values(), optimizer_map.default_optimizer):
                self._adopt(optimizer)
        self.loss_scale_factor = loss_scale_factor

    def _adopt(self, optimizer: Any):
        if all(o is not optimizer for o in self._inner):
            optimizer.loss_scale_factor = self.loss_scale_factor
            self._inner.append(optimizer)

    def build_slots(self, variables: Sequence[Variable]) -> None:
        for v in variables:
            optimizer = self.optimizer_map(v)
            check_inner(optimizer, v.path)
            self._adopt(optimizer)
            self._inner_of[v] = optimizer
        for optimizer in self._inner:
            own = [v for v in variables if self._inner_of[v] is optimizer]
            if own:
                optimizer.build(own)

    @property
    def optimizers(self) -> list[Any]:
        """The inner optimizers."""
        return self._inner

    @property
    def variables(self) -> list[Variable]:
        return super().variables + [v for optimizer in self._inner for v in optimizer.variables]

    @property
    def version(self) -> int:
        return super().version + sum(optimizer.version for optimizer in self._inner)

    @property
    def learning_rate(self) -> Any:
        raise AttributeError("A MultiOptimizer has no learning rate of its own; use those of its `optimizers`.")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError("The learning rate of a MultiOptimizer cannot be set; set those of its `optimizers`.")

    @property
    def rate_factors(self) -> Any:
        """None: the inner optimizers have rates, and factors, of their own."""
        return None

    @rate_factors.setter
    def rate_factors(self, factors: Any) -> None:
        raise AttributeError("The rate factors of a MultiOptimizer cannot be set; set those of its `optimizers`.")

    @property
    def loss_scale_factor(self) -> float | None:
        """What the loss is multiplied by, and gradients are divided by, or None. The same for all inner optimizers."""
        return self._loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: float | None) -> None:
        self._loss_scale_factor = value
        for optimizer in vars(self).get("_inner", ()):
            optimizer.loss_scale_factor = value

    def _apply_checked(self, grads: Sequence[Tensor | None], variables: Sequence[Variable]) -> None:
        """Let each inner optimizer update its variables."""
        for optimizer in self._inner:
            own = [(g, v) for g, v in zip(grads, variables) if self._inner_of[v] is optimizer]
            if own:
                optimizer._apply_checked(*map(list, zip(*own)))
        self._iterations.assign_add(1)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        for optimizer in self._inner:
            own = [v for v in var_list if self._inner_of[v] is optimizer]
            if own:
                optimizer.finalize_variable_values(own)


def check_inner(optimizer: Any, owner: str) -> None:
    """Raise ValueError unless this optimizer can work within a MultiOptimizer."""
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"The optimizer for {owner!r} must be an Optimizer, but is {optimizer!r}.")
    if isinstance(optimizer, (LossScaleOptimizer, MultiOptimizer)):
        raise ValueError(
            f"The optimizer for {owner!r} is a {type(optimizer).__name__}, which cannot work inside a MultiOptimizer."
        )
