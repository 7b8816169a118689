"""The choice of a kernel for each call of a graph, made once, when the plan is made."""

from mlkit.backends.native import chain, control, pointwise, update
from mlkit.backends.native.table import Rows
from mlkit.compiler.plan import Choice
from mlkit.core.graph import Graph, spec_of

CHAINS = ("fused_elementwise", *update.NAMES)
ALIASING = ("real", "imag", "bitcast", *pointwise.ROUNDING)  # kernels whose result may be a view of their argument


def select(backend, call, operand):
    """The Choice for a call. operand: a function from its arguments and results to what the plan knows of them."""
    name, params = call.op.name, call.params
    kernel = backend.kernels.get(name)
    if kernel is None:
        raise NotImplementedError(f"The {backend.name} backend has no kernel for {name!r}.")
    if isinstance(kernel, Rows):
        return next(filter(None, (_row(backend, k, call, operand) for k in kernel.candidates(call.args, params))))
    return _of_numpy(backend, kernel, call)


def as_eager(backend, call, operand):
    """The Choice of the very kernel that runs the op outside plans, which makes its result itself: exact programs get no other."""
    kernel = backend.kernels.get(call.op.name)
    if kernel is None:
        raise NotImplementedError(f"The {backend.name} backend has no kernel for {call.op.name!r}.")
    return Choice(kernel, call.params, aliases=call.op.name in ALIASING, workspace=_workspace(kernel, call))


def _of_numpy(backend, kernel, call):
    """The Choice of a kernel that is a plain function."""
    name, params = call.op.name, call.params
    if name in CHAINS:
        return _chain(backend, call)
    if can_chain(backend, call):
        every = [(0, k) for k in range(len(call.args))]
        return Choice(kernel, params, backend.pointwise[name], every)
    accepts, into = backend.into.get(name, (None, None))
    if into is not None and not accepts(call.outs[0].dtype):
        into = None
    into, inplace = into or getattr(kernel, "into", None), getattr(kernel, "inplace", ())
    return Choice(kernel, params, into, inplace, aliases=name in ALIASING, workspace=_workspace(kernel, call))


def _row(backend, kernel, call, operand):
    """The Choice of one of several rows, or None where it declines."""
    if not hasattr(kernel, "prepare"):
        return _of_numpy(backend, kernel, call)
    prepared = kernel.prepare([*map(operand, call.args)], [*map(operand, call.outs)], call.params)
    return None if prepared is None else Choice(kernel, call.params, inplace=prepared.inplace, prepared=prepared)


def can_chain(backend, call):
    """Whether there is an elementwise kernel that writes into given memory for the call."""
    if call.op.name not in backend.pointwise:
        return False
    tensor = next((a for a in call.args if hasattr(a, "dtype")), None)
    return tensor is not None and pointwise.accepts(call.op.name, tensor.dtype)


def gains_alone(backend, call):
    """Whether a call gains by being a chain of its own, as those of bfloat16 and its comparisons do, which chains compute in float32."""
    out = call.outs[0].dtype
    if out == "bfloat16" or (out == "bool" and any(a.dtype == "bfloat16" for a in call.inputs)):
        return True
    rows = backend.kernels.get("fused_elementwise")
    return isinstance(rows, Rows) and any(k.gains_alone(call) for _, k in rows.rows if hasattr(k, "gains_alone"))


def keeps(backend, call):
    """The Spec of what the kernel of a call can keep for the call's gradient, or None."""
    kernel = backend.kernels[call.op.name]
    if isinstance(kernel, Rows):
        kernel = kernel.choose(call.args, call.params)
    return kernel.keeps(*call.args, **call.params) if hasattr(kernel, "keeps") else None


def _chain(backend, call):
    specs = [spec_of(a) for a in call.args]
    program = call.params["chain"] if "chain" in call.params else update.as_chain(call.op.name, call.args, call.params)
    program = chain.in_single(program, specs)
    run = chain.BlockedChain(backend.xp, program, specs, backend.pointwise)
    return Choice(run, {}, run, chain.inplace_pairs(program, specs))


def _workspace(kernel, call):
    """Bytes a kernel takes besides its results: what it says itself, or what the plans of its bodies need."""
    if hasattr(kernel, "workspace"):
        return kernel.workspace(*call.args, **call.params)
    bodies = [p for p in call.params.values() if type(p) is Graph]
    if not bodies:
        return 0
    return max(p.arena_bytes + p.result_bytes for p in (control.program(b).plan for b in bodies))
