"""Optimizer: everything that all optimizers share. A particular one adds its slots and its update rule."""

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from mlkit import initializers, ops
from mlkit.core.communicator import replicas
from mlkit.core.dtypes import floatx, result_type
from mlkit.core.messages import explained
from mlkit.core.op import Op
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor
from mlkit.core.typing import LearningRate, TensorLike
from mlkit.core.variable import alone
from mlkit.objects.config_object import described, init_signature, serialized
from mlkit.objects.registry import CustomObjectScope
from mlkit.objects.signatures import with_common
from mlkit.objects.variable import Variable
from mlkit.optimizers import accumulation, averages, stateless
from mlkit.optimizers.checks import check_gradients, check_options, present
from mlkit.optimizers.clipping import clip_gradients
from mlkit.optimizers.rate_factors import RateFactors
from mlkit.optimizers.schedules import LearningRateSchedule
from mlkit.optimizers.state import is_overwritten
from mlkit.optimizers.stateful import StatefulOptimizer

Init = TypeVar("Init", bound=Callable[..., None])  # an `__init__`, which type checkers go on seeing as it is written


class Optimizer(StatefulOptimizer):
    """Base class of optimizers.

    Args:
        learning_rate: float, a `LearningRateSchedule`, or a callable without arguments, which is called once a trace (let it
            return a Variable if the rate is to change).
        weight_decay: before each update weights shrink by ``weight_decay * learning_rate``.
        clipnorm, clipvalue, global_clipnorm: limits of gradients, at most one of them: the norm of each, the elements, the norm
            of all.
        use_ema: keep moving averages of the weights, ``a = ema_momentum * a + (1 - ema_momentum) * w``, which replace the
            weights after every `ema_overwrite_frequency` updates and at the end of `fit`.
        loss_scale_factor: the loss is multiplied by it, and gradients divided, against underflow in half precision.
        gradient_accumulation_steps: update once in so many steps, with the mean gradient; schedules count all steps,
            `iterations` the updates.
        name: str.
        ema_momentum: how much of the averages stays at each update.
        ema_overwrite_frequency: updates between replacements; None: at the end of `fit` alone.

    An optimizer of your own defines `build_slots`, the state it keeps for each weight, and `update_step`, its rule. Both are
    written with ops and run at once or traced alike, so no branching on values. (Overriding `build` in Keras's manner works
    too.)

    >>> from mlkit import Variable
    >>> class Momentum(Optimizer):
    ...     def __init__(self, learning_rate=0.1, beta=0.9, **options):
    ...         super().__init__(learning_rate, **options)
    ...         self.beta = beta
    ...     def build_slots(self, variables):
    ...         self.add_slots(variables, mean="zeros")
    ...     def update_step(self, gradient, variable, learning_rate):
    ...         mean = self.slot(variable, "mean")
    ...         mean.assign(self.beta * mean + gradient)
    ...         variable.assign_sub(learning_rate * mean)
    >>> w = Variable([1.0, 2.0])
    >>> _ = Momentum().apply_gradients([(ops.ones((2,)), w)])
    >>> w.numpy()
    array([0.9, 1.9], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name)
        if kwargs.pop("decay", None) is not None:
            warnings.warn(
                f"{type(self).__name__}: `decay` has no effect; pass an InverseTimeDecay schedule as `learning_rate`."
            )
        if kwargs:
            raise explained(
                ValueError(f"{type(self).__name__}: unknown arguments {sorted(kwargs)}. Argument(s) not recognized."),
                "unknown-arguments",
            )
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum, self.ema_overwrite_frequency = use_ema, ema_momentum, ema_overwrite_frequency
        self.loss_scale_factor, self.gradient_accumulation_steps = loss_scale_factor, gradient_accumulation_steps
        check_options(self)
        self._undecayed, self._undecayed_names = set(), None
        self._rate_factors = RateFactors()
        self._iterations = self.add_variable((), dtype="int", aggregation="only_first_replica", name="iteration")
        self._learning_rate = learning_rate if callable(learning_rate) else self._rate_variable(learning_rate)

    @property
    def iterations(self) -> Variable | Tensor:
        """Number of updates done (a scalar integer Variable or tensor)."""
        steps = self.gradient_accumulation_steps
        return ops.floor_divide(self._iterations, steps) if steps else self._iterations

    @property
    def learning_rate(self) -> Any:
        """The current learning rate: a Variable, or what the schedule or the callable gives. Assign it a float to change it."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            return rate(self._iterations)
        return rate() if callable(rate) else rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> Any:
        old = self._learning_rate
        if callable(value):
            self._learning_rate = value
            if isinstance(old, Variable):
                self._state.drop(old)
        elif callable(old):
            raise TypeError(
                f"The learning rate of {self.name!r} follows {old!r} and cannot be set to {value!r}. Assign another schedule, "
                "or make the optimizer with a float as `learning_rate`."
            )
        else:
            old.assign(value)

    @property
    def rate_factors(self) -> Any:
        """Factors on the learning rate: a dict Variable -> factor, or a function of the variable; None for 1 everywhere.

        Whatever the learning rate is (a number, a schedule), weights named here take it times their factor, in their updates
        and their weight decay. A factor is a number >= 0 that is fixed when a step is traced; assign anew to change it.
        `mlkit.finetuning.discriminative_rates` makes factors that fall from the head of a model to its input. They belong to
        the variables of one model, so they are not saved with the optimizer.

        >>> from mlkit import Variable, ops, optimizers
        >>> head, base = Variable([1.0]), Variable([1.0])
        >>> sgd = optimizers.SGD(0.5)
        >>> sgd.rate_factors = {base: 0.1}
        >>> _ = sgd.apply_gradients([(ops.ones((1,)), head), (ops.ones((1,)), base)])
        >>> head.numpy(), base.numpy()
        (array([0.5], dtype=float32), array([0.95], dtype=float32))
        """
        return self._rate_factors.given

    @rate_factors.setter
    def rate_factors(self, factors: Any) -> None:
        self._rate_factors = RateFactors(factors)
        self._version += 1  # compiled steps hold the old factors

    def _rate_variable(self, value: Any):
        if not isinstance(value, float):
            raise ValueError(
                f"{type(self).__name__}: `learning_rate` must be a float, a LearningRateSchedule or a callable, "
                f"but got {value!r}."
            )
        rate = initializers.Constant(value)
        return self.add_variable((), rate, dtype=floatx(), aggregation="only_first_replica", name="learning_rate")

    def apply_gradients(self, grads_and_vars: Iterable[tuple[TensorLike | None, Variable]]) -> Variable:
        """Update variables from pairs (gradient, variable). Returns the step counter."""
        pairs = list(grads_and_vars)
        if not pairs:
            raise ValueError("No gradients provided for any variable: apply_gradients got no pairs (gradient, variable).")
        self.apply(*zip(*pairs))
        return self._iterations

    def apply(self, grads: Iterable[TensorLike | None], trainable_variables: Iterable[Variable] | None = None) -> None:
        """Update variables by their gradients, and count the step.

        Args:
            grads: list of tensors, or None for variables that the loss does not depend on (warns).
            trainable_variables: the variables, in the same order; by default those that the optimizer was built for.

        Raises ValueError where no gradient is there, for a variable the optimizer does not know, and for unequal lengths.
        """
        grads = list(grads)
        if not grads:
            return
        variables = self._checked(grads, trainable_variables)
        group = replicas()
        if group is not None:  # the one place where processes that train together add their gradients
            grads = group.mean(grads, [v.path for v in variables])
        with self._alone(variables):
            self._apply_checked(grads, variables)

    def _apply_checked(self, grads: Sequence[Tensor | None], variables: Sequence[Variable]) -> None:
        """`apply`, once the arguments are known to fit together and gradients are those of the whole batch."""
        self._apply(present(grads, variables))

    def _alone(self, variables: Sequence[Variable]):
        """A block in which no other thread changes these variables and the optimizer's own."""
        return alone([*variables, *self.variables])

    def _apply(self, pairs):
        accumulates = self.gradient_accumulation_steps
        due = ops.equal((self._iterations + 1) % accumulates, 0) if accumulates else None
        for g, v in pairs:
            if is_overwritten(v):
                accumulation.overwrite(self, due, v, g) if accumulates else v.assign(g)
        pairs = [(ops.cast(g, v.dtype), v) for g, v in pairs if not is_overwritten(v)]
        if pairs:
            grads, variables = map(list, zip(*pairs))
            if self.loss_scale_factor is not None:
                grads = [g / self.loss_scale_factor for g in grads]
            if accumulates:
                accumulation.accumulate(self, due, grads, variables, self._update)
            else:
                self._update(grads, variables)
            if self.use_ema:
                averages.move(self.moving_averages, self.iterations, self.ema_momentum, self.ema_overwrite_frequency)
            for v in variables:
                if v.constraint is not None:
                    v.assign(v.constraint(v))
        self._iterations.assign_add(1)

    def _make_slots(self, variables):
        if self.use_ema:
            self.add_slots(variables, average="zeros")
        if self.gradient_accumulation_steps:
            for v in variables:
                self._state.add_slot(v, "gradient_accumulator", "zeros")
        self.build_slots(variables)

    @property
    def moving_averages(self) -> Any:
        """Pairs (weight, Variable with its moving average); none without `use_ema`, nor for frozen weights."""
        tracked = [v for v in self._state.weights if v.trainable and not is_overwritten(v)] if self.use_ema else []
        return [(v, self.slot(v, "average")) for v in tracked]

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Set the model's variables to their moving averages, if there are any; `fit` does it at its end."""
        if self.use_ema and int(self._iterations) > 0:  # before the first step the averages are 0
            averages.put_in_place(self.moving_averages, var_list, self.name)

    def stateless_apply(
        self,
        optimizer_variables: Sequence[TensorLike],
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[TensorLike],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """One update as a pure function: nothing is assigned.

        optimizer_variables, grads, trainable_variables: lists of tensors, as `variables` and the weights it was built for.
        Returns (new values of the weights, new values of the optimizer's variables).
        """
        if not self.built:
            raise ValueError(f"To call `stateless_apply`, {self.name!r} must be built: optimizer.build(trainable_variables).")
        return stateless.applied(self, self._state.weights, optimizer_variables, grads, trainable_variables)

    def _checked(self, grads: Sequence[Tensor | None], variables: Sequence[Variable]):
        if variables is None:
            if not self.built:
                raise ValueError(
                    f"{self.name}.apply: the optimizer must already be built when no variables are given. "
                    "Call optimizer.build(trainable_variables) first."
                )
            variables = self._state.weights
        variables = list(variables)
        if len(grads) != len(variables):
            raise ValueError(
                f"{self.name}.apply: got {len(grads)} gradients for {len(variables)} variables; they must pair up."
            )
        if not self.built:
            self.build(variables)
        check_gradients(self.name, grads, variables, self._state.numbers)
        return variables

    def _update(self, grads: Sequence[Tensor | None], variables: Sequence[Variable]):
        grads = self._clip_gradients(grads)
        learning_rate = self.learning_rate
        self._apply_weight_decay(variables, learning_rate)
        self.update_all(grads, variables, learning_rate)

    def update_all(self, grads: Sequence[Tensor | None], variables: Sequence[Variable], learning_rate: Any) -> None:
        """One update of all variables; gradients are clipped, weights decayed."""
        with swapped(update={}):
            for g, v in zip(grads, variables):
                self.update_step(g, v, self.once(ops.cast, self._rate_factors.rate_of(v, learning_rate), v.dtype))

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        """The rule: change `variable`, and its slots, given its gradient and a scalar rate, both of its dtype."""
        raise NotImplementedError(
            f"The optimizer {type(self).__name__} must define update_step(self, gradient, variable, learning_rate)."
        )

    def update_fused(
        self, op: Op, variable: Variable, slots: Sequence[Variable], gradient: Tensor, rate: Any, **constants: Any
    ) -> None:
        """Change a variable, and its slots of these names, by one of the ops in `mlkit/primitives/fused/update.py`."""
        changed = [variable, *(self.slot(variable, name) for name in slots)]
        results = op(*(v.tracked_value() for v in changed), gradient, ops.convert_to_tensor(rate), **constants)
        for v, new in zip(changed, results):
            v.assign(new)

    def once(self, function: Callable[..., Any], *args: Any) -> Any:
        """``function(*args)``. In one update of all variables it is called once for the same arguments."""
        results = state.update
        if results is None:
            return function(*args)
        key = function, *map(id, args)
        if key not in results:
            results[key] = args, function(*args)  # kept with the arguments, so that no others get their ids
        return results[key][1]

    def step_number(self, variable: Variable) -> Tensor:
        """Number of the present update, from 1, as a float scalar for computing with a variable.

        It is at least float32, and so is what it is combined with: half precision cannot count, nor tell 0.999 from 1.
        """
        return self.once(self._next_number, result_type(variable.dtype, "float32"))

    def _next_number(self, dtype):
        return ops.cast(self.iterations + 1, dtype)

    def _clip_gradients(self, grads: Sequence[Tensor | None]):
        return clip_gradients(grads, self.clipnorm, self.clipvalue, self.global_clipnorm)

    def _apply_weight_decay(self, variables: Sequence[Variable], learning_rate: Any):
        for v in variables:
            decay = self._decay_of(v)
            if decay is not None:
                v.assign(v - v * decay * ops.cast(self._rate_factors.rate_of(v, learning_rate), v.dtype))

    def _decay_of(self, variable: Variable):
        """The weight decay of a variable, or None."""
        excluded = variable in self._undecayed or (self._undecayed_names and self._undecayed_names.search(variable.name))
        return None if excluded else self.weight_decay

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Leave variables out of weight decay: those in `var_list`, and those whose name matches a pattern of `var_names`.

        To be called before the optimizer is built, that is before the first step; else raises ValueError.
        """
        if self.built:
            raise ValueError("`exclude_from_weight_decay()` can only be configured before the optimizer is built.")
        self._undecayed = set(var_list or ())
        self._undecayed_names = re.compile("|".join(sorted(set(var_names)))) if var_names else None

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss times `loss_scale_factor`, of which gradients are to be taken."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def assign(self, variable: Variable, value: Any) -> None:
        """``variable.assign(value)``; Keras's custom optimizers call it."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """``variable.assign_add(value)``."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """``variable.assign_sub(value)``."""
        variable.assign_sub(value)

    # ---- config ----------------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__` as plain data: the common ones, and those of the subclass kept under their own names."""
        arguments = [*init_signature(Optimizer).parameters, *init_signature(described(type(self))).parameters]
        config = {name: serialized(value) for name, value in vars(self).items() if name in arguments}
        rate = self._learning_rate
        config["learning_rate"] = float(rate.numpy()) if isinstance(rate, Variable) else serialized(rate)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "Optimizer":
        """An optimizer made from what `get_config` returned, without its state."""
        with CustomObjectScope(custom_objects):
            return super().from_config(config)


def common_options(init: Init) -> Init:
    """Decorator of an `__init__(self, learning_rate, ..., **options)`: its signature lists the options of `Optimizer` by name.

    They come after the positional arguments and before the keyword-only ones, and may be given by position as well.
    """
    *common, _ = list(init_signature(Optimizer).parameters.values())[1:]
    return with_common(init, common)
