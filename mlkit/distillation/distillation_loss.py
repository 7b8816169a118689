"""How far a student's outputs, or what lies within it, are from its teacher's."""

from typing import Any

from mlkit import losses, ops
from mlkit.core import tree
from mlkit.objects.config_object import Configurable


class DistillationLoss(Configurable):
    """Base of these losses. A subclass defines `compute_loss`.

    One with attributes `teacher_layer_name` and `student_layer_name` gets the outputs of these layers in place of the models'.
    """

    teacher_layer_name: str | None = None
    student_layer_name: str | None = None

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        """The loss, a scalar tensor, of outputs of both models: tensors, or equal structures of them."""
        raise NotImplementedError(f"{type(self).__name__} does not define `compute_loss`.")

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        """Raise ValueError unless the outputs can be compared."""
        tree.assert_same_structure(teacher_outputs, student_outputs)

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        """Raise ValueError unless the models have what the loss looks at."""


class _OfOutputs(DistillationLoss):
    """A loss for each output; None for those that do not count."""

    def _set_loss(self, loss):
        self.loss = tree.map_structure(lambda one: one if one is None else losses.get(one), loss)
        if all(one is None for one in tree.flatten(self.loss)):
            raise ValueError(f"{type(self).__name__}: `loss` must contain at least one non-`None` value.")

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        super().validate_outputs(teacher_outputs, student_outputs)
        try:
            tree.assert_same_structure(self.loss, teacher_outputs)
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: `loss` must have the structure of the outputs. {error}") from error

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        triples = zip(*map(tree.flatten, (self.loss, teacher_outputs, student_outputs)))
        return sum(self._of_one(one, a, b) for one, a, b in triples if one is not None)

    def _of_one(self, loss, teacher, student):
        return ops.mean(loss(teacher, student))


class FeatureDistillation(_OfOutputs):
    """The distance between the outputs of a layer of the teacher and one of the student.

    Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015 (arXiv:1412.6550).

    Args:
        loss: name, Loss, or a structure of them like the outputs'.
        teacher_layer_name, student_layer_name: the layers; None: the models' own outputs.
    """

    def __init__(self, loss="mse", teacher_layer_name: str | None = None, student_layer_name: str | None = None):
        self.teacher_layer_name, self.student_layer_name = teacher_layer_name, student_layer_name
        self._set_loss(loss)

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        for name, which, model in (
            (self.teacher_layer_name, "teacher", teacher),
            (self.student_layer_name, "student", student),
        ):
            if name is None:
                continue
            if getattr(model, "_graph", None) is None:
                raise ValueError(
                    f"FeatureDistillation with specific layer names requires Functional or Sequential models, but the {which} is "
                    "subclassed. Leave the names out to compare outputs, or use LogitsDistillation."
                )
            try:
                model.get_layer(name)
            except ValueError as error:
                raise ValueError(f"In {which} model: {error}") from error


class LogitsDistillation(_OfOutputs):
    """The distance between the logits of both models, divided by a temperature.

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015 (arXiv:1503.02531).

    Args:
        temperature: above 1 for softer probabilities.
        loss: name, Loss, or a structure of them like the outputs'; KL divergence is that of the softmax of the logits, times
            the temperature's square, by name too (Keras takes the name for that of the logits themselves).

    >>> import mlkit
    >>> loss = LogitsDistillation(temperature=2.0)
    >>> float(loss.compute_loss(mlkit.ops.array([[2.0, 0.0]]), mlkit.ops.array([[2.0, 0.0]])))
    0.0
    """

    def __init__(self, temperature: float = 3.0, loss="kl_divergence"):
        if isinstance(temperature, bool) or not isinstance(temperature, (int, float)) or temperature <= 0:
            raise ValueError(f"LogitsDistillation: temperature must be a number and must be positive, but got {temperature!r}.")
        self.temperature = temperature
        self._set_loss(loss)

    def _of_one(self, loss, teacher, student):
        a, b = teacher / self.temperature, student / self.temperature
        if isinstance(loss, losses.KLDivergence) or loss is losses.kl_divergence:
            return ops.mean(loss(ops.softmax(a), ops.softmax(b))) * self.temperature**2
        return ops.mean(loss(a, b))
