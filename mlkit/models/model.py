"""Model: a layer that is trained, evaluated, asked for predictions, summarized and saved."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from mlkit import ops
from mlkit.core import dtypes, tree
from mlkit.core.deferred import Deferred
from mlkit.core.typing import Data, FilePath, Structure
from mlkit.data.batch import to_numpy
from mlkit.layers.layer import Layer
from mlkit.models import saving
from mlkit.models.function import build_by_calling, is_functional_call, split_functional, with_arrays
from mlkit.models.graph_model import GraphModel
from mlkit.models.host_part import Prepared
from mlkit.models.layer_graph import LayerGraph
from mlkit.models.trainer import Trainer
from mlkit.objects.keras_tensor import KerasTensor, has_symbol
from mlkit.objects.serialization import serialize_keras_object
from mlkit.utils.console import print_message

if TYPE_CHECKING:
    from mlkit.models.image_task import ImageTask
    from mlkit.models.memory import MemoryReport

_export = Deferred("mlkit.export.model_export")  # these take their time to import, and are seldom needed
_answers, json = Deferred("mlkit.models.answers"), Deferred("json")
freezing, memory = Deferred("mlkit.models.freezing"), Deferred("mlkit.models.memory")
state_trees, summary = Deferred("mlkit.models.state_tree"), Deferred("mlkit.models.summary")

__all__ = ["Functional", "Model"]


class Model(Trainer, GraphModel):
    """A trainable model, made in one of two ways.

    From KerasTensors: ``Model(inputs, outputs)`` holds the layers between them. By subclassing: layers are set in `__init__`
    and used in ``call(self, inputs)``. `train_step`, `test_step`, `predict_step` and `compute_loss` may be overridden.

    >>> import mlkit
    >>> x = mlkit.Input((4,))
    >>> model = mlkit.Model(x, mlkit.layers.Dense(2)(x))
    >>> model.count_params()
    10
    """

    _not_owned = Layer._not_owned | {"optimizer", "loss", "history", "_training", "_graph"}
    _repeats = frozenset(("_graph", "_graph_layers", "_stack", "_programs", "_training", "operations", "history"))
    _image_task: "ImageTask | None" = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if cls is Model and is_functional_call(args, kwargs):
            cls = Functional
        return Layer.__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any):
        inputs, outputs, kwargs = split_functional(args, kwargs)
        Layer.__init__(self, **kwargs)
        Trainer.__init__(self)
        if inputs is not None:
            self._set_graph(inputs, outputs)

    def _set_graph(self, inputs, outputs, any_sizes=False):
        self._graph = LayerGraph(inputs, outputs, self.name, any_sizes)
        self._graph_layers = self._graph.layers  # what a model owns is found among its attributes
        self.built = True

    # ---- strings: what runs on the host, before the program ------------------------------------------------------------

    @property
    def _takes_strings(self) -> bool:
        """Whether the model can be called on strings: where it begins with layers that turn them into numbers."""
        return self._has_host_part

    @property
    def _has_host_part(self):
        return self._graph is not None and self._graph.host is not None

    def _prepared(self, inputs: Structure) -> Structure:
        """Inputs as they come into the model's program, after layers that look at strings or single values; other models' inputs as
        they are. The model can be called on either."""
        if not self._has_host_part or type(inputs) is Prepared:
            return inputs
        return self._graph.prepared(with_arrays(inputs))

    def _prepared_batch(self, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        """The `(x, y, sample_weight)` of NumPy arrays that a step gets."""
        if not self._has_host_part:
            return batch
        x, *rest = batch
        return tree.map_structure(to_numpy, self._prepared(x)), *rest

    def _converted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        if self._has_host_part:
            if has_symbol(args):
                return args, dict(kwargs)
            args = (*map(self._prepared, args[:1]), *args[1:])
        return super()._converted(args, kwargs)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        if self._has_host_part and len(args) == 1 and not kwargs:
            return self._graph.compute_output_shape(*args)  # it knows which inputs are strings
        return super().compute_output_shape(*args, **kwargs)

    def _converted_input(self, x: Any) -> Any:
        """Under half floats float32 stays what it is: the layers cast, and some (Embedding, Normalization) read what half floats
        cannot hold."""
        if self.compute_dtype in dtypes.HALF and getattr(x, "dtype", None) in ("float32", "float64"):
            return x if isinstance(x, KerasTensor) else ops.cast(x, "float32")
        return super()._converted_input(x)

    def call(self, inputs: Structure, training: bool | None = None, mask: Structure = None) -> Any:
        if self._graph is None:
            raise NotImplementedError(f"Model {type(self).__name__} has no `call` method. Define call(self, inputs).")
        return self._graph.call(inputs, mask)

    @property
    def _has_call(self):
        return self._graph is not None or type(self).call is not Model.call

    def build(self, input_shape: Any = None) -> None:
        """Create all weights for inputs of this shape (structure of tuples with None)."""
        if self._graph is None and input_shape is not None:
            build_by_calling(self, input_shape)

    def export(
        self,
        filepath: FilePath,
        format: str | None = None,
        verbose: bool | None = None,
        input_signature: Any = None,
        **options: Any,
    ) -> None:
        """Write the model, as it is in inference, as a program of another runtime.

        The file's inputs and outputs have the model's names, and the batch is free. Its runtime runs the file on a golden sample before
        it appears under its name; the sample is in it, so that ``mlkit verify-file FILE`` repeats that where the file is used. See
        docs/export.md.

        Args:
            filepath: Of the file; its suffix chooses the format where none is given.
            format: "onnx" (.onnx, .ort), "litert" (.tflite), "stablehlo" or "openvino" (.xml, with a .bin beside it).
            verbose: Whether to print what was written; None does.
            input_signature: List of one `InputSpec` (or tensor) for each input, for models that do not tell their inputs, or to fix
                sizes.
            **options: Of all formats: `preprocess`, a function of images that the file begins with, such as an application's
                `preprocess_input`, or True for what `image_task` says: it takes photos of uint8 pixels then; `class_names`, kept in the
                file; `evaluation_data`, (inputs, labels) on which the accuracy of model and file is printed; ``check=False``, not to run
                it. Of "onnx", "litert" and "openvino": ``dtype="float16"`` for weights of half the size. Of "onnx" and "litert":
                ``quantize="int8"``, with samples as `calibration_data` for fixed ranges. Of "onnx": `opset_version`, 21 by default. Of
                "litert": `batch_size`, to fix it. Of "stablehlo": `platforms`.

        Raises:
            NotImplementedError: Something cannot be written; op and layer are named, and nothing is written.
            RuntimeError: The file answers something else than `predict`; the first layer that does is named, and no file is left.
        """
        _export.export_model(self, filepath, format, verbose, input_signature, **options)

    def freeze(self, until: Layer | str | int | None = None) -> None:
        """Freeze all layers, or those before `until`: their weights, their statistics and their noise.

        A frozen layer gets no gradients, and it runs as in inference whoever calls it: BatchNormalization neither uses nor
        follows the batch's statistics, and Dropout drops nothing. (`layer.trainable = False` leaves Dropout on, as in Keras.)
        It holds from the next step on, without another `compile`. Layers that augment images have nothing to freeze and go on.
        A saved model remembers that its frozen layers are not trainable; freeze them again after loading to switch Dropout off.

        Args:
            until: the first layer that is not frozen, in the order of `layers` (layers of nested models included): a layer, its
                name, path ("resnet50/conv5_block1_1_conv") or a pattern ("conv5_*": the first that matches), or its index in
                `layers`.

        Raises ValueError if there is no such layer.

        >>> import mlkit
        >>> model = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(3), mlkit.layers.Dense(2, name="head")])
        >>> model.freeze(until="head")
        >>> [v.path.split("/")[-2] for v in model.trainable_variables]
        ['head', 'head']
        """
        freezing.freeze(self, until)

    def unfreeze(self, since: Layer | str | int | None = None, batch_norm: bool = True) -> None:
        """Let all layers train again, or those from `since` on; the layers before stay as they are.

        Args:
            since: the first layer to train, given like `until` of `freeze`.
            batch_norm: False leaves BatchNormalization layers as they are. With small batches, or few images, their statistics
                are better kept as they were learned.

        Raises ValueError if there is no such layer.
        """
        freezing.unfreeze(self, since, batch_norm)

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print a table of the layers with output shapes and numbers of parameters.

        Args:
            line_length: characters a line.
            positions: column ends as fractions or characters.
            print_fn: receives the text, print by default.
            expand_nested: show layers of nested models.
            show_trainable: a column that says so.
            layer_range: names (or patterns) of the first and last layer to show.
        """
        text = summary.summary_text(self, line_length, positions, expand_nested, show_trainable, layer_range)
        (print_fn or print_message)(text)

    def memory_report(
        self,
        x: Data | None = None,
        y: Data | None = None,
        sample_weight: Data | None = None,
        batch_size: int | None = None,
        step: str | None = None,
    ) -> "MemoryReport":
        """The memory a step takes, known before the first one has run.

        Args:
            x, y, sample_weight: a batch, of which only shapes and dtypes count; or batch_size: samples a batch, for models that
                know their inputs.
            step: "train" (of a compiled model), "test" or "predict".

        Returns an object with the bytes by kind (`weights`, `optimizer`, `arena`, `peak` ...) that prints as a table. The step
        is compiled, and kept for the first run.

        >>> import mlkit
        >>> model = mlkit.Sequential([mlkit.Input((100,)), mlkit.layers.Dense(50)])
        >>> model.compile("adam", "mse")
        >>> report = model.memory_report(batch_size=8)
        >>> report.weights, report.optimizer > 2 * report.weights
        (20200, True)
        """
        return memory.memory_report(self, x, y, sample_weight, batch_size, step)

    def _repr_html_(self) -> str:
        return summary.summary_html(self)

    # ---- photos --------------------------------------------------------------------------------------------------------

    @property
    def image_task(self) -> "ImageTask | None":
        """What the model knows of its task with images, an `ImageTask`; it is saved with the model. `mlkit.finetune` sets it."""
        return self._image_task

    @image_task.setter
    def image_task(self, task: "ImageTask | None") -> None:
        if task is not None:
            task.check_outputs(getattr(self, "output_shape", None) if self._graph is not None else None)
        self._image_task = task

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, as `image_task` tells them, or None."""
        names = None if self._image_task is None else self._image_task.class_names
        return None if names is None else list(names)

    def classify(self, photos: Any, top: int | None = None, batch_size: int = 32, augment: Any = None, times: int = 4) -> Any:
        """Names of classes with their probabilities, for photos as they are: paths, folders, Pillow images or arrays of pixels. `top`:
        how many classes to name; `augment`, `times`: in which views to judge each photo. See `mlkit.models.classify`.
        """
        return _answers.classify(self, photos, top, batch_size, augment, times)

    # ---- files ---------------------------------------------------------------------------------------------------

    def save(self, filepath: FilePath, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Save architecture, weights, optimizer and compile arguments to a `.keras` file, which Keras reads too."""
        saving.save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath: FilePath, overwrite: bool = True, **kwargs: Any) -> None:
        """Save the weights to a `.weights.h5` file."""
        saving.save_weights(self, filepath, overwrite=overwrite, **kwargs)

    def load_weights(self, filepath: FilePath, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Load weights saved by `save_weights` or `save`, here or by Keras. All are checked before any is set."""
        saving.load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """All variables as nested dicts: kind ("trainable_variables", "non_trainable_variables", "optimizer_variables",
        "metrics_variables"), then the parts of the path.

        Args:
            value_format: "backend_tensor" or "numpy_array".

        >>> import mlkit
        >>> model = mlkit.Sequential([mlkit.Input((3,)), mlkit.layers.Dense(2, name="dense")], name="net")
        >>> sorted(model.get_state_tree()["trainable_variables"]["net"]["dense"])
        ['bias', 'kernel']
        """
        return state_trees.read(self, value_format)

    def set_state_tree(self, state_tree: Mapping[str, Any]) -> None:
        """Assign the values of such nested dicts, which may hold some of the variables only."""
        state_trees.write(self, state_tree)

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON text; `mlkit.models.model_from_json` reads it. kwargs: for `json.dumps`."""
        return json.dumps(serialize_keras_object(self), **kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """None: the outputs have the masks that the layers within put on them."""
        return None

    def get_config(self) -> dict[str, Any]:
        if self._graph is None or type(self).__init__ is not Functional.__init__:
            return super().get_config()
        return saving.functional_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "Model":
        if saving.is_functional_config(config) and issubclass(cls, Model):
            return saving.functional_from_config(cls, config, custom_objects)
        return super().from_config(config)

    def get_build_config(self) -> dict[str, Any] | None:
        if self._graph is not None:
            return {"input_shape": None}
        return super().get_build_config()

    def build_from_config(self, config: dict[str, Any]) -> None:
        if config and config.get("input_shape") is not None and self._graph is None and not self.built:
            self.build(config["input_shape"])
        elif config and "shapes_dict" in config and not self.built:
            super().build_from_config(config)


class Functional(Model):
    """What `Model(inputs, outputs)` makes: the layers between KerasTensors, run as one.

    Inputs may be given to a call in the structure of `inputs`, as a list in their order, or as a dict by name.

    Args:
        inputs: KerasTensor, or a structure of them.
        outputs: KerasTensor, or a structure of them, computed from `inputs`.
        name: of the model.
    """

    def __init__(self, inputs: Structure, outputs: Structure, name: str | None = None, **kwargs: Any):
        trainable = kwargs.pop("trainable", None)
        Model.__init__(self, inputs=inputs, outputs=outputs, name=name, **kwargs)
        if trainable is False:
            self.trainable = False
