"""Training: what a model holds to be trained: compiled losses and metrics, the programs of its steps, what is known of them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

from mlkit import ops, optimizers
from mlkit.core import dtypes, locks, tree
from mlkit.core.communicator import replicas
from mlkit.core.function import function
from mlkit.core.messages import explained
from mlkit.core.spec import Dim, Spec
from mlkit.core.state import State, state
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure
from mlkit.layers.call_info import call_info
from mlkit.metrics.metric import Metric
from mlkit.metrics.reduction import Mean
from mlkit.models.compiled import CompiledLoss, CompiledMetrics
from mlkit.models.outputs import OutputNames
from mlkit.models.run_state import Run
from mlkit.objects.keras_tensor import infer
from mlkit.objects.serialization import serialize_keras_object

_SHAPES_KEPT = 256  # of inputs for which a model remembers what it returns


@dataclasses.dataclass
class Training:
    """Made anew by each `compile`; that of a model that is not compiled has programs only.

    arguments: of `compile`. loss, metrics: what is made of them; None where none were given. tracker: the mean of the total
    loss. programs: step -> compiled function. The other fields are kept because they take long to find, each with what it was
    found for: outputs: key of inputs -> specs of the model's outputs; known_metrics: (traces, metrics) of the programs; frozen:
    (version of layers, flags of each); distributed_by: the Distribution that has checked how the variables lie. compared: the
    `Replicas` and steps whose graphs all ranks have compared. run: the `fit` under way. nonfinite: the batches up to the one with which
    the loss was no number, from the weights that the model has since. said: the warnings that `fit` has given of data and model.
    """

    arguments: dict | None = None
    loss: CompiledLoss | None = None
    metrics: CompiledMetrics | None = None
    tracker: Mean | None = None
    programs: dict[str, Callable] = dataclasses.field(default_factory=dict)
    outputs: dict[tuple, object] = dataclasses.field(default_factory=dict)
    known_metrics: tuple[int, list] | None = None
    frozen: tuple[int, tuple] | None = None
    distributed_by: Any = None
    compared: set[tuple[Any, str]] = dataclasses.field(default_factory=set)
    run: Run | None = None
    nonfinite: list[Any] = dataclasses.field(default_factory=list)
    said: set[str] = dataclasses.field(default_factory=set)

    def without_programs(self) -> Training:
        """What copies and pickles hold; programs are made anew when they are needed."""
        return Training(self.arguments, self.loss, self.metrics, self.tracker)

    def config(self, optimizer: Any) -> dict[str, Any]:
        """The arguments of `compile` as plain values, with the optimizer as it is now."""
        if not self.arguments:
            return {}
        now, given = (isinstance(o, optimizers.LossScaleOptimizer) for o in (optimizer, self.arguments["optimizer"]))
        if now and not given:
            optimizer = optimizer.inner_optimizer  # compile() put the scaling around it, and will again
        return serialize_keras_object({**self.arguments, "optimizer": optimizer})

    # ---- the loss --------------------------------------------------------------------------------------------------

    def total_loss(self, model: Any, y: Structure, y_pred: Structure, sample_weight: Structure) -> Tensor:
        """The compiled losses plus those added by layers and regularizers."""
        total = None
        if self.loss is not None and y is not None:
            self.build_for(model, y, y_pred)
            total = self.loss(y, y_pred, sample_weight)
        for extra in model.losses:
            extra = ops.cast(extra, "float32")
            total = extra if total is None else total + extra
        if total is not None:
            return total
        if self.loss is not None:
            raise explained(
                ValueError(
                    "No loss to compute: the model has a loss, but no targets `y` were given and no layer added a loss. Pass `y`."
                ),
                "no-loss-to-compute-the-model-has-a-loss-but-no-targets-y-were-given",
            )
        if not model.trainable_variables:
            return ops.zeros(())
        raise ValueError("No loss to compute. Pass `loss` to compile(), or add losses in layers with add_loss().")

    def track(self, loss: Tensor, x: Structure) -> None:
        """Add the loss of a batch to the mean of the epoch."""
        leaves = [t for t in tree.flatten(x) if t is not None and getattr(t, "shape", ())]
        self.tracker.update_state(loss, sample_weight=leaves[0].shape[0] if leaves else 1)

    # ---- metrics ---------------------------------------------------------------------------------------------------

    @property
    def all_metrics(self) -> list[Metric]:
        """The loss tracker, the compiled metrics as one, and the trackers of the losses of several outputs."""
        found = [m for m in (self.tracker, self.metrics) if m is not None]
        return found + (self.loss.trackers if self.loss is not None else [])

    @property
    def traces(self) -> int:
        """How many programs have been traced for the steps."""
        return sum(p.traces for p in self.programs.values())

    def metrics_of(self, model: Any) -> list[Metric]:
        """`model.metrics`, without looking for some in all layers anew: compiled steps know those of their trace only."""
        traces = self.traces
        if not traces:
            return model.metrics
        if self.known_metrics is None or self.known_metrics[0] != traces:
            self.known_metrics = traces, model.metrics
        return self.known_metrics[1]

    def log_names(self, model: Any) -> list[str]:
        """The names of a step's logs, as far as its metrics are known."""
        found = [m for one in self.metrics_of(model) for m in getattr(one, "metrics", [one])]
        return list(dict.fromkeys(m.name for m in found))

    # ---- programs --------------------------------------------------------------------------------------------------

    def program(self, model: Any, step: str, anew: bool = False) -> Callable[..., Any]:
        """The step ("train", "test" or "predict") as a compiled function, or the plain method if running eagerly."""
        if anew:
            self.programs.pop(step, None)
        if step == "train" and self.run is not None and self.run.step is not None:
            return self.run.step
        return self.own_program(model, step)

    def own_program(self, model: Any, step: str) -> Callable[..., Any]:
        """The same, whatever runs in place of the train step."""
        is_eager = model.run_eagerly or model.jit_compile is False
        if not is_eager and step in self.programs:
            return self.programs[step]
        method = self.on_all_ranks(model, step, step_method(model, step))
        if is_eager:
            return method

        def run(data: Any) -> Any:
            if state.top.trace is not None:
                state.top.trace.graph.is_tuned = model.jit_compile == "autotune"
            try:
                return method(data)
            finally:
                model._clear_losses()  # they hold symbols of this trace

        run.__name__ = f"{step}_step of {model.name!r}"
        return self.programs.setdefault(step, function(run, key=functools.partial(self.trainable_key, model)))

    def on_all_ranks(self, model: Any, step: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """The step as one of several processes runs it that train together."""

        def run(data: Any) -> Any:
            group = replicas()
            if group is None:
                return method(data)
            metrics = {id(v) for v in model.metrics_variables} if step == "train" else ()
            moving = [v for v in model.non_trainable_variables if id(v) not in metrics] if step == "train" else ()
            with group.step(moving):
                out = method(data)
            if state.top.trace is not None and (group, step) not in self.compared:
                self.compared.add((group, step))
                group.check_calls(state.top.trace.graph)
            return out

        return run

    def trainable_key(self, model: Any) -> tuple[Any, ...]:
        """Frozen layers and the optimizer's version: a part of a compiled step's signature, so that changes take effect at
        once."""
        known = self.frozen
        if known is None or known[0] != State.layer_version:
            flags = tuple((layer.trainable, layer._frozen) for layer in model._flatten_layers())
            known = self.frozen = (State.layer_version, flags)
        group = replicas()
        return known[1], getattr(model.optimizer, "version", None), group and (group.samples, group.share)

    # ---- preparation -------------------------------------------------------------------------------------------------

    def prepare(self, model: Any, batch: tuple[Any, ...], step: str = "train", exact: bool = False) -> None:
        """Before a step on NumPy data: build what is not built yet, by running the model on shapes, and check the batch. The specs
        of the model's outputs; None where a step of a user's own needs none. exact: for this number of samples and no other."""
        (x, y, _), y_pred = batch, None
        if self._asks_for_outputs(model, step):
            y_pred = self._output_specs(model, x, step == "train", exact)
            if step != "predict" and y_pred is not None and y is not None:
                self.build_for(model, y, y_pred)
                if self.loss is not None:
                    self.loss.check_targets(y, y_pred)
        optimizer = model.optimizer
        if step == "train" and optimizer is not None and not optimizer.built and (variables := model.trainable_variables):
            optimizer.build(variables)
        if state.distribution is not None and state.distribution is not self.distributed_by:
            state.distribution.check(model)
            self.distributed_by = state.distribution
        return y_pred

    def build_for(self, model: Any, y: Structure, y_pred: Structure) -> None:
        """Resolve losses and metrics for these targets and predictions (anything with shapes), where that is not done."""
        unbuilt = [part for part in (self.loss, self.metrics) if part is not None and not part.built]
        if unbuilt:
            outputs = OutputNames(y_pred, model.output_names if model._graph is not None else None)
            with locks.making:
                for part in unbuilt:
                    if not part.built:
                        part.build(outputs, y, y_pred)

    def _asks_for_outputs(self, model: Any, step: str):
        """Whether the model's outputs have to be known before a step. One of a user's own need not call the model, which need
        not have a `call`."""
        if not model._is_overridden(f"{step}_step"):
            return True
        unbuilt = self.metrics is not None and not self.metrics.built
        return model._has_call and (not model.built or self.loss is not None or unbuilt)

    def _output_specs(self, model: Any, x: Structure, training: bool, exact: bool) -> Structure:
        """Specs of the model's outputs for NumPy inputs, kept by the inputs' shapes."""
        leaves = [a for a in tree.flatten(x) if a is not None]
        lengths = [a.shape[:1] for a in leaves]  # inputs of one length share a size that is not known
        shapes = tuple([(a.shape[1:], a.dtype) for a in leaves])
        key = shapes, tuple(lengths if exact else [lengths.index(n) for n in lengths]), model.built
        if key not in self.outputs:
            for oldest in list(self.outputs)[: 1 - _SHAPES_KEPT]:
                self.outputs.pop(oldest, None)
            sizes = {length: length if exact else (Dim(),) for length in lengths if length}
            symbols = tree.map_structure(lambda a: None if a is None else _symbolic(a, sizes.get(a.shape[:1], ())), x)
            out = infer(model, (symbols,), {"training": training} if call_info(type(model)).takes_training else {})
            model._clear_losses()
            if any(type(t) is not Tensor for t in tree.flatten(out)):
                raise ValueError(f"Model {model.name!r}: `call` must return tensors, but returned {out!r}.")
            self.outputs[(*key[:-1], model.built)] = out  # it may have been built just now
            return out
        return self.outputs[key]


def step_method(model: Any, step: str):
    """The model's `train_step`, `test_step` or `predict_step`.

    Raises TypeError for one that is written for Keras's JAX backend and takes the variables of the model as its first argument.
    """
    name = f"{step}_step"
    method = getattr(model, name)
    if model._is_overridden(name):
        needed = [
            p.name for p in inspect.signature(method).parameters.values() if p.default is p.empty and p.kind < p.VAR_POSITIONAL
        ]
        if len(needed) == 2:
            raise TypeError(
                f"{type(model).__name__}.{name}(self, {', '.join(needed)}) is written for Keras's JAX backend, where a step takes "
                f"and returns the variables. Here variables are changed in place: write {name}(self, data), with the gradients from "
                "mlkit.GradientTape, and return the logs."
            )
    return method


def _symbolic(array, length):
    dtype = dtypes.STRING if dtypes.is_string(array) else dtypes.name_of(array.dtype)
    return Tensor(Spec((*length, *array.shape[1:]), dtype))
