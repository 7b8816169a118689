"""Graph: a traced computation as a flat list of calls in the order they were made."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mlkit.core.op import Op
from mlkit.core.state import state
from mlkit.core.tensor import Tensor, Value


class Call:
    """One op applied in a graph. An argument is a `Value`, a backend array (a constant), a Python scalar or None.

    inputs: the arguments that are Values; outs: tuple of Values; is_tuple: whether the op returns a tuple (of even one); place: names
    of the layers it was staged in.
    """

    __slots__ = ("op", "args", "inputs", "params", "outs", "is_tuple", "place")

    def __init__(
        self,
        op: Op,
        args: Sequence[Any],
        params: dict[str, Any],
        outs: Sequence[Value],
        is_tuple: bool = False,
        place: tuple[Any, ...] = (),
    ):
        self.op, self.args, self.params, self.outs, self.is_tuple, self.place = op, tuple(args), params, outs, is_tuple, place
        self.inputs = [a for a in args if type(a) is Value]

    def with_args(self, args: Sequence[Any]) -> "Call":
        """The same call of other arguments; its outputs stay the same Values."""
        return Call(self.op, args, self.params, self.outs, self.is_tuple, self.place)


class Graph:
    """inputs: Values; calls: list of Call; outputs: Values or constants."""

    def __init__(self, inputs: Iterable[Value] = (), calls: Iterable[Call] = (), outputs: Iterable[Any] = ()):
        self.inputs, self.calls, self.outputs = list(inputs), list(calls), list(outputs)
        self.state = 0  # how many of the inputs, the last ones, are values of variables
        self.successors: dict[
            int, int
        ] = {}  # number of an input -> number of the output that takes its place when the graph has run
        self.layouts: dict[int, Any] = {}  # number of an output -> the layout that it is to have
        self.is_pruned = False  # whether all calls are known to be needed
        self.name = ""  # of the function that it was traced from
        self.is_due = False  # whether it will be run as soon as it is compiled
        self.is_tuned = False  # whether kernels are to be chosen by trying them, where a backend has several
        self.programs: dict[Any, Any] = {}  # its compiled forms, once backends have made them, under keys of theirs

    def like(self, calls: Iterable[Call] = (), outputs: Iterable[Any] = ()) -> "Graph":
        """A graph with the same inputs and other calls."""
        new = Graph(self.inputs, calls, outputs)
        new.state, new.successors, new.layouts = self.state, self.successors, self.layouts
        return new

    def unchanging(self) -> set[Any]:
        """ids of the inputs that are values of variables to which the graph gives no new ones."""
        first = len(self.inputs) - self.state
        return {id(v) for i, v in enumerate(self.inputs) if i >= first and i not in self.successors}

    def add(self, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Append a call; its output Value, or a tuple of them."""
        result = op.spec(*map(spec_of, args), **params)
        is_tuple = isinstance(result, tuple)
        outs = tuple(map(Value, result)) if isinstance(result, tuple) else (Value(result),)
        self.calls.append(Call(op, args, params, outs, is_tuple, state.call.path))
        return outs if is_tuple else outs[0]

    def free_values(self) -> Any:
        """Values used but neither input nor computed here, in order of use: what a nested graph takes from outside."""
        known = set(map(id, self.inputs))
        free = []
        for call in self.calls:
            for v in call.inputs:
                if id(v) not in known:
                    known.add(id(v))
                    free.append(v)
            known.update(map(id, call.outs))
        for v in self.outputs:
            if type(v) is Value and id(v) not in known:
                known.add(id(v))
                free.append(v)
        return free

    def check(self) -> "Graph":
        """Raise unless every value is defined once and before its use, and every output has the spec its op gives."""
        known = set()

        def define(v, where):
            if id(v) in known:
                raise ValueError(f"Graph.check: {v} is defined twice, the second time by {where}.")
            known.add(id(v))

        for v in self.inputs:
            define(v, "the inputs")
        for i, call in enumerate(self.calls):
            for v in call.inputs:
                if id(v) not in known:
                    raise ValueError(f"Graph.check: call {i} ({call.op.name}) uses {v}, which nothing before it defines.")
            result = call.op.spec(*map(spec_of, call.args), **call.params)
            result = result if isinstance(result, tuple) else (result,)
            if list(result) != [v.spec for v in call.outs]:
                raise ValueError(
                    f"Graph.check: call {i} ({call.op.name}) has outputs {call.outs}, but its spec gives {result}."
                )
            for v in call.outs:
                define(v, f"call {i}")
        for v in self.outputs:
            if type(v) is Value and id(v) not in known:
                raise ValueError(f"Graph.check: output {v} is not defined.")
        return self

    def run(self, *arguments: Any) -> list[Any]:
        """Evaluate call by call through their ops on Tensors: under a tape, in another trace, on specs, or at once."""
        return self.walk(arguments, lambda call, args: call.op(*args, **call.params), _as_tensor)

    def walk(
        self, arguments: Sequence[Any], result: Callable[[Call, list[Any]], Any], constant: Callable[[Any], Any] = lambda a: a
    ) -> list[Any]:
        """What stands for the outputs where something stands for each value.

        Args:
            arguments: What stands for the inputs.
            result: Function of a call and of what stands for its arguments: what stands for its output, or a tuple of these.
            constant: Function of an argument that is no value: a number, None or an array.
        """
        env = dict(zip(map(id, self.inputs), arguments))

        def look_up(a):
            return env[id(a)] if type(a) is Value else constant(a)

        for call in self.calls:
            out = result(call, [look_up(a) for a in call.args])
            env.update(zip(map(id, call.outs), out if call.is_tuple else (out,)))
        return [look_up(v) for v in self.outputs]

    def __repr__(self) -> str:
        names: dict[int, str] = {}

        def name(a):
            if type(a) is Value:
                return names.setdefault(id(a), f"%{len(names)}")
            return _show_constant(a)

        lines = [f"graph({', '.join(f'{name(v)}: {v.spec}' for v in self.inputs)})"]
        for call in self.calls:
            args = ", ".join([*map(name, call.args), *(f"{k}={_show_param(p)}" for k, p in call.params.items())])
            outs = ", ".join(f"{name(v)}: {v.spec}" for v in call.outs)
            lines.append(f"  {outs} = {call.op.name}({args})")
        return "\n".join([*lines, f"  return {', '.join(map(name, self.outputs))}"])


def spec_of(a: Any) -> Any:
    """The Spec of a call's argument; scalars and None stand for themselves."""
    if type(a) is Value:
        return a.spec
    if a is None or isinstance(a, (bool, int, float, complex)):
        return a
    return Tensor(a).spec


def _as_tensor(a: Any) -> Any:
    return a if a is None or isinstance(a, (int, float, complex)) else Tensor(a)


def _show_constant(a: Any) -> str:
    if a is None or isinstance(a, (bool, int, float, complex)):
        return repr(a)
    t = Tensor(a)
    return f"{t.numpy()}" if t.ndim == 0 else f"const {t.spec}"


def _show_param(p: Any) -> str:
    if isinstance(p, Graph):
        return "{" + "; ".join(line.strip() for line in repr(p).splitlines()) + "}"
    return p if isinstance(p, str) else repr(p)
