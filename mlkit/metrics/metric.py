"""The base class of metrics: numbers accumulated over batches."""

import contextlib
import functools
import types
from collections.abc import Sequence
from typing import Any

from mlkit import initializers, ops
from mlkit.core import dtypes
from mlkit.core.communicator import replicas
from mlkit.core.names import auto_name, name_scope
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, Identifier, Shape, TensorLike
from mlkit.core.variable import alone
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.losses.loss import compute_dtype, omit_defaults
from mlkit.objects.config_object import Configurable
from mlkit.objects.variable import Variable


class Metric(Configurable):
    """Base class of metrics. One's own makes its variables in `__init__` and defines `update_state` and `result`.

    `update_state` runs inside the compiled training step: it is written in ops and changes variables only.

    Args:
        dtype: Dtype (or DTypePolicy) of the computation; `mlkit.config.floatx()` by default.
        name: Name, used in logs. By default made from the class name.

    Most are called on targets and predictions (batch, ...) and maybe weights (batch,), and give a scalar.

    Example:

    >>> import mlkit
    >>> class Largest(mlkit.metrics.Metric):
    ...     def __init__(self, name="largest", dtype=None):
    ...         super().__init__(dtype, name)
    ...         self.largest = self.add_variable((), "zeros", name="largest")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest.assign(mlkit.ops.maximum(self.largest, mlkit.ops.max(y_pred)))
    ...     def result(self):
    ...         return self.largest
    >>> m = Largest()
    >>> m.update_state(None, [1.0, 3.0])
    >>> float(m(None, [2.0]))
    3.0
    """

    unlisted = ()  # arguments that Keras's config leaves out; ours has them where they differ from the default
    _direction = None  # "up" if more is better, "down" if less is; None if it cannot be known

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        for name in ("update_state", "result", "reset_state"):
            if name in vars(cls):
                setattr(cls, name, _alone(_with_all_ranks(vars(cls)[name])))

    def __init__(self, dtype: DTypeOrPolicy = None, name: str | None = None):
        self.name = name or auto_name(type(self).__name__)
        self._dtype = compute_dtype(dtype)
        self._added = []

    @property
    def dtype(self) -> str:
        """Name of the dtype the metric is computed in."""
        return self._dtype

    @property
    def accumulator_dtype(self) -> str:
        """The dtype of sums over batches: the metric's own, but float32 for a half float, which cannot count beyond 2,048."""
        return dtypes.single_of(self.dtype) if dtypes.is_float(self.dtype) else self.dtype

    def add_variable(
        self,
        shape: Shape,
        initializer: Identifier,
        dtype: DType | None = None,
        aggregation: str | None = "sum",
        name: str | None = None,
    ) -> Variable:
        """A new state variable.

        Args:
            shape: Its shape.
            initializer: Its first value: an initializer or the name of one. `reset_state` sets it to zeros.
            dtype: `mlkit.config.floatx()` by default, but no half float, which cannot count beyond 2,048.
            aggregation: How the values of several devices become one.
            name: Name, the end of its path.
        """
        if "_added" not in vars(self):
            raise RuntimeError(f"{type(self).__name__}.__init__ must call `super().__init__()` before it adds variables.")
        dtype = dtype or dtypes.single_of(dtypes.floatx())
        with name_scope(self.name.replace("/", ">")):
            variable = Variable(
                initializers.get(initializer),
                shape=tuple(shape),
                dtype=dtype,
                trainable=False,
                autocast=False,  # counts stay exact where a metric is updated inside a layer under mixed precision
                aggregation=aggregation,
                synchronization="on_read",
                name=name,
            )
        self._added.append(variable)
        return variable

    def add_weight(
        self, shape: Shape = (), initializer: Identifier = None, dtype: DType | None = None, name: str | None = None
    ) -> Variable:
        """The same as `add_variable`, with Keras 2's defaults."""
        return self.add_variable(shape, initializer or "zeros", dtype=dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """All state variables: its own, and those of metrics kept in its attributes."""
        own, of_metrics = {}, {}
        _collect([v for k, v in vars(self).items() if type(v) not in _HOLD_NONE and k != "_init_call"], own, of_metrics)
        return list((own | of_metrics).values())

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Take in one batch: ``update_state(y_true, y_pred, sample_weight=None)`` for the metrics of a model."""
        raise NotImplementedError(f"{type(self).__name__} does not define `update_state`.")

    def result(self) -> Any:
        """The value over all batches since the last reset: a scalar, or a dict of scalars."""
        raise NotImplementedError(f"{type(self).__name__} does not define `result`.")

    def reset_state(self) -> None:
        """Forget all batches: every variable becomes zero."""
        variables = self.variables
        with alone(variables):
            for v in variables:
                v.assign(ops.zeros_like(v))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take in one batch and return the result."""
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(self, metric_variables: Sequence[TensorLike], *args: Any, **kwargs: Any) -> list[Tensor]:
        """The values of the variables after an update that starts from `metric_variables`; the metric itself is unchanged."""
        with self._holding(metric_variables) as variables:
            self.update_state(*args, **kwargs)
            return [v.value for v in variables]

    def stateless_result(self, metric_variables: Sequence[TensorLike]) -> Any:
        """The result for given values of the variables; the metric itself is unchanged."""
        with self._holding(metric_variables):
            result = self.result()
            return result.value if isinstance(result, Variable) else result

    def stateless_reset_state(self) -> list[Tensor]:
        """The values of the variables after a reset; the metric itself is unchanged."""
        with self._holding([v.value for v in self.variables]) as variables:
            self.reset_state()
            return [v.value for v in variables]

    @contextlib.contextmanager
    def _holding(self, values):
        variables = self.variables
        if len(values) != len(variables):
            raise ValueError(
                f"Metric {self.name!r}: `metric_variables` must have one tensor for each of its {len(variables)} variables, "
                f"but got {len(values)}."
            )
        with alone(variables):
            before = [v.value for v in variables]
            for v, value in zip(variables, values):
                v.assign(value)
            try:
                yield variables
            finally:
                for v, value in zip(variables, before):
                    v.assign(value)

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes, as a dict of plain values."""
        return omit_defaults({"name": self.name, "dtype": self.dtype, **super().get_config()}, self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _with_all_ranks(method):
    """A method of metrics where several processes train together: results are those of all ranks, a rank without samples adds none."""

    @functools.wraps(method)
    def run(self, *args: Any, **kwargs: Any):
        group = replicas()
        if group is None or method.__name__ == "reset_state":
            return method(self, *args, **kwargs)
        with (group.reading if method.__name__ == "result" else group.updating)(self.variables):
            out = method(self, *args, **kwargs)
            return out.value if isinstance(out, Variable) else out

    return run


def _alone(method):
    """A method of metrics during which no other thread changes their variables: an update reads several, computes, and writes them."""

    @functools.wraps(method)
    def run(self, *args: Any, **kwargs: Any):
        if state.top.trace is not None:
            return method(self, *args, **kwargs)
        with alone(self.variables):
            return method(self, *args, **kwargs)

    return run


_HOLD_NONE = frozenset(
    (str, int, float, bool, type(None), types.FunctionType)
)  # what has no variables: most attributes are such


def _collect(values, own, of_metrics):
    """Note, by id, the variables among values and in nested lists, tuples and dicts of them, and those of metrics there."""
    for value in values:
        if isinstance(value, Variable):
            own[id(value)] = value
        elif isinstance(value, Metric):
            of_metrics.update((id(v), v) for v in value.variables)
        elif isinstance(value, (list, tuple)):
            _collect(value, own, of_metrics)
        elif isinstance(value, dict):
            _collect(value.values(), own, of_metrics)
