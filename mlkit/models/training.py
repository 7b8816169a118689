"""Training: what a model holds to be trained: compiled losses and metrics, the programs of its steps, what is known of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

from mlkit import optimizers
from mlkit.core import dtypes, locks, tree
from mlkit.core.function import function
from mlkit.core.spec import Dim, Spec
from mlkit.core.state import State
from mlkit.core.tensor import Tensor
from mlkit.layers.call_info import call_info
from mlkit.metrics.reduction import Mean
from mlkit.models.compiled import CompiledLoss, CompiledMetrics
from mlkit.models.outputs import OutputNames
from mlkit.objects.keras_tensor import infer
from mlkit.objects.serialization import serialize_keras_object

_SHAPES_KEPT = 256  # of inputs for which a model remembers what it returns


@dataclasses.dataclass
class Training:
    """Made anew by each `compile`; that of a model that is not compiled has programs only.

    arguments: of `compile`. loss, metrics: what is made of them; no loss where none was given. tracker: the mean of the total
    loss. programs: step -> compiled function. The other fields are kept because they take long to find, each with what it was
    found for: outputs: key of inputs -> specs of the model's outputs; known_metrics: (traces, metrics) of the programs; frozen:
    (version of layers, flags of each). said: the warnings that `fit` has given of data and model.
    """

    arguments: dict | None = None
    loss: CompiledLoss | None = None
    metrics: CompiledMetrics | None = None
    tracker: Mean | None = None
    programs: dict[str, Callable] = dataclasses.field(default_factory=dict)
    outputs: dict[tuple, object] = dataclasses.field(default_factory=dict)
    known_metrics: tuple[int, list] | None = None
    frozen: tuple[int, tuple] | None = None
    said: set[str] = dataclasses.field(default_factory=set)

    def without_programs(self):
        """What copies and pickles hold; programs are made anew when they are needed."""
        return Training(self.arguments, self.loss, self.metrics, self.tracker)

    def config(self, optimizer):
        """The arguments of `compile` as plain values, with the optimizer as it is now."""
        if not self.arguments:
            return {}
        now, given = (isinstance(o, optimizers.LossScaleOptimizer) for o in (optimizer, self.arguments["optimizer"]))
        if now and not given:
            optimizer = optimizer.inner_optimizer  # compile() put the scaling around it, and will again
        return serialize_keras_object({**self.arguments, "optimizer": optimizer})

    # ---- metrics ---------------------------------------------------------------------------------------------------

    @property
    def compiled_metrics(self):
        """The metrics that `compile` was given."""
        return self.metrics.metrics if self.metrics is not None else []

    @property
    def all_metrics(self):
        """The loss tracker, the compiled metrics, and the trackers of the losses of several outputs."""
        found = [self.tracker] if self.tracker is not None else []
        return found + self.compiled_metrics + (self.loss.trackers if self.loss is not None else [])

    def metrics_of(self, model):
        """`model.metrics`, without looking for some in all layers anew: compiled steps know those of their trace only."""
        traces = sum(p.traces for p in self.programs.values())
        if not traces:
            return model.metrics
        if self.known_metrics is None or self.known_metrics[0] != traces:
            self.known_metrics = traces, model.metrics
        return self.known_metrics[1]

    # ---- programs --------------------------------------------------------------------------------------------------

    def program(self, model, step):
        """The step ("train", "test" or "predict") as a compiled function, or the plain method if running eagerly."""
        method = getattr(model, f"{step}_step")
        if model.run_eagerly or model.jit_compile is False:
            return method
        if step not in self.programs:

            def run(data):
                try:
                    return method(data)
                finally:
                    model._clear_losses()  # they hold symbols of this trace

            run.__name__ = f"{step}_step of {model.name!r}"
            return self.programs.setdefault(step, function(run, key=functools.partial(self._trainable_key, model)))
        return self.programs[step]

    def _trainable_key(self, model):
        """Frozen layers and the optimizer's version: a part of a compiled step's signature, so that changes take effect at
        once."""
        known = self.frozen
        if known is None or known[0] != State.layer_version:
            flags = tuple((layer.trainable, layer._frozen) for layer in model._flatten_layers())
            known = self.frozen = (State.layer_version, flags)
        return known[1], getattr(model.optimizer, "version", None)

    # ---- preparation -------------------------------------------------------------------------------------------------

    def prepare(self, model, batch, training: bool = True):
        """Before a step on NumPy data: build what is not built yet, by running the model on shapes, and check the batch. The specs
        of the model's outputs."""
        x, y, sample_weight = batch
        y_pred = self._output_specs(model, x, training)
        if y_pred is None or self.metrics is None:
            return y_pred
        if y is not None and (self.loss is not None and not self.loss.built or not self.metrics.built):
            outputs = OutputNames(y_pred, model.output_names if model._graph is not None else None)
            with locks.making:
                if self.loss is not None and not self.loss.built:
                    self.loss.build(outputs)
                if not self.metrics.built:
                    self.metrics.build(outputs, y, y_pred)
        if y is not None and self.loss is not None:
            self.loss.check_targets(y, y_pred)
        optimizer = model.optimizer
        if training and optimizer is not None and not optimizer.built and (variables := model.trainable_variables):
            optimizer.build(variables)
        return y_pred

    def _output_specs(self, model, x, training):
        """Specs of the model's outputs for NumPy inputs, kept by the inputs' shapes."""
        for oldest in list(self.outputs)[:-_SHAPES_KEPT]:
            self.outputs.pop(oldest, None)
        shapes = tuple((a.shape[1:], a.dtype.str) for a in tree.flatten(x) if a is not None)
        if (shapes, model.built) not in self.outputs:
            batch = Dim()
            symbols = tree.map_structure(lambda a: None if a is None else _symbolic(a, batch), x)
            out = infer(model, (symbols,), {"training": training} if call_info(type(model)).takes_training else {})
            model._clear_losses()
            if any(type(t) is not Tensor for t in tree.flatten(out)):
                raise ValueError(f"Model {model.name!r}: `call` must return tensors, but returned {out!r}.")
            self.outputs[shapes, model.built] = out
        return self.outputs[shapes, model.built]


def _symbolic(array, batch):
    shape = (batch, *array.shape[1:]) if array.ndim else ()
    return Tensor(Spec(shape, dtypes.name_of(array.dtype)))
