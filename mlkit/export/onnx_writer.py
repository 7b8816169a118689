"""A graph as an ONNX model: the file's parts, names, constants, and sizes that are known only when it runs."""

import contextlib
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.core.deferred import Deferred
from mlkit.core.graph import Call, Graph, spec_of
from mlkit.core.spec import Dim, ceil_div
from mlkit.core.tensor import Value

onnx = Deferred("onnx", 'Files of ONNX are written with onnx: pip install "mlkit-engine[onnx]"')

_LARGEST_HALF = 65504.0
_ARITHMETIC = {operator.add: "Add", operator.sub: "Sub", operator.mul: "Mul", operator.floordiv: "Div"}


class Writer:
    """Adds nodes of ONNX for the calls of a graph, in their order.

    Args:
        graph: Its inputs have the names given.
        names: Of the inputs.
        outputs: Names of what it gives.
        halves: Whether weights are stored in float16, and cast where they are used.
    """

    def __init__(self, graph: Graph, names: Sequence[str], outputs: Sequence[str], halves: bool = False):
        self._halves = halves
        self.graph, self._inputs, self._outputs = graph, list(names), list(outputs)
        self._taken = {*names, *outputs}
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self._names = {id(v): name for v, name in zip(graph.inputs, names)}
        self._constants: dict[Any, str] = {}
        self._kept: list[Any] = []  # constants that are known by their ids, which stay theirs so
        self._sizes: dict[Any, str] = {}
        self._count = 0
        self._place: tuple[str, ...] = ()
        self._where = {}  # Dim -> (name of an input, axis)
        for v, name in zip(graph.inputs, names):
            for axis, n in enumerate(v.shape):
                if type(n) is Dim:
                    self._where.setdefault(n, (name, axis))

    # ---- for rows ----------------------------------------------------------------------------------------------------

    def node(self, kind: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> Any:
        """Add a node. Names of its outputs: one, or a list of them."""
        made = [self.fresh(kind) for _ in range(outputs)]
        name = "/".join([*self._place, f"{kind}_{self._count}"])
        given = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(onnx.helper.make_node(kind, list(inputs), made, name=name, **given))
        return made[0] if outputs == 1 else made

    def results(self, kind: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """As `node`, whose outputs are a list however many there are."""
        made = self.node(kind, inputs, outputs, **attributes)
        return made if isinstance(made, list) else [made]

    @contextlib.contextmanager
    def scope(self) -> Iterator["Scope"]:
        """A block whose nodes are those of a body: names from around it are known in it, and its own only there."""
        outer = self.nodes, self._sizes, self._constants
        self.nodes, self._sizes, self._constants = [], dict(self._sizes), dict(self._constants)
        try:
            yield Scope(self)
        finally:
            self.nodes, self._sizes, self._constants = outer

    def inline(self, graph: Graph, names: Sequence[str]) -> list[str]:
        """Add the calls of a body whose inputs have these names. The names of its outputs."""
        place = self._place
        self._names.update(zip(map(id, graph.inputs), names))
        self._add(graph)
        found = [self.name(v) for v in graph.outputs]
        self._place = place
        return found

    def name(self, a: Any, like: str | None = None) -> str:
        """The name of an argument: of a Value, or of a constant. like: dtype of a Python number."""
        if type(a) is Value:
            return self._names[id(a)]
        return self.constant(np.asarray(a, dtypes.as_numpy(like)) if like else np.asarray(a))

    def constant(self, array: Any) -> str:
        """The name of a constant; equal small ones are one."""
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        key = (array.dtype.str, array.shape, array.tobytes()) if array.nbytes <= 4096 else id(array)
        if key not in self._constants:
            name = self._constants[key] = self.fresh("constant")
            if array.dtype == dtypes.as_numpy("bfloat16"):
                kind = onnx.TensorProto.BFLOAT16
                self.initializers[name] = onnx.helper.make_tensor(
                    name, kind, array.shape, array.view("uint16").tobytes(), raw=True
                )
            elif self._halves and _is_weight(array):
                self.initializers[name] = onnx.numpy_helper.from_array(array.astype("float16"), name)
                self._constants[key] = self.node("Cast", [name], to=element_type("float32"))
            else:
                self.initializers[name] = onnx.numpy_helper.from_array(array, name)
            self._kept.append(array)
        return self._constants[key]

    def ints(self, values: Sequence[int]) -> str:
        """A constant list of whole numbers."""
        return self.constant(np.asarray(list(values), "int64"))

    def shape(self, sizes: Sequence[Any], free: bool = False) -> str:
        """The name of a shape. free: one size may be left to be found by the number of elements."""
        unknown = [i for i, n in enumerate(sizes) if type(n) is Dim]
        if not unknown:
            return self.ints(sizes)
        if free and len(unknown) == 1 and 0 not in sizes:
            return self.ints([-1 if type(n) is Dim else n for n in sizes])
        return self.node("Concat", [self.size(n) for n in sizes], axis=0)

    def size(self, n: Any) -> str:
        """The name of a size, as a list of one number."""
        if type(n) is not Dim:
            return self.ints([n])
        if n not in self._sizes:
            self._sizes[n] = self._computed(n)
        return self._sizes[n]

    def _computed(self, n: Dim) -> str:
        if n in self._where:
            name, axis = self._where[n]
            return self.node("Shape", [name], start=axis, end=axis + 1)
        function, operands = n.made_by or (None, ())
        if function is ceil_div:
            a, b = operands
            return self.node("Div", [self.node("Add", [self.size(a), self.ints([b - 1])]), self.ints([b])])
        if function not in _ARITHMETIC:
            raise NotImplementedError(f"the size {n!r} in {'/'.join(self._place)}: how it is found cannot be written")
        return self.node(_ARITHMETIC[function], [self.size(m) for m in operands])

    # ---- the whole -----------------------------------------------------------------------------------------------------

    def write(self, rows: dict[Any, Any]) -> None:
        """All calls."""
        self._rows = rows
        self._add(self.graph)

    def _add(self, graph: Graph) -> None:
        for call in graph.calls:
            self._place = tuple(map(str, call.place))
            self._name_all(call, self._rows[call.op](self, call))

    def _name_all(self, call: Call, made: Any) -> None:
        for v, name in zip(call.outs, made if isinstance(made, list) else [made]):
            self._names[id(v)] = name

    def model(self, opset: int, metadata: dict[str, str]) -> Any:
        """The ONNX model."""
        self._place = ("outputs",)
        for v, name in zip(self.graph.outputs, self._outputs):
            self.nodes.append(onnx.helper.make_node("Identity", [self.name(v)], [name], name=f"outputs/{name}"))
        helper = onnx.helper
        found = helper.make_graph(
            self.nodes,
            "mlkit",
            [self._info(name, v) for v, name in zip(self.graph.inputs, self._inputs)],
            [self._info(name, v) for v, name in zip(self.graph.outputs, self._outputs)],
            list(self.initializers.values()),
        )
        made = helper.make_model(found, producer_name="mlkit", opset_imports=[helper.make_opsetid("", opset)])
        made.ir_version = min(made.ir_version, 10)  # what runtimes of the last years read
        helper.set_model_props(made, metadata)
        return made

    def _info(self, name: str, v: Any) -> Any:
        sizes = [(n.name or f"size_{i}") if type(n) is Dim else n for i, n in enumerate(v.shape)]
        dtype = v.dtype if isinstance(v.dtype, str) else dtypes.name_of(v.dtype)
        return onnx.helper.make_tensor_value_info(name, element_type(dtype), sizes)

    def fresh(self, kind: str) -> str:
        """A name that nothing has yet, and no input or output will have."""
        self._count += 1
        name = f"{kind.lower()}_{self._count}"
        return name if name not in self._taken else self.fresh(kind)


class Scope:
    """The body of a control-flow node while it is written."""

    def __init__(self, writer: Writer):
        self._writer = writer

    def input(self, spec: Any) -> Any:
        """An input; it has a `name`."""
        return _in_body(self._writer.fresh("input"), spec)

    def graph(self, name: str, inputs: Sequence[Any], results: Sequence[str], values: Sequence[Any]) -> Any:
        """The body. results: names of what it gives, which are as `values`."""
        w = self._writer
        named = [w.node("Identity", [result]) for result in results]  # what comes from outside may be no output of a body
        outputs = [_in_body(n, spec_of(v)) for n, v in zip(named, values)]
        return onnx.helper.make_graph(w.nodes, name, list(inputs), outputs)


def _in_body(name: str, spec: Any) -> Any:
    sizes = [None if type(n) is Dim else n for n in spec.shape]  # which may change from turn to turn
    return onnx.helper.make_tensor_value_info(name, element_type(spec.dtype), sizes)


def _is_weight(array: np.ndarray) -> bool:
    """Whether it is large enough to gain by halves, and its numbers are theirs."""
    return array.dtype == np.float32 and array.size >= 256 and bool(np.all(np.abs(array) <= _LARGEST_HALF))


def element_type(dtype: str) -> int:
    """ONNX's number of a dtype."""
    names = {"float32": "FLOAT", "float64": "DOUBLE"}
    return int(onnx.TensorProto.DataType.Value(names.get(dtype, dtype.upper())))
