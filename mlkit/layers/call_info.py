"""What a layer class's `call` and `build` methods take: read once per class from their signatures."""

import functools
import inspect

from mlkit.core import tree
from mlkit.core.spec import show
from mlkit.core.tensor import Tensor


class CallInfo:
    """names: parameters of `call` in order, `required` those without default; whether it takes `training` and `mask`; masks:
    {argument: its mask parameter}."""

    def __init__(self, cls):
        parameters = list(inspect.signature(cls.call).parameters.values())[1:]
        self.parameters = {p.name: p for p in parameters}
        self.names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        self.required = [n for n in self.names if self.parameters[n].default is inspect.Parameter.empty]
        self.has_kwargs = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.takes_training = "training" in self.parameters
        training = self.parameters.get("training")
        self.training_default = None if training is None or training.default is training.empty else training.default
        self.masks = {n: f"{n}_mask" for n in self.names if f"{n}_mask" in self.parameters}
        if "mask" in self.parameters and self.names:
            self.masks.setdefault(self.names[0], "mask")


@functools.cache
def call_info(cls):
    """The CallInfo of a layer class."""
    return CallInfo(cls)


@functools.cache
def build_parameters(build):
    """Names of the shapes a `build` method asks for; None if it takes anything."""
    parameters = list(inspect.signature(build).parameters.values())[1:]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def build_shapes(cls, info, args, kwargs):
    """The (args, kwargs) `build` is called with, for the arguments of a call.

    A `build` with one parameter gets the shape of the first tensor argument; one with several gets those of the arguments they
    are named after: `query_shape` that of `query`.
    """
    shapes = {}
    for name, value in {**dict(zip(info.names, args)), **kwargs}.items():
        if name != "mask" and any(type(t) is Tensor for t in tree.flatten(value)):
            shapes[name] = tree.map_structure(lambda t: show(t.shape) if type(t) is Tensor else None, value)
    wanted = build_parameters(cls.build) or []
    if len(wanted) <= 1 or not shapes:
        return (next(iter(shapes.values()), None),), {}
    for name in wanted:
        argument = name.removesuffix("_shape")
        if argument == name:
            raise ValueError(
                f"{cls.__name__}.build: received argument `{name}`, which does not end in `_shape`: tensors' shapes are passed by name."
            )
        if argument not in info.parameters:
            raise ValueError(
                f"{cls.__name__}.build: received argument `{name}`, but `call()` does not have argument `{argument}`."
            )
    return (), {name: shapes[name.removesuffix("_shape")] for name in wanted if name.removesuffix("_shape") in shapes}
