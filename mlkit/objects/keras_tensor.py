"""KerasTensor: the placeholder the functional API is written with, and the nodes that remember who called whom."""

import functools
from collections import namedtuple
from collections.abc import Callable, Iterable
from typing import Any

from mlkit.core import dtypes, locks, names, tree
from mlkit.core.interpreter import on_shapes
from mlkit.core.ownership import own_arrays
from mlkit.core.spec import Dim, Spec, show, size_of
from mlkit.core.tensor import Symbol, Tensor
from mlkit.core.typing import DType, Methods, Shape

KerasHistory = namedtuple("KerasHistory", ["operation", "node_index", "tensor_index"])


class KerasTensor(Symbol, Methods["KerasTensor"]):
    """A symbolic tensor: shape with None for unknown sizes, dtype, and the call that made it.

    Made by `mlkit.Input` and by calling layers and `mlkit.ops` functions on KerasTensors.

    Args:
        shape: sizes, the batch among them, None where unknown; None for an unknown rank.
        dtype: name of the dtype.
        sparse, ragged: True is refused.
        record_history: whether the call that made it is kept.
        name: a name, unique by default.
        spec: shape and dtype at once, with sizes that are known to be equal; in place of both.
    """

    __array_priority__ = 200

    def __init__(
        self,
        shape: Shape | None,
        dtype: DType = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
        spec: Spec | None = None,
    ):
        if sparse or ragged:
            raise NotImplementedError("KerasTensor: `sparse` and `ragged` tensors are not supported.")
        if spec is None:
            if not isinstance(shape, (tuple, list)):
                raise ValueError(f"KerasTensor: `shape` must be a tuple of ints and None, but got {shape!r}.")
            kind = dtypes.STRING if dtype == dtypes.STRING else dtypes.standardize_dtype(dtype)
            spec = Spec((Dim() if s is None else s for s in shape), kind)
        self.spec = spec
        self.sparse = self.ragged = False
        self.record_history = record_history
        self.name = name or names.auto_name(type(self).__name__)
        self._keras_history: KerasHistory | None = None
        self._keras_mask: KerasTensor | None = None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Tuple of sizes, None where unknown."""
        return show(self.spec.shape)

    @property
    def dtype(self) -> str:
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        return len(self.spec.shape)

    @property
    def size(self) -> int | None:
        """Number of elements, None if unknown."""
        return show((size_of(self.spec.shape),))[0]

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    __hash__ = object.__hash__


class Node:
    """One call of an operation (a layer, or a recorded function) on KerasTensors.

    arguments: (args, kwargs) as given, arrays copied: they are constants of the model; outputs: structure of KerasTensors.
    """

    def __init__(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any):
        self.operation, self.outputs = operation, outputs
        self.args, self.kwargs = own_arrays((args, kwargs))
        self.input_tensors = [t for t in tree.flatten((args, kwargs)) if isinstance(t, KerasTensor)]
        self.output_tensors = tree.flatten(outputs)
        with locks.making:
            index = len(operation._inbound_nodes)
            operation._inbound_nodes.append(self)
        for i, t in enumerate(self.output_tensors):
            if isinstance(t, KerasTensor):
                t._keras_history = KerasHistory(operation, index, i)

    @property
    def parents(self) -> list["Node"]:
        """The nodes that made its inputs."""
        return [node_of(t) for t in self.input_tensors if t._keras_history is not None]


def node_of(tensor: KerasTensor) -> Node:
    """The node that made a KerasTensor."""
    operation, index, _ = tensor._keras_history  # type: ignore[misc]  # an `Input` has one too
    return operation._inbound_nodes[index]


def get_source_inputs(tensor: KerasTensor) -> list[KerasTensor]:
    """The inputs that a KerasTensor is computed from, in the order they are first used.

    Args:
        tensor: of any shape.

    >>> import mlkit
    >>> x, y = mlkit.Input((2,)), mlkit.Input((2,))
    >>> [t is x for t in get_source_inputs(mlkit.ops.tanh(x + y))]
    [True, False]
    """
    sources: dict[int, KerasTensor] = {}
    todo, seen = [tensor], set()
    while todo:
        t = todo.pop()
        if id(t) in seen:
            continue
        seen.add(id(t))
        node = node_of(t) if t._keras_history is not None else None
        if node is None or not node.input_tensors:
            sources.update((id(source), source) for source in (node.output_tensors if node is not None else [t]))
        else:
            todo.extend(reversed(node.input_tensors))
    return list(sources.values())


class RecordedOp:
    """A public function of `mlkit.ops` called on KerasTensors: one operation of a functional model."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None):
        self.fn = fn
        self.name = name or names.auto_name(fn.__name__)
        self._inbound_nodes: list[Node] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if has_symbol(args) or has_symbol(kwargs.values()):
            return record(self, self.fn, args, kwargs)
        return self.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<RecordedOp {self.name}>"


def has_symbol(values: Iterable[Any]) -> bool:
    """Whether a KerasTensor is among the values or nested in them."""
    for v in values:
        t = type(v)
        if t is KerasTensor or (t in (list, tuple) and has_symbol(v)) or (t is dict and has_symbol(v.values())):
            return True
        if t is not Tensor and isinstance(v, KerasTensor):
            return True
    return False


def refuse_strings(what: str, *arguments: Any) -> None:
    """Raise if a KerasTensor of strings is among the arguments of a call of what computes with numbers."""
    for t in tree.flatten(arguments):
        if isinstance(t, KerasTensor) and t.dtype == dtypes.STRING:
            raise TypeError(
                f"{what}: expected numbers, but {t.name!r} holds strings, shape {t.shape}. Turn them into numbers first, by "
                "TextVectorization, StringLookup, Hashing or HashedCrossing."
            )


def infer(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a function on specs in place of KerasTensors: its outputs as Tensors that hold specs. It leaves no trace: what it assigns to
    variables is forgotten."""
    args, kwargs = tree.map_structure(_spec_only, (tuple(args), dict(kwargs)))
    with on_shapes():
        return fn(*args, **kwargs)


def _spec_only(a: Any) -> Any:
    if not isinstance(a, KerasTensor):
        return a
    t = Tensor(a.spec)
    if a._keras_mask is not None:
        t._keras_mask = Tensor(a._keras_mask.spec)
    return t


def symbol(t: Any) -> Any:
    """The KerasTensor for a Tensor that holds a spec, or for an unknown size; anything else as it is.

    It has no mask: those are operations of the graph, which a layer's symbolic call notes.
    """
    if type(t) is Dim:
        return KerasTensor((), "int32")
    return KerasTensor(None, spec=t.spec) if type(t) is Tensor else t


def record(operation: Any, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call `fn` symbolically and note the call as a node of `operation`; its outputs as KerasTensors."""
    if type(operation) is RecordedOp:
        refuse_strings(f"ops.{fn.__name__}", args, kwargs)
    out = infer(getattr(fn, "symbolic", fn), args, kwargs)
    outputs = tree.map_structure(symbol, out)
    Node(operation, tuple(args), dict(kwargs), outputs)
    return outputs


def symbolic(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a function that is laxer with KerasTensors than with values: `rule`, of the same arguments, gives what it will
    answer as far as shapes and dtypes go."""

    def mark(fn: Any) -> Any:
        fn.symbolic = rule
        return fn

    return mark


def recordable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors that, given KerasTensors, records itself as an operation of a functional model."""

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            if has_symbol(args) or (kwargs and has_symbol(kwargs.values())):
                return record(RecordedOp(fn), fn, args, kwargs)
            return fn(*args, **kwargs)
        except dtypes.NumberError as error:
            error.named(fn.__name__)
            raise

    return call
