"""Trainer: compile, fit and the like, and the one train step that eager and compiled runs share."""

import contextlib
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlkit import data, optimizers
from mlkit.callbacks.callback import Callback
from mlkit.core.communicator import replicas
from mlkit.core.messages import explained
from mlkit.core.ownership import own_arrays
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Data, Structure
from mlkit.data.batch import unpack_x_y_sample_weight
from mlkit.layers.tracking import unique
from mlkit.metrics.metric import Metric
from mlkit.metrics.reduction import Mean
from mlkit.models import checks, loops
from mlkit.models import epochs as epoch_data
from mlkit.models.compiled import CompiledLoss, CompiledMetrics
from mlkit.models.run_hooks import RunHooks
from mlkit.models.training import Training
from mlkit.objects.serialization import deserialize_keras_object
from mlkit.objects.variable import Variable
from mlkit.ops.gradients import GradientTape

if TYPE_CHECKING:
    from mlkit.callbacks.history import History


class Trainer(RunHooks):
    """The part of `Model` that trains: what users call and override. What it holds for that is a `Training`."""

    def __init__(self):
        self.stop_training = False
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: Structure = None
        self.compiled = False
        self.run_eagerly = False
        self.steps_per_execution = 1
        self.jit_compile = "auto"
        self.history: History | None = None
        self._training = Training()

    def compile(
        self,
        optimizer: str | Mapping[str, Any] | optimizers.Optimizer | None = "rmsprop",
        loss: Structure = None,
        loss_weights: Structure = None,
        metrics: Structure = None,
        weighted_metrics: Structure = None,
        run_eagerly: bool = False,
        steps_per_execution: int | str = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Choose how to train.

        Args:
            optimizer: name or Optimizer.
            loss: name, Loss or function ``(y_true, y_pred)``; for several outputs a list or a dict by output name.
            loss_weights: factors of the outputs' losses.
            metrics, weighted_metrics: names, Metrics or functions; the latter count sample weights.
            run_eagerly: run op by op instead of as a compiled program.
            jit_compile: False does the same; "autotune" tries cuDNN's engines on a GPU, at the first step, and keeps on disk
                which were quickest.
            steps_per_execution: batches between callbacks.
            auto_scale_loss: under mixed_float16 scale the loss automatically.
        """
        if jit_compile not in (True, False, "auto", "autotune", None):
            raise ValueError(f"compile: `jit_compile` must be True, False, 'auto' or 'autotune', but got {jit_compile!r}.")
        if not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise ValueError(f"compile: `steps_per_execution` must be a positive integer, but got {steps_per_execution!r}.")
        loss_weights = own_arrays(loss_weights)
        chosen = optimizers.get(optimizer)
        if auto_scale_loss and self.dtype_policy.name == "mixed_float16" and chosen is not None:
            if not isinstance(chosen, optimizers.LossScaleOptimizer):
                chosen = optimizers.LossScaleOptimizer(chosen, name="loss_scale_optimizer")
        compiled_loss = CompiledLoss(loss, loss_weights) if loss is not None else None
        has_metrics = metrics is not None or weighted_metrics is not None
        compiled_metrics = CompiledMetrics(metrics, weighted_metrics) if has_metrics else None
        self.optimizer = chosen
        if loss is not None or self.loss is (self._training.arguments or {}).get("loss"):  # one set by the user's class stays
            self.loss = loss
        self.run_eagerly, self.steps_per_execution, self.jit_compile = run_eagerly, steps_per_execution, jit_compile
        arguments = dict(
            optimizer=optimizer, loss=loss, loss_weights=loss_weights, metrics=metrics, weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly, steps_per_execution=steps_per_execution, jit_compile=jit_compile,
        )  # fmt: skip
        self._training = Training(arguments, compiled_loss, compiled_metrics, Mean(name="loss"))
        self.stop_training = False
        self.compiled = True

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile` as plain values, the optimizer as it is now; {} for a model that is not compiled."""
        return self._training.config(self.optimizer) if self.compiled else {}

    def compile_from_config(self, config: dict[str, Any]) -> None:
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

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold: all but the compiled programs."""
        return {**self.__dict__, "_training": self._training.without_programs()}

    # ---- steps: override these ---------------------------------------------------------------------------------------

    def train_step(self, data: Structure) -> dict[str, Any]:
        """One update from a batch ``(x, y, sample_weight)`` of tensors. Returns logs: dict name -> scalar tensor."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self._compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        self._training.track(loss, x)
        variables = self.trainable_weights
        if variables:
            self.optimizer.build(variables)  # adds state for layers that were unfrozen since
            self.optimizer.apply(tape.gradient(scaled, variables), variables)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data: Structure) -> dict[str, Any]:
        """Loss and metrics of a batch, without an update. Returns logs."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        self._training.track(self._compute_loss(x, y, y_pred, sample_weight, training=False), x)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def predict_step(self, data: Structure) -> Structure:
        """Predictions for a batch."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)

    def _compute_loss(self, x: Structure, y: Structure, y_pred: Structure, sample_weight: Structure, training: bool) -> Tensor:
        """`compute_loss`, also of users whose override does not take `training`."""
        accepted = inspect.signature(self.compute_loss).parameters
        mode = {"training": training} if "training" in accepted or "kwargs" in accepted else {}
        return self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **mode)

    def compute_loss(
        self,
        x: Structure = None,
        y: Structure = None,
        y_pred: Structure = None,
        sample_weight: Structure = None,
        training: bool = True,
    ) -> Tensor:
        """The scalar to minimize: the compiled losses plus those added by layers and regularizers."""
        return self._training.total_loss(self, y, y_pred, sample_weight)

    def compute_metrics(self, x: Structure, y: Structure, y_pred: Structure, sample_weight: Structure = None) -> dict[str, Any]:
        """Update the compiled metrics with a batch and return the logs."""
        compiled = self._training.metrics
        if compiled is not None and y is not None:
            self._training.build_for(self, y, y_pred)
            compiled.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """Name -> value of the loss and all metrics since the last `reset_metrics`."""
        logs, group = {}, replicas()
        with contextlib.nullcontext() if group is None else group.reading(self.metrics_variables):  # of all in one message
            for m in self.metrics:
                value = m.result()
                logs.update(value if isinstance(value, dict) else {m.name: value})
        return logs

    # ---- loops ------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Data | None = None,
        y: Data | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: bool | int | str = "auto",
        callbacks: Callback | Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Data | None = None,
        shuffle: bool | str = True,
        class_weight: dict[Any, float] | None = None,
        sample_weight: Data | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        check: bool = True,
    ) -> "History":
        """Train for a number of epochs. Returns the `History`, whose `history` holds logs by epoch.

        Args:
            x, y, sample_weight: arrays (or structures of them), or x alone: a generator, PyDataset, DataLoader or any iterable
                of batches.
            batch_size: samples a batch, 32 by default, for arrays.
            verbose: 0 silent, 1 progress bar, 2 a line an epoch, "auto".
            validation_split: share of the arrays' end kept for validation.
            validation_data: (x, y) or (x, y, sample_weight), or a dataset.
            class_weight: dict class -> weight.
            initial_epoch, steps_per_epoch, validation_steps: as they say.
            validation_freq: epochs between validations, or the list of epochs (from 1) to validate after.
            check: look for usual mistakes in data and model first, as the method `check` does.

        Ctrl-C stops training and raises KeyboardInterrupt, as any error does: `on_train_end` is not called, the epochs that were
        finished are in `model.history`, and the model stays usable.
        """
        self._assert_compiled("fit")
        epoch_data.refuse_pairs(self, "fit", x, y)
        splits = bool(validation_split) and validation_data is None
        if splits:
            (x, y, sample_weight), validation_data = data.train_validation_split((x, y, sample_weight), validation_split)
        validation = epoch_data.for_validation(self, validation_data, validation_batch_size or batch_size, validation_steps)
        batches = epoch_data.for_training(self, x, y, sample_weight, batch_size, shuffle, steps_per_epoch, class_weight)
        epochs = loops.max_epochs(epochs)
        callbacks = loops.callback_list(self, callbacks, verbose, epochs, batches.num_batches, add_history=True)
        loops.add_standing(self, callbacks)
        self.stop_training = False
        self._training.program(self, "train")
        self._training.nonfinite = []
        self._initial_epoch = initial_epoch
        watched = checks.before_fit(self, batches.adapter, validation, splits, class_weight, callbacks) if check else None
        loops.run_epochs(self, batches, epochs, callbacks, validation, validation_freq, watched)
        return self.history

    def check(
        self,
        x: Data,
        y: Data | None = None,
        sample_weight: Data | None = None,
        validation_data: Data | None = None,
        class_weight: dict[Any, float] | None = None,
    ) -> list[str]:
        """Look for the usual mistakes before training, as `fit` does: labels out of range, logits into a loss of probabilities,
        NaN, pixels that nothing scales, metrics that do not fit the labels, a validation part with one class only, and some more.

        Args:
            x, y, sample_weight, class_weight: As for `fit`, arrays.
            validation_data: ``(x, y)`` or None.

        Returns:
            What was warned of, in words.

        Raises:
            ValueError: Training would be on nonsense: labels that no output stands for, NaN in the data.

        >>> import mlkit, numpy as np, warnings
        >>> model = mlkit.Sequential([mlkit.Input((3,)), mlkit.layers.Dense(2)])
        >>> model.compile("sgd", "sparse_categorical_crossentropy")
        >>> with warnings.catch_warnings(action="ignore"):
        ...     print(*model.check(np.eye(3), np.array([0, 1, 1])))
        the loss 'sparse_categorical_crossentropy' expects probabilities, ...
        """
        self._assert_compiled("check")
        adapter = data.get_adapter(x, y, sample_weight)
        validation = data.get_adapter(*validation_data) if validation_data is not None else None
        return checks.of_arrays(self, adapter, validation, False, class_weight)

    def evaluate(
        self,
        x: Data | None = None,
        y: Data | None = None,
        batch_size: int | None = None,
        verbose: bool | int | str = "auto",
        sample_weight: Data | None = None,
        steps: int | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics on data, in test mode: a number, a list in the order of `metrics_names`, or (return_dict) a dict."""
        if kwargs:
            raise ValueError(f"evaluate: unknown arguments {sorted(kwargs)}.")
        self._assert_compiled("evaluate")
        batches = epoch_data.for_test(self, x, y, sample_weight, batch_size, steps)
        callbacks = loops.callback_list(self, callbacks, verbose, 1, batches.num_batches)
        self.stop_evaluating = False
        self.reset_metrics()
        callbacks.on_test_begin()
        loops.require_equal_loops(batches)
        logs = loops.run_epoch(self, "test", batches.epoch(0), callbacks)
        callbacks.on_test_end(logs)
        if return_dict:
            return logs
        return loops.as_list(self, logs)

    def predict(
        self,
        x: Data,
        batch_size: int | None = None,
        verbose: bool | int | str = "auto",
        steps: int | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
    ) -> Any:
        """Predictions for data, batch by batch in test mode: a NumPy array (or structure of them)."""
        batches = epoch_data.for_predict(self, x, batch_size, steps)
        callbacks = loops.callback_list(self, callbacks, verbose, 1, batches.num_batches)
        self.stop_predicting = False
        return loops.run_predict(self, batches, callbacks)

    def train_on_batch(
        self,
        x: Data,
        y: Data | None = None,
        sample_weight: Data | None = None,
        class_weight: dict[Any, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One update on one batch; metrics are reset before. Returns the loss, or [loss, metrics...], or a dict."""
        self._assert_compiled("train_on_batch")
        return loops.on_batch(self, "train", (x, y, sample_weight), class_weight, return_dict)

    def test_on_batch(
        self, x: Data, y: Data | None = None, sample_weight: Data | None = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics of one batch. Returns the loss, or [loss, metrics...], or a dict."""
        self._assert_compiled("test_on_batch")
        return loops.on_batch(self, "test", (x, y, sample_weight), None, return_dict)

    def predict_on_batch(self, x: Data) -> Any:
        """Predictions for one batch as NumPy arrays."""
        return loops.predict_on_batch(self, x)

    # ---- metrics ---------------------------------------------------------------------------------------------------

    @property
    def metrics(self) -> list[Metric]:
        """The loss tracker, the compiled metrics as one named "compile_metrics", and those of layers."""
        return unique(self._training.all_metrics + [m for layer in self._flatten_layers() for m in layer._metrics])

    @property
    def metrics_names(self) -> list[str]:
        """Names of the metrics, the loss first."""
        return [m.name for m in self.metrics]

    @property
    def metrics_variables(self) -> list[Variable]:
        return [v for m in self.metrics for v in m.variables]

    def reset_metrics(self) -> None:
        """Set the loss tracker and all metrics back to their start."""
        for m in self.metrics:
            m.reset_state()

    def _reset_before_batch(self) -> None:
        """`reset_metrics`, without looking for metrics anew."""
        if type(self).reset_metrics is not Trainer.reset_metrics:
            return self.reset_metrics()
        for m in self._training.metrics_of(self):
            m.reset_state()

    # ---- programs --------------------------------------------------------------------------------------------------

    def make_train_function(self, force: bool = False) -> Callable[..., Any]:
        """Make the compiled train step (again, with force=True)."""
        return self._training.program(self, "train", force)

    def make_test_function(self, force: bool = False) -> Callable[..., Any]:
        return self._training.program(self, "test", force)

    def make_predict_function(self, force: bool = False) -> Callable[..., Any]:
        return self._training.program(self, "predict", force)

    @property
    def _traces(self):
        """How many programs have been traced for the steps."""
        return self._training.traces

    def _is_overridden(self, method):
        return getattr(type(self), method) is not getattr(Trainer, method)

    def _assert_compiled(self, method: str) -> None:
        if not self.compiled:
            raise explained(
                ValueError(f"{method}: the model is not compiled. Call model.compile(optimizer, loss, ...) first."),
                "fit-the-model-is-not-compiled",
            )
