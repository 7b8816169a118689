"""What a layer class's `call` and `build` methods take: read once per class from their signatures."""

import functools
import inspect


class CallInfo:
    """names: parameters of `call` in order; whether it takes `training` and `mask`; masks: {argument: its mask parameter}."""

    def __init__(self, cls):
        parameters = list(inspect.signature(cls.call).parameters.values())[1:]
        self.parameters = {p.name: p for p in parameters}
        self.names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
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
