"""From a graph to a Python function that runs its kernels one after the other."""

from mlkit.core.passes import optimize
from mlkit.core.tensor import Value


def compile_graph(backend, graph):
    """A function (arrays of the graph's inputs) -> arrays of its outputs."""
    graph = optimize(graph, backend)
    names = {id(v): f"i{i}" for i, v in enumerate(graph.inputs)}
    env, lines = {}, ["def run(inputs):"]
    if graph.inputs:
        lines.append(f"  {', '.join(names[id(v)] for v in graph.inputs)}, = inputs")

    def name(a):
        if type(a) is Value:
            return names[id(a)]
        if a is None or isinstance(a, (bool, int, float, complex)) and repr(a) not in ("inf", "-inf", "nan"):
            return repr(a)
        env[f"c{len(env)}"] = a
        return f"c{len(env) - 1}"

    for k, call in enumerate(graph.calls):
        if call.op.name not in backend.kernels:
            raise NotImplementedError(f"The {backend.name} backend has no kernel for {call.op.name!r}.")
        env[f"k{k}"], env[f"p{k}"] = backend.kernels[call.op.name], call.params
        for j, v in enumerate(call.outs):
            names[id(v)] = f"v{k}_{j}"
        outs = ", ".join(names[id(v)] for v in call.outs)
        lines.append(f"  {outs}{',' if call.is_tuple else ''} = k{k}({', '.join([*map(name, call.args), f'**p{k}'])})")
    lines.append(f"  return [{', '.join(map(name, graph.outputs))}]")
    exec(compile("\n".join(lines), "<plan>", "exec"), env)
    return env["run"]
