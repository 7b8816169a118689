"""Distiller: a model that trains a student by its targets and by its teacher."""

from typing import Any

from mlkit import losses, ops
from mlkit.core import tree
from mlkit.core.typing import Structure
from mlkit.metrics import Mean
from mlkit.models.model import Model
from mlkit.objects.serialization import deserialize_keras_object, serialize_keras_object


class Distiller(Model):
    """A student trained to fit targets and its teacher's outputs. As a function it is the student.

    The loss is ``student_loss_weight * loss(y, student) + (1 - student_loss_weight) * (sum of weighted distillation losses)``. The
    teacher is frozen, and runs as in inference.

    Args:
        teacher, student: models with inputs and outputs of equal shapes.
        distillation_losses: a DistillationLoss or a list of them.
        distillation_loss_weights: a factor for each.
        student_loss_weight: from 0 to 1.
        name: of the model.
    """

    def __init__(
        self,
        teacher,
        student,
        distillation_losses,
        distillation_loss_weights=None,
        student_loss_weight: float = 0.5,
        name: str | None = "distiller",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        _check_models(teacher, student)
        if isinstance(student_loss_weight, bool) or not isinstance(student_loss_weight, (int, float)):
            raise ValueError(f"student_loss_weight must be a number, got {type(student_loss_weight)}")
        if not 0.0 <= student_loss_weight <= 1.0:
            raise ValueError(f"student_loss_weight must be between 0.0 and 1.0, got {student_loss_weight}")
        if distillation_losses is None:
            raise ValueError("'distillation_losses' cannot be `None`. Provide a DistillationLoss, or a list of them.")
        several = isinstance(distillation_losses, (list, tuple))
        self.distillation_losses = list(distillation_losses) if several else [distillation_losses]
        weights = (
            distillation_loss_weights
            if several and distillation_loss_weights is not None
            else [1.0] * len(self.distillation_losses)
        )
        if len(weights) != len(self.distillation_losses):
            raise ValueError(
                f"Number of distillation_loss_weights ({len(weights)}) must match number of distillation_losses "
                f"({len(self.distillation_losses)})"
            )
        self.teacher, self.student = teacher, student
        self.distillation_loss_weights, self.student_loss_weight = list(weights), student_loss_weight
        for one in self.distillation_losses:
            one.validate_model_compatibility(teacher, student)
        teacher.trainable = False
        self._teacher_features = _features(teacher, [one.teacher_layer_name for one in self.distillation_losses])
        self._student_features = _features(student, [one.student_layer_name for one in self.distillation_losses])
        self.student_loss_tracker = Mean(name="student_loss")
        self.distillation_loss_tracker = Mean(name="distillation_loss")
        self.total_loss_tracker = Mean(name="total_loss")
        self._student_loss: Structure = None
        if teacher.built and student.built:
            self.built = True

    def compile(self, optimizer: Any = "adam", loss: Structure = None, metrics: Structure = None, **kwargs: Any) -> None:
        """Choose how to train the student. loss: of its targets. The other arguments are those of `Model.compile`."""
        if loss is None:
            raise ValueError("'loss' cannot be `None`.")
        if metrics is not None and not isinstance(metrics, (list, tuple)):
            raise ValueError(f"metrics must be a list or tuple, got {type(metrics)}")
        chosen = tree.map_structure(lambda one: one if one is None else losses.get(one), loss)
        super().compile(optimizer=optimizer, loss=None, metrics=metrics, **kwargs)
        self._student_loss = chosen
        self._training.arguments["loss"] = loss

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what `get_compile_config` returned."""
        self.compile(**deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def call(self, inputs: Any, training: bool | None = None, mask: Structure = None) -> Any:
        return self.student(inputs, training=training)

    def compute_loss(
        self,
        x: Structure = None,
        y: Structure = None,
        y_pred: Structure = None,
        sample_weight: Structure = None,
        training: bool = True,
    ) -> Any:
        """The weighted sum of the student's loss and the distillation losses."""
        y_pred = self(x, training=training) if y_pred is None else y_pred
        weight = self.student_loss_weight
        own = self._loss_of_targets(y, y_pred, sample_weight) if weight > 0 and y is not None else ops.zeros(())
        from_teacher = self._loss_to_teacher(x, y_pred, training) if weight < 1 else ops.zeros(())
        total = weight * own + (1.0 - weight) * from_teacher
        self.student_loss_tracker.update_state(own)
        self.distillation_loss_tracker.update_state(from_teacher)
        self.total_loss_tracker.update_state(total)
        return total

    def _loss_of_targets(self, y, y_pred, sample_weight):
        if sample_weight is not None:
            raise ValueError("Distiller: `sample_weight` and `class_weight` are not supported, as in Keras.")
        pairs = zip(*map(tree.flatten, (self._student_loss, y, y_pred)))
        return sum(ops.mean(loss(target, prediction)) for loss, target, prediction in pairs if loss is not None)

    def _loss_to_teacher(self, x, y_pred, training):
        theirs = tree.map_structure(ops.stop_gradient, _outputs(self.teacher, self._teacher_features, x, None, training=False))
        ours = _outputs(self.student, self._student_features, x, y_pred, training=training)
        total = ops.zeros(())
        for one, weight in zip(self.distillation_losses, self.distillation_loss_weights):
            pair = theirs[one.teacher_layer_name], ours[one.student_layer_name]
            one.validate_outputs(*pair)
            value = one.compute_loss(*pair)
            if getattr(value, "shape", ()) != ():
                raise ValueError(
                    f"Distillation loss {type(one).__name__} returned a non-scalar loss with shape {value.shape}. `compute_loss` "
                    "must return a scalar tensor."
                )
            total = total + weight * value
        return total

    def get_config(self) -> dict[str, Any]:
        return {
            **self._common_config(),
            "teacher": serialize_keras_object(self.teacher),
            "student": serialize_keras_object(self.student),
            "distillation_losses": [serialize_keras_object(one) for one in self.distillation_losses],
            "distillation_loss_weights": self.distillation_loss_weights,
            "student_loss_weight": self.student_loss_weight,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "Distiller":
        objects = ("teacher", "student", "distillation_losses")
        made = {key: deserialize_keras_object(config[key], custom_objects=custom_objects) for key in objects}
        return cls(**{**config, **made})


def _check_models(teacher, student):
    for model, which in ((teacher, "Teacher"), (student, "Student")):
        if not isinstance(model, Model):
            raise ValueError(f"{which} must be a Model, got {type(model)}")
    if teacher._graph is None or student._graph is None:
        return
    for what, a, b in (("input", teacher.inputs, student.inputs), ("output", teacher.outputs, student.outputs)):
        tree.assert_same_structure(a, b)
        for one, two in zip(a, b):
            same = len(one.shape) == len(two.shape) and all(None in (m, n) or m == n for m, n in zip(one.shape, two.shape))
            if not same:
                raise ValueError(
                    f"Teacher and student {what} shapes are incompatible. Teacher: {one.shape}, Student: {two.shape}."
                )
            if one.dtype != two.dtype:
                raise ValueError(f"Teacher and student {what} dtypes must match. Teacher: {one.dtype}, Student: {two.dtype}.")


def _features(model, names):
    """A model of the outputs of these layers and its own; None where no layers are named."""
    names = list(dict.fromkeys(name for name in names if name is not None))
    if not names:
        return None
    outputs = {name: model.get_layer(name).output for name in names}
    return Model(model._graph._inputs_struct, {"": model._graph._outputs_struct, **outputs}, name=f"{model.name}_features")


def _outputs(model, features, x, known, training):
    """Name of a layer -> its outputs; None -> the model's own."""
    if features is None:
        return {None: model(x, training=training) if known is None else known}
    found = features(x, training=training)
    own = found.pop("")
    return {**found, None: own if known is None else known}
