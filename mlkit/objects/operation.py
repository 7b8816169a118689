"""Operation: a function with options and a name, that can be a node of a functional model. The base of layers."""

import inspect
from typing import Any

from mlkit.core import names, tree
from mlkit.core.messages import inside
from mlkit.objects.config_object import Configurable, described, init_arguments, init_signature, serialized
from mlkit.objects.keras_tensor import Node, has_symbol, infer, symbol


class Operation(Configurable):
    """A function of tensors without state. Subclasses define `call`, and take `name` in `__init__` if calls are to be named.

    Args:
        name: of its calls in a model, unique by default.

    >>> import mlkit
    >>> class Scale(mlkit.Operation):
    ...     def __init__(self, factor, name=None):
    ...         super().__init__(name)
    ...         self.factor = factor
    ...     def call(self, x):
    ...         return x * self.factor
    >>> Scale(2)(mlkit.Input((3,))).shape
    (None, 3)
    >>> Scale(2, name="twice").get_config()
    {'name': 'twice', 'factor': 2}
    """

    def __init__(self, name: str | None = None):
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(f"{type(self).__name__}: `name` must be a string without '/', but got {name!r}.")
        self.name = name or names.auto_name(type(self).__name__)
        self._inbound_nodes: list[Node] = []

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no `call` method. Define call(self, inputs).")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if has_symbol(args) or has_symbol(kwargs.values()):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """A call on KerasTensors: noted as a node of a functional model. Returns KerasTensors."""
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """KerasTensor (or structure) that a call on these KerasTensors returns. Found by running `call` on shapes."""
        return tree.map_structure(symbol, infer(self.call, args, kwargs))

    @property
    def input(self) -> Any:
        """The KerasTensor, or list of them, of the first symbolic call."""
        tensors = self._first_node("input").input_tensors
        return tensors[0] if len(tensors) == 1 else tensors

    @property
    def output(self) -> Any:
        """The KerasTensor, or list of them, that the first symbolic call returned."""
        tensors = self._first_node("output").output_tensors
        return tensors[0] if len(tensors) == 1 else tensors

    def _first_node(self, what: str) -> Any:
        if not self._inbound_nodes:
            raise AttributeError(
                f"{type(self).__name__} {self.name!r} was never called on KerasTensors, so `{what}` is not defined."
            )
        return self._inbound_nodes[0]

    def get_config(self) -> dict[str, Any]:
        """The name, and the arguments of `__init__` as plain values.

        Raises NotImplementedError for arguments that cannot be written down: then the class must have a `get_config` of its
        own.
        """
        parameters = init_signature(described(type(self))).parameters  # type: ignore[arg-type]  # classes are hashable
        kinds = {p.kind for p in parameters.values()}
        config = init_arguments(self)
        try:
            if inspect.Parameter.VAR_POSITIONAL in kinds:
                raise TypeError("`__init__` takes any number of positional arguments")
            config = {k: serialized(v) for k, v in config.items() if k != "name"}
        except TypeError as error:
            raise NotImplementedError(
                f"{type(self).__name__} cannot be described by the arguments of its `__init__`: {inside(error)}. Define `get_config`."
            ) from error
        takes_name = "name" in parameters or inspect.Parameter.VAR_KEYWORD in kinds
        return {"name": self.name, **config} if takes_name else config
