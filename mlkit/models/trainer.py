"""Trainer: compile, and the one train step that eager and compiled runs share. The loops over epochs are in `loops.py`."""

import inspect
import warnings

from mlkit import ops, optimizers
from mlkit.core import dtypes, locks, tree
from mlkit.core.function import function
from mlkit.core.ownership import own_arrays
from mlkit.core.spec import Dim, Spec
from mlkit.core.state import State
from mlkit.core.tensor import Tensor
from mlkit.data.batch import unpack_x_y_sample_weight
from mlkit.layers.call_info import call_info
from mlkit.metrics.reduction import Mean
from mlkit.models.compiled import CompiledLoss, CompiledMetrics
from mlkit.models.loops import LoopsMixin
from mlkit.models.outputs import OutputNames
from mlkit.objects.keras_tensor import infer
from mlkit.objects.serialization import deserialize_keras_object, serialize_keras_object
from mlkit.ops.gradients import GradientTape

_SHAPES_KEPT = 256  # of inputs for which a model remembers what it returns


class Trainer(LoopsMixin):
    """The part of `Model` that trains."""

    def __init__(self):
        self.stop_training = False
        self.optimizer = None
        self.loss = None
        self.compiled = False
        self.run_eagerly = False
        self.steps_per_execution = 1
        self.jit_compile = "auto"
        self.history = None
        self._training = {}  # what compile made: compiled loss and metrics, loss tracker, programs, arguments

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
        auto_scale_loss=True,
    ):
        """Choose how to train.

        optimizer: name or Optimizer. loss: name, Loss or function ``(y_true, y_pred)``; for several outputs a list or a dict by
        output name. loss_weights: factors of the outputs' losses. metrics, weighted_metrics: names, Metrics or functions; the
        latter count sample weights. run_eagerly: run op by op instead of as a compiled program (jit_compile=False does the
        same). steps_per_execution: batches between callbacks. auto_scale_loss: under mixed_float16 scale the loss
        automatically.
        """
        if jit_compile not in (True, False, "auto", None):
            raise ValueError(f"compile: `jit_compile` must be True, False or 'auto', but got {jit_compile!r}.")
        if not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise ValueError(f"compile: `steps_per_execution` must be a positive integer, but got {steps_per_execution!r}.")
        loss_weights = own_arrays(loss_weights)
        chosen = optimizers.get(optimizer)
        if auto_scale_loss and self.dtype_policy.name == "mixed_float16" and chosen is not None:
            if not isinstance(chosen, optimizers.LossScaleOptimizer):
                chosen = optimizers.LossScaleOptimizer(chosen, name="loss_scale_optimizer")
        compiled_loss = CompiledLoss(loss, loss_weights) if loss is not None else None
        compiled_metrics = CompiledMetrics(metrics, weighted_metrics)
        self.optimizer, self.loss = chosen, loss
        self.run_eagerly, self.steps_per_execution, self.jit_compile = run_eagerly, steps_per_execution, jit_compile
        self._training = dict(
            loss=compiled_loss,
            metrics=compiled_metrics,
            tracker=Mean(name="loss"),
            arguments=dict(
                optimizer=optimizer, loss=loss, loss_weights=loss_weights, metrics=metrics, weighted_metrics=weighted_metrics,
                run_eagerly=run_eagerly, steps_per_execution=steps_per_execution, jit_compile=jit_compile,
            ),
        )  # fmt: skip
        self.stop_training = False
        self.compiled = True

    def get_compile_config(self):
        """The arguments of `compile` as plain values, the optimizer as it is now; {} for a model that is not compiled."""
        arguments = self._training.get("arguments") if self.compiled else None
        if not arguments:
            return {}
        optimizer = self.optimizer
        now, given = (isinstance(o, optimizers.LossScaleOptimizer) for o in (optimizer, arguments["optimizer"]))
        if now and not given:
            optimizer = optimizer.inner_optimizer  # compile() put the scaling around it, and will again
        return serialize_keras_object({**arguments, "optimizer": optimizer})

    def compile_from_config(self, config):
        """Compile with what `get_compile_config` returned, and make the optimizer's variables.

        A model with a `compile` of its own is left alone, with a warning: what the arguments mean is its own matter.
        """
        if type(self).compile is not Trainer.compile:
            warnings.warn(
                f"`compile()` was not called as part of model loading because the model's `compile()` method is custom: "
                f"{type(self).__name__} overrides it. Override get_compile_config() and compile_from_config(config) too, or "
                "call compile() after loading.",
                stacklevel=2,
            )
            return
        self.compile(**deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def __getstate__(self):
        """What copies and pickles hold: all but the compiled programs, which are made anew when they are needed."""
        return {**self.__dict__, "_training": {k: v for k, v in self._training.items() if k != "programs"}}

    # ---- steps: override these ---------------------------------------------------------------------------------------

    def train_step(self, data):
        """One update from a batch ``(x, y, sample_weight)`` of tensors. Returns logs: dict name -> scalar tensor."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self._compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        self._track_loss(loss, x)
        variables = self.trainable_weights
        if variables:
            self.optimizer.build(variables)  # adds state for layers that were unfrozen since
            self.optimizer.apply(tape.gradient(scaled, variables), variables)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data):
        """Loss and metrics of a batch, without an update. Returns logs."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        self._track_loss(self._compute_loss(x, y, y_pred, sample_weight, training=False), x)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def predict_step(self, data):
        """Predictions for a batch."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)

    def _compute_loss(self, x, y, y_pred, sample_weight, training):
        """`compute_loss`, also of users whose override does not take `training`."""
        accepted = inspect.signature(self.compute_loss).parameters
        mode = {"training": training} if "training" in accepted or "kwargs" in accepted else {}
        return self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **mode)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The scalar to minimize: the compiled losses plus those added by layers and regularizers."""
        compiled = self._training.get("loss")
        total = compiled(y, y_pred, sample_weight) if compiled is not None and y is not None else None
        for extra in self.losses:
            extra = ops.cast(extra, "float32")
            total = extra if total is None else total + extra
        if total is None:
            if compiled is not None:
                raise ValueError(
                    "No loss to compute: the model has a loss, but no targets `y` were given and no layer added a loss. Pass "
                    "`y`."
                )
            if self._training.get("arguments", {}).get("loss") is None and not self.trainable_variables:
                return ops.zeros(())
            raise ValueError("No loss to compute. Pass `loss` to compile(), or add losses in layers with add_loss().")
        return total

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Update the compiled metrics with a batch and return the logs."""
        compiled = self._training.get("metrics")
        if compiled is not None and compiled.built and y is not None:
            compiled.update(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self):
        """Name -> value of the loss and all metrics since the last `reset_metrics`."""
        compiled = self._training.get("metrics")
        logs = {}
        shared = set(map(id, self._compiled_metrics()))
        for m in self.metrics:
            if id(m) not in shared:
                value = m.result()
                logs.update(value if isinstance(value, dict) else {m.name: value})
        if compiled is not None:
            logs.update(compiled.result())
        return logs

    def _track_loss(self, loss, x):
        leaves = [t for t in tree.flatten(x) if t is not None and getattr(t, "shape", ())]
        self._training["tracker"].update_state(loss, sample_weight=leaves[0].shape[0] if leaves else 1)

    # ---- metrics ---------------------------------------------------------------------------------------------------

    def _compiled_metrics(self):
        compiled = self._training.get("metrics")
        return compiled.metrics if compiled is not None else []

    @property
    def metrics(self):
        """The loss tracker, the compiled metrics, and those of layers."""
        found = [self._training["tracker"]] if "tracker" in self._training else []
        compiled_loss = self._training.get("loss")
        found += self._compiled_metrics()
        if compiled_loss is not None:
            found += compiled_loss.trackers
        found += [m for layer in self._flatten_layers() for m in layer._metrics]
        return list({id(m): m for m in found}.values())

    @property
    def metrics_names(self):
        """Names of the metrics, the loss first."""
        return [m.name for m in self.metrics]

    @property
    def metrics_variables(self):
        return [v for m in self.metrics for v in m.variables]

    def reset_metrics(self):
        """Set the loss tracker and all metrics back to their start."""
        for m in self.metrics:
            m.reset_state()

    def _known_metrics(self):
        """`metrics`, without looking for some in all layers anew: compiled steps know those of their trace only."""
        traces = sum(p.traces for p in self._training.get("programs", {}).values())
        if not traces:
            return self.metrics
        known = self._training.get("known_metrics")
        if known is None or known[0] != traces:
            known = self._training["known_metrics"] = traces, self.metrics
        return known[1]

    def _reset_before_batch(self):
        if type(self).reset_metrics is not Trainer.reset_metrics:
            return self.reset_metrics()
        for m in self._known_metrics():
            m.reset_state()

    # ---- programs --------------------------------------------------------------------------------------------------

    def _program(self, step):
        """The step ("train", "test" or "predict") as a compiled function, or the plain method if running eagerly."""
        programs = self._training.setdefault("programs", {})
        method = getattr(self, f"{step}_step")
        if self.run_eagerly or self.jit_compile is False:
            return method
        if step not in programs:

            def run(data):
                try:
                    return method(data)
                finally:
                    self._clear_losses()  # they hold symbols of this trace

            run.__name__ = f"{step}_step of {self.name!r}"
            return programs.setdefault(step, function(run, key=self._trainable_key))
        return programs[step]

    def make_train_function(self, force=False):
        """Make the compiled train step (again, with force=True)."""
        return self._make("train", force)

    def make_test_function(self, force=False):
        return self._make("test", force)

    def make_predict_function(self, force=False):
        return self._make("predict", force)

    def _make(self, step, force):
        if force:
            self._training.get("programs", {}).pop(step, None)
        return self._program(step)

    def _trainable_key(self):
        """Frozen layers and the optimizer's version: a part of a compiled step's signature, so that changes take effect at
        once."""
        known = self._training.get("frozen")
        if known is None or known[0] != State.layer_version:
            flags = tuple((layer.trainable, layer._frozen) for layer in self._flatten_layers())
            known = self._training["frozen"] = (State.layer_version, flags)
        return known[1], getattr(self.optimizer, "version", None)

    # ---- preparation -------------------------------------------------------------------------------------------------

    def _assert_compiled(self, method):
        if not self.compiled:
            raise ValueError(f"{method}: the model is not compiled. Call model.compile(optimizer, loss, ...) first.")

    def _prepare(self, data, training=True):
        """Before a step on NumPy data: build what is not built yet, by running the model on shapes, and check the batch."""
        x, y, sample_weight = data
        y_pred = self._output_specs(x, training)
        compiled_loss, compiled_metrics = self._training.get("loss"), self._training.get("metrics")
        if y_pred is None or not self._training:
            return
        if y is not None and (compiled_loss is not None and not compiled_loss.built or not compiled_metrics.built):
            outputs = OutputNames(y_pred, self.output_names if self._graph is not None else None)
            with locks.making:
                if compiled_loss is not None and not compiled_loss.built:
                    compiled_loss.build(outputs)
                if not compiled_metrics.built:
                    compiled_metrics.build(outputs, y, y_pred)
        if y is not None and compiled_loss is not None:
            compiled_loss.check_targets(y, y_pred)
        if training and self.optimizer is not None and not self.optimizer.built and (variables := self.trainable_variables):
            self.optimizer.build(variables)

    def _output_specs(self, x, training):
        """Specs of the model's outputs for NumPy inputs, kept by the inputs' shapes."""
        kept = self._training.setdefault("outputs", {})
        for oldest in list(kept)[:-_SHAPES_KEPT]:
            kept.pop(oldest, None)
        key = (tuple((a.shape[1:], a.dtype.str) for a in tree.flatten(x) if a is not None), self.built)
        if key not in kept:
            batch = Dim()
            symbols = tree.map_structure(lambda a: None if a is None else _symbolic(a, batch), x)
            out = infer(self, (symbols,), {"training": training} if _takes_training(self) else {})
            self._clear_losses()
            if any(type(t) is not Tensor for t in tree.flatten(out)):
                raise ValueError(f"Model {self.name!r}: `call` must return tensors, but returned {out!r}.")
            kept[(key[0], self.built)] = out
            return out
        return kept[key]


def _symbolic(array, batch):
    shape = (batch, *array.shape[1:]) if array.ndim else ()
    return Tensor(Spec(shape, dtypes.name_of(array.dtype)))


def _takes_training(model):
    return call_info(type(model)).takes_training
