"""What a layer class's `call` and `build` methods take: read once per class from their signatures."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core import tree
from mlkit.core.call import CallContext
from mlkit.core.spec import Dim, Spec, show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType
from mlkit.objects.keras_tensor import KerasTensor, symbol


class CallInfo:
    """names: parameters of `call` in order, `required` those without default; whether it takes `training`; mask_parameters:
    `mask` and those named after an argument; stated: the user's method that states the outputs' shapes, if there is one."""

    def __init__(self, cls: type):
        parameters = list(inspect.signature(cls.call).parameters.values())[1:]
        self.parameters = {p.name: p for p in parameters}
        self.names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        self.required = [n for n in self.names if self.parameters[n].default is inspect.Parameter.empty]
        self.has_kwargs = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.takes_training = "training" in self.parameters
        training = self.parameters.get("training")
        self.training_default = None if training is None or training.default is training.empty else training.default
        self.stated = _stated(cls)
        self.mask_parameters = tuple(n for n in ("mask", *(f"{n}_mask" for n in self.names)) if n in self.parameters)

    def fill_training(self, context: CallContext, args: tuple[Any, ...], kwargs: dict[str, Any], passed_on: bool) -> None:
        """Find the training flag of a call: the caller's, else that of the outer layer, else the signature's default.

        passed_on: whether a `call` with **kwargs wants `training` in them.
        """
        given = kwargs.pop("training", None)
        if self.takes_training and "training" in self.names and self.names.index("training") < len(args):
            given = args[self.names.index("training")]
            context.training = given if given is not None else context.training
            return
        if given is None:
            given = context.training if context.training is not None else self.training_default
        context.training = given
        if given is not None and (self.takes_training or (self.has_kwargs and passed_on)):
            kwargs["training"] = given

    def symbols_for(self, dtype: DType, args: tuple[Any, ...], kwargs: dict[str, Any]):
        """The (args, kwargs) of KerasTensors of a call, for those of shapes: a named one belongs to the argument of its name."""
        of_shapes = functools.partial(tree.map_shape_structure, lambda shape: KerasTensor(shape, dtype))
        named = {
            k.removesuffix("_shape"): of_shapes(v)
            for k, v in kwargs.items()
            if v is not None and (k.removesuffix("_shape") in self.parameters or len(kwargs) > 1)
        }
        return [*map(of_shapes, args), *(map(of_shapes, kwargs.values()) if not named else ())], named


@functools.cache
def call_info(cls: type):
    """The CallInfo of a layer class."""
    return CallInfo(cls)


@functools.cache
def build_parameters(build: Callable[..., Any]):
    """Names of the shapes a `build` method asks for; None if it takes anything."""
    parameters = list(inspect.signature(build).parameters.values())[1:]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def build_shapes(cls: type, info: "CallInfo", args: tuple[Any, ...], kwargs: dict[str, Any]):
    """The (args, kwargs) `build` is called with, for the arguments of a call.

    A `build` with one parameter gets the shape of the first tensor argument; one with several gets those of the arguments they
    are named after: `query_shape` that of `query`.
    """
    shapes = _tensor_shapes(info, args, kwargs)
    return shape_arguments(cls, cls.build, info, shapes)


def shape_arguments(cls: type, method: str, info: "CallInfo", shapes: Any):
    """(args, kwargs) of shapes for a method: the first shape alone, or each under the name of its argument of `call`."""
    wanted = build_parameters(method) or []
    if len(wanted) <= 1 or not shapes:
        return (next(iter(shapes.values()), None),), {}
    for name in wanted:
        argument = name.removesuffix("_shape")
        if argument == name:
            raise ValueError(
                f"{cls.__name__}.{method.__name__}: received argument `{name}`, which does not end in `_shape`: tensors' "
                "shapes are passed by name."
            )
        if argument not in info.parameters:
            raise ValueError(
                f"{cls.__name__}.{method.__name__}: received argument `{name}`, but `call()` does not have argument "
                f"`{argument}`."
            )
    return (), {name: shapes[name.removesuffix("_shape")] for name in wanted if name.removesuffix("_shape") in shapes}


def in_inference(info: "CallInfo", args: tuple[Any, ...], kwargs: dict[str, Any]):
    """The (args, kwargs) of a call with `training=False`, whatever they say."""
    if info.takes_training and "training" in info.names:
        place = info.names.index("training")
        if place < len(args):
            return (*args[:place], False, *args[place + 1 :]), kwargs
    return args, {**kwargs, "training": False}


def described(args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    """Specs of the tensors among the arguments of a call, for messages."""
    given = [x for x in (*args, *kwargs.values()) if x is not None]
    text = ", ".join(map(_described, given)) or "no arguments"
    for x in given:
        if tree.is_nested(x) and len(tree.flatten(x)) == 1:
            return f"{text}: a {type(x).__name__} of one tensor. Where a layer expects a tensor, pass the tensor itself."
    return text


def _described(x: Any) -> str:
    if isinstance(x, dict):
        return f"{{{', '.join(f'{k!r}: {_described(v)}' for k, v in x.items())}}}"
    if isinstance(x, (list, tuple)):
        return f"[{', '.join(map(_described, x))}]"
    return f"{x.dtype}{show(x.shape)}" if type(x) is Tensor else repr(x)


def _tensor_shapes(info: "CallInfo", args: tuple[Any, ...], kwargs: dict[str, Any]):
    """argument of `call` -> shape or structure of shapes, for the arguments with tensors."""
    shapes = {}
    for name, value in {**dict(zip(info.names, args)), **kwargs}.items():
        if name != "mask" and any(type(t) is Tensor for t in tree.flatten(value)):
            shapes[name] = tree.map_structure(lambda t: show(t.shape) if type(t) is Tensor else None, value)
    return shapes


# ---- what users state about outputs --------------------------------------------------------------------------------------


def _stated(cls: type):
    """Name of the method by which a user's class states its outputs without running `call`; None if it has none."""
    for base in cls.__mro__:
        if base.__module__.startswith("mlkit."):
            return None  # the library's own are found by running `call`
        for name in ("compute_output_spec", "compute_output_shape"):
            if name in vars(base):
                return name
    return None


def stated_outputs(layer: Any, info: "CallInfo", args: tuple[Any, ...], kwargs: dict[str, Any]):
    """The outputs, as tensors without values, that a layer states by `compute_output_spec` or `compute_output_shape`."""
    tensors = [t for t in tree.flatten((args, kwargs)) if type(t) is Tensor]
    batch = tensors[0].shape[0] if tensors[0].ndim else None
    if info.stated == "compute_output_spec":
        given = {k: v for k, v in kwargs.items() if k in build_parameters(layer.compute_output_spec.__func__)}
        args, given = tree.map_structure(symbol, (args, given))
        return tree.map_structure(lambda k: _unvalued(k.shape, k.dtype, batch), layer.compute_output_spec(*args, **given))
    shapes, named = shape_arguments(type(layer), type(layer).compute_output_shape, info, _tensor_shapes(info, args, kwargs))
    made = layer.compute_output_shape(*shapes, **named)
    return tree.map_shape_structure(lambda shape: _unvalued(shape, layer.compute_dtype, batch), made)


def _unvalued(shape, dtype: DType | None, batch: Any):
    """A tensor without value; its first size, if unknown, is that of the inputs' batch."""
    sizes = [(batch if i == 0 and batch is not None else Dim()) if n is None else n for i, n in enumerate(shape)]
    return Tensor(Spec(sizes, dtype))
