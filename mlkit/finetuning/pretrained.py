"""What `finetune` starts from: an image classifier of `mlkit.applications`, or any model, without its head."""

import dataclasses
import difflib
import os
import sys
from collections.abc import Callable


@dataclasses.dataclass
class Pretrained:
    """base: images, preprocessed -> features (batch, n). preprocess: what images need before, or None. code: the lines that
    make `base`; preprocess_code: the name of `preprocess` in them."""

    base: object
    preprocess: Callable | None
    code: list
    preprocess_code: str | None


def pretrained(model, weights, image_shape, preprocess="auto"):
    """The network that a model, a constructor or a name of `mlkit.applications` stands for.

    weights: for a constructor, what it takes. image_shape: (height, width, channels). preprocess: "auto" for that of the
    application; a function of images or a layer; None.
    """
    from mlkit.models import Model

    if isinstance(model, str):
        model = _application(model)
    if isinstance(model, Model):
        if weights != "imagenet":
            raise ValueError(f"finetune: `weights` is {weights!r}, but model {model.name!r} has its own. Leave `weights` out.")
        return _headless(model, preprocess)
    home = getattr(model, "__module__", "")
    if not callable(model) or not home.startswith("mlkit.applications."):
        raise ValueError(
            "finetune: `model` must be the name of a model in mlkit.applications, its constructor or a Model, but is "
            f"{model!r}."
        )
    weights = os.fspath(weights) if isinstance(weights, os.PathLike) else weights  # a script has it as text
    base = model(input_shape=image_shape, include_top=False, weights=weights, pooling="avg")
    module = home.removeprefix("mlkit.")
    code = [
        f"base = keras.{module}.{model.__name__}(",
        f"    input_shape={image_shape!r}, include_top=False, weights={weights!r}, pooling='avg'",
        ")",
    ]
    if preprocess == "auto":
        return Pretrained(base, sys.modules[home].preprocess_input, code, f"keras.{module}.preprocess_input")
    return Pretrained(base, preprocess, code, preprocess and "preprocess")


def _application(name):
    from mlkit import applications

    known = {n.lower(): n for n in applications.__all__ if n[0].isupper()}
    if name.lower() not in known:
        close = difflib.get_close_matches(name.lower(), known, 3, 0.4) or sorted(known)
        raise ValueError(
            f"finetune: mlkit.applications has no model {name!r}. There are for example {', '.join(known[n] for n in close)}."
        )
    return getattr(applications, known[name.lower()])


def _headless(model, preprocess):
    """A model up to what its last Dense layer takes, as one row of features an image."""
    from mlkit import layers
    from mlkit.models import Model

    if preprocess == "auto":
        raise ValueError(
            f"finetune: what images need before model {model.name!r} is not known. Pass `preprocess`: a function such as "
            "mlkit.applications.resnet.preprocess_input, a layer such as Rescaling(1 / 255), or None if it takes pixels from 0 "
            "to 255."
        )
    last = model.layers[-1]
    features, code = model.output, ["base = pretrained  # the model that was passed"]
    if isinstance(last, layers.Dense):
        features, code = last.input, [f"base = keras.Model(pretrained.input, pretrained.get_layer({last.name!r}).input)"]
    base = model if features is model.output else Model(model.input, features)
    if len(features.shape) == 4:
        base = Model(model.input, layers.GlobalAveragePooling2D()(features))
        code = ["base = keras.Model(pretrained.input, layers.GlobalAveragePooling2D()(pretrained.output))"]
    if len(base.output.shape) != 2:
        raise ValueError(
            f"finetune: model {model.name!r} gives features of shape {features.shape}; expected (batch, n) or maps of images."
        )
    return Pretrained(base, preprocess, code, preprocess and "preprocess")
