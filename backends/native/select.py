"""The choice of a kernel for each call of a graph, made once, when the plan is made."""

from mlkit.backends.native import control, elementwise_out, tiled_chain
from mlkit.backends.native.table import Rows
from mlkit.compiler.plan import Choice
from mlkit.core.graph import Graph, spec_of
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.elementwise_chain import split

# ops whose kernels may return a view of their argument
ALIASING = (el.real, el.imag, el.conj, el.bitcast, *elementwise_out.ROUNDING)


def select(backend, call, operand):
    """The Choice for a call. operand: a function from its arguments and results to what the plan knows of them."""
    name, params = call.op.name, call.params
    kernel = backend.table.get(name)
    if kernel is None:
        raise NotImplementedError(f"The {backend.name} backend has no kernel for {name!r}.")
    if isinstance(kernel, Rows):
        return next(filter(None, (_row(backend, k, call, operand) for k in kernel.candidates(call.args, params))))
    return _of_numpy(backend, kernel, call)


def as_eager(backend, call, operand):
    """The Choice of the very kernel that runs the op outside plans, which makes its result itself: exact programs get no other."""
    kernel = backend.table.get(call.op.name)
    if kernel is None:
        raise NotImplementedError(f"The {backend.name} backend has no kernel for {call.op.name!r}.")
    return Choice(kernel, call.params, aliases=call.op in ALIASING, workspace=_workspace(backend, kernel, call))


def _of_numpy(backend, kernel, call):
    """The Choice of a kernel that is a plain function."""
    name, params = call.op.name, call.params
    if hasattr(kernel, "as_chain"):
        return _chain(backend, kernel.as_chain(call.args, params), call)
    if hasattr(kernel, "as_chains") and backend.device.joins_chains:
        return _chains(backend, kernel.as_chains(call.args, call.params), call)
    if backend.target.can_chain(call):
        every = [(0, k) for k in range(len(call.args))]
        return Choice(kernel, params, backend.elementwise_out[name], every)
    accepts, into = backend.out_kernels.get(name, (None, None))
    if into is not None and not accepts(call.outs[0].dtype):
        into = None
    into, inplace = getattr(kernel, "into", None) or into, getattr(kernel, "inplace", ())
    scratch = kernel.scratch(*call.args, **params) if hasattr(kernel, "scratch") else 0
    workspace = _workspace(backend, kernel, call)
    return Choice(kernel, params, into, inplace, aliases=call.op in ALIASING, workspace=workspace, scratch=scratch)


def _row(backend, kernel, call, operand):
    """The Choice of one of several rows, or None where it declines."""
    if not hasattr(kernel, "prepare"):
        return _of_numpy(backend, kernel, call)
    prepared = kernel.prepare([*map(operand, call.args)], [*map(operand, call.outs)], call.params)
    return None if prepared is None else Choice(kernel, call.params, inplace=prepared.inplace, prepared=prepared)


def _chain(backend, program, call):
    specs = [spec_of(a) for a in call.args]
    program = tiled_chain.in_single(program, specs)
    run = backend.device.chain(program, specs, backend.elementwise_out)
    return Choice(run, {}, run, tiled_chain.inplace_pairs(program, specs))


def _chains(backend, programs, call):
    specs = [spec_of(a) for a in call.args]
    programs = [tiled_chain.in_single(program, own) for own, program in split(specs, programs)]
    run = backend.device.chains(programs, specs)
    return Choice(run, {}, run, tiled_chain.inplace_pairs_of_all(programs, call.args, specs))


def _workspace(backend, kernel, call):
    """Bytes a kernel takes besides its results: what it says itself, or what the plans of its bodies need."""
    if hasattr(kernel, "workspace"):
        return kernel.workspace(*call.args, **call.params)
    bodies = [p for p in call.params.values() if type(p) is Graph]
    if not bodies:
        return 0
    return max(p.arena_bytes + p.result_bytes for p in (control.program(backend, b).plan for b in bodies))
