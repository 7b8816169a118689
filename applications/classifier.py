"""What all image classifiers have in common: their arguments, checks, input, head and weights."""

import dataclasses
import inspect
import textwrap
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from mlkit import activations, config, layers
from mlkit.applications.image_input import check_agreement, image_input, image_shape
from mlkit.applications.weight_source import PublishedFile, WeightSource
from mlkit.core.typing import Identifier
from mlkit.models import Functional

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/"


class PreprocessingWarning(UserWarning):
    """Weights go with images scaled in another way than by the family's own `preprocess_input`: in the model's
    `preprocess_mode`."""


def keras_files(folder, top, no_top, digests, address=_KERAS):
    """The PublishedFiles of a model with and without its head, as `Architecture.files` has them."""
    return {
        has_top: PublishedFile(name, f"{address}{folder}/{name}" if folder else address + name, digest)
        for has_top, name, digest in zip((True, False), (top, no_top), digests)
    }


def dense_top(pooling_name: str = "avg_pool", dropout: float = 0.0, **dense_options):
    """The usual head: the mean over the image, perhaps dropout, a dense layer "predictions"."""

    def top(x, classes, activation):
        x = layers.GlobalAveragePooling2D(name=pooling_name)(x)
        if dropout > 0:
            x = layers.Dropout(dropout, name="top_dropout")(x)
        return layers.Dense(classes, activation=activation, name="predictions", **dense_options)(x)

    return top


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A model of a family: all that it takes to build it, besides the arguments of its constructor.

    features: images -> features, the convolutional part. files: include_top -> PublishedFile, the ImageNet weights.
    size: usual height and width; min_size: the least. top: (features, classes, activation) -> predictions.
    pooled_names: names of the layers that `pooling` "avg" and "max" add; after_pooling: what follows even them. options:
    WeightSource -> keyword arguments of `features`, for models that depend on where their weights come from. known_size: whether
    the images' size must be known: always, never, or (None) with the head. channels_first: whether it exists in that layout.
    torch_names: whose models -> function from the name of a layer to the name of the PyTorch module.
    """

    features: Callable
    files: Mapping[bool, PublishedFile] = dataclasses.field(default_factory=dict)
    size: int = 224
    min_size: int = 32
    top: Callable = dense_top()  # noqa: RUF009  (a function, shared by all)
    pooled_names: tuple = ("avg_pool", "max_pool")
    after_pooling: Callable = lambda x: x
    options: Callable = lambda source: {}
    known_size: bool | None = None
    channels_first: bool = True
    torch_names: Mapping[str, Callable] = dataclasses.field(default_factory=dict)

    def build(
        self,
        include_top: bool = True,
        weights: str | None = "imagenet",
        input_tensor=None,
        input_shape: Any = None,
        pooling=None,
        classes: int = 1000,
        classifier_activation: Identifier = "softmax",
        name: str | None = None,
    ) -> Any:
        """The model; the arguments are those of every constructor in this package."""
        source = WeightSource(weights, self.files.get(include_top))
        self._check(source, include_top, pooling, classes, name)
        check_agreement(input_shape, input_tensor)
        known = include_top if self.known_size is None else self.known_size
        trained = source.is_imagenet and include_top and known  # with a head, weights belong to a size
        shape = image_shape(input_shape, self.size, self.min_size, known, trained, pretrained=source.is_imagenet)
        with source.building():
            inputs, x = image_input(shape, input_tensor)
            x = self.features(x, **self.options(source))
            if include_top:
                if source.is_given:
                    _check_activation(classifier_activation)
                x = self.top(x, classes, classifier_activation)
            else:
                x = self._pooled(x, pooling)
        model = Functional(inputs, x, name=name)
        source.load_into(model, self.torch_names)
        if source.is_torch and "torchvision" in self.torch_names:
            model.preprocess_mode = "torch"
            warnings.warn(
                f"{name}: weights of PyTorch go with images scaled by imagenet_utils.preprocess_input(x, mode='torch'), not by "
                "this family's own preprocess_input.",
                PreprocessingWarning,
                stacklevel=3,
            )
        return model

    def _check(self, source, include_top, pooling, classes, name):
        if not self.channels_first and config.image_data_format() == "channels_first":
            raise ValueError(
                f"{name} exists in the layout 'channels_last' only. Call mlkit.config.set_image_data_format('channels_last')."
            )
        if source.is_imagenet and source.published is None:
            raise ValueError(
                f"There are no published ImageNet weights for this {name}. Use weights=None or the path of a file."
            )
        if source.is_imagenet and include_top and classes != 1000:
            raise ValueError(
                f"With weights='imagenet' and include_top=True, `classes` should be 1000, but is {classes}. Use "
                "include_top=False and a head of your own."
            )
        if pooling not in (None, "avg", "max"):
            raise ValueError(f"`pooling` must be None, 'avg' or 'max', but is {pooling!r}.")
        if pooling and include_top:
            warnings.warn(
                f"pooling={pooling!r} has no effect with include_top=True.", stacklevel=4
            )  # where the constructor is called

    def _pooled(self, x, pooling):
        if pooling == "avg":
            x = layers.GlobalAveragePooling2D(name=self.pooled_names[0])(x)
        elif pooling == "max":
            x = layers.GlobalMaxPooling2D(name=self.pooled_names[1])(x)
        return self.after_pooling(x)


def _check_activation(activation):
    if activations.get(activation) not in (activations.softmax, activations.linear):
        raise ValueError(
            f"With weights of a trained head, `classifier_activation` must be None or 'softmax', but is {activation!r}."
        )


_ARGUMENTS = """\
    include_top: whether to end with the classification head. Without it the model gives features.
    weights: None for random weights, "imagenet" for the published ones, or the path of a file: ".weights.h5", ".keras" or
        ".h5" of Keras, ".safetensors", or a PyTorch state dict (".pth") where the family has a table of names for it.
    input_tensor: symbolic tensor to start from instead of a new Input.
    input_shape: height, width and channels of the images; by default those the weights were trained on, free without the
        head.
    pooling: what follows the features without the head: None, "avg" or "max".
    classes: number of classes of the head.
    classifier_activation: activation of the head; None gives logits.
    name: name of the model.

Returns a `Model`. Raises ValueError for contradictory arguments, ModelFileError for a file of weights that does not fit, OSError
where published weights cannot be had (the message says where to put them).
"""


def constructor(
    module: str,
    name: str,
    architecture: Any,
    about: str,
    default_name: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    own_arguments: str = "",
) -> Callable[..., Functional]:
    """The public function that builds an Architecture, with Keras's signature.

    Args:
        module, name: of the function.
        architecture: an Architecture, or a function that makes one from arguments of the family's own.
        about: for the docstring: title and address of the paper.
        default_name: of the model; `name` in lower case unless given.
        arguments: name -> default, in order, where they are others than those of `Architecture.build`.
        own_arguments: what the docstring says of those of the family's own, a line for each.
    """
    usual = {p.name: p.default for p in inspect.signature(Architecture.build).parameters.values() if p.name != "self"}
    defaults = {**(arguments or usual), "name": default_name or name.lower()}
    own = {} if isinstance(architecture, Architecture) else inspect.signature(architecture).parameters
    typed = [*own.values(), *inspect.signature(Architecture.build).parameters.values()]
    types = {p.name: p.annotation for p in typed if p.annotation is not p.empty}
    signature = inspect.Signature(
        [
            inspect.Parameter(
                key, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=value, annotation=types.get(key, inspect.Parameter.empty)
            )
            for key, value in defaults.items()
        ],
        return_annotation=Functional,
    )

    def make(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        of_family = {key: value for key, value in bound.arguments.items() if key in own}
        shared = {key: value for key, value in bound.arguments.items() if key in usual}
        return (architecture(**of_family) if own else architecture).build(**shared)

    make.__signature__ = signature
    make.__name__ = make.__qualname__ = name
    make.__module__ = module
    own_lines = textwrap.indent(own_arguments, "    ")
    make.__doc__ = f"The image classifier {name}: {about}\n\nArgs:\n{own_lines}{_ARGUMENTS}"
    return make
