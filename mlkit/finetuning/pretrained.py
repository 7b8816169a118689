"""What `finetune` starts from: an image classifier of `mlkit.applications`, or any model, without its head."""

import contextlib
import dataclasses
import difflib
import os
import warnings
from typing import Any

from mlkit import applications, layers
from mlkit.applications.classifier import PreprocessingWarning
from mlkit.models import Model
from mlkit.models.freezing import weighted_layers
from mlkit.models.keras_loader import load_model


@dataclasses.dataclass
class Pretrained:
    """base: images, preprocessed -> features (batch, n). code: the lines that make it. preprocess_code: what images `x` need
    before, or None. warnings: categories of warnings about what these lines take care of."""

    base: Model
    code: list
    preprocess_code: str | None
    warnings: tuple = ()

    @property
    def groups(self) -> int:
        """Groups of layers with rates of their own: three, or as many as there are layers to make them of."""
        return min(3, max(2, len(weighted_layers(self.base)) + 1))


def opened(model: Any, weights: Any) -> tuple[Any, list[str]]:
    """(model, code): a `.keras` file, given as the model or as the weights, is loaded; what else is given stays as it is.

    code: the lines that load it.
    """
    for path in (weights, model):
        if isinstance(path, (str, os.PathLike)) and os.fspath(path).endswith(".keras"):
            return load_model(path), [f"pretrained = keras.models.load_model({os.path.abspath(path)!r})"]
    return model, []


def pretrained(model, weights, image_shape, preprocess: str = "auto"):
    """The network that a model, a constructor or a name of `mlkit.applications` stands for.

    weights: for a constructor, what it takes. image_shape: (height, width, channels). preprocess: "auto" for what the weights
    were trained with: in most cases the application's `preprocess_input`; a function of images or a layer; None.
    """
    if isinstance(model, str):
        model = _application(model)
    if isinstance(model, Model):
        if weights != "imagenet" and not os.fspath(weights or "").endswith(".keras"):
            raise ValueError(f"finetune: `weights` is {weights!r}, but model {model.name!r} has its own. Leave `weights` out.")
        wanted = model.input_shape[1:] if isinstance(model.input_shape, tuple) else None
        if wanted is None or len(wanted) != len(image_shape) or any(a not in (None, b) for a, b in zip(wanted, image_shape)):
            raise ValueError(
                f"finetune: model {model.name!r} takes {wanted}, but the images are {image_shape}. Bring them to one size."
            )
        return _headless(model, preprocess)
    home = getattr(model, "__module__", "")
    if not callable(model) or not home.startswith("mlkit.applications."):
        raise ValueError(
            "finetune: `model` must be the name of a model in mlkit.applications, its constructor or a Model, but is "
            f"{model!r}."
        )
    if isinstance(weights, os.PathLike) or (isinstance(weights, str) and os.path.isfile(weights)):
        weights = os.path.abspath(os.fspath(weights))  # a script has it as text, and runs anywhere
    module = home.removeprefix("mlkit.")
    code = [
        f"base = keras.{module}.{model.__name__}(",
        f"    input_shape={image_shape!r}, include_top=False, weights={weights!r}, pooling='avg'",
        ")",
    ]
    handled = (PreprocessingWarning,) if preprocess == "auto" else ()
    with ignored(handled):
        base = model(input_shape=image_shape, include_top=False, weights=weights, pooling="avg")
    if preprocess != "auto":
        return Pretrained(base, code, preprocess and "preprocess(x)")
    mode = getattr(base, "preprocess_mode", None)
    call = f"imagenet_utils.preprocess_input(x, mode={mode!r})" if mode else f"{module.rpartition('.')[2]}.preprocess_input(x)"
    return Pretrained(base, code, f"keras.applications.{call}", handled)


@contextlib.contextmanager
def ignored(categories):
    """A block in which warnings of these categories are not shown."""
    with warnings.catch_warnings():
        for category in categories:
            warnings.simplefilter("ignore", category)
        yield


def _application(name):
    known = {n.lower(): n for n in applications.__all__ if n[0].isupper()}
    if name.lower() not in known:
        close = difflib.get_close_matches(name.lower(), known, 3, 0.4) or sorted(known)
        raise ValueError(
            f"finetune: mlkit.applications has no model {name!r}. There are for example {', '.join(known[n] for n in close)}."
        )
    return getattr(applications, known[name.lower()])


def _headless(model, preprocess):
    """A model up to what its last Dense layer takes, as one row of features an image."""
    if preprocess == "auto" and model.image_task is not None:
        preprocess = None  # a model of `finetune`, which has it within
    if preprocess == "auto":
        raise ValueError(
            f"finetune: what images need before model {model.name!r} is not known. Pass `preprocess`: a function such as "
            "mlkit.applications.resnet.preprocess_input, a layer such as Rescaling(1 / 255), or None if it takes pixels from 0 "
            "to 255."
        )
    last = model.layers[-1]
    features, code = model.output, ["base = pretrained  # the model that was passed"]
    if isinstance(last, layers.Dense):
        before = model.layers[-2] if len(model.layers) > 1 else None
        if isinstance(before, layers.Dropout) and before.output is last.input:
            last = before  # the new head has one of its own
        features, code = last.input, [f"base = keras.Model(pretrained.input, pretrained.get_layer({last.name!r}).input)"]
    base = model if features is model.output else Model(model.input, features)
    if len(features.shape) == 4:
        base = Model(model.input, layers.GlobalAveragePooling2D()(features))
        code = ["base = keras.Model(pretrained.input, layers.GlobalAveragePooling2D()(pretrained.output))"]
    if len(base.output.shape) != 2:
        raise ValueError(
            f"finetune: model {model.name!r} gives features of shape {features.shape}; expected (batch, n) or maps of images."
        )
    return Pretrained(base, code, preprocess and "preprocess(x)")
