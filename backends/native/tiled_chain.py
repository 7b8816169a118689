"""Chains of elementwise ops over large arrays, block by block: each step finds in the cache what the last one left there."""

import collections
import itertools
import math
import threading

from mlkit.backends.native.elementwise_out import typed_scalars
from mlkit.compiler.chain import Chain
from mlkit.core import dtypes
from mlkit.core.machine import threshold
from mlkit.core.spec import Spec
from mlkit.core.state import state
from mlkit.primitives.elementwise import cast, nextafter
from mlkit.primitives.fused.elementwise_chain import apply_all, split

OF_BITS = (nextafter,)  # what means something else in another dtype
BLOCK = threshold("chain_at_a_time")


def make(xp):
    """Op name -> kernel."""

    def fused_elementwise(*xs, chain):
        """Not block by block: plans do without this one."""
        return chain.run(xs, lambda op, args, params: state.kernels[op.name](*args, **params))

    def multi_tensor_apply(*xs, chains):
        return apply_all(xs, chains, lambda op, args, params: state.kernels[op.name](*args, **params))

    fused_elementwise.as_chain = lambda args, params: params["chain"]
    multi_tensor_apply.as_chains = lambda args, params: params["chains"]
    return dict(fused_elementwise=fused_elementwise, multi_tensor_apply=multi_tensor_apply)


class BlockedChain:
    """A chain made ready for operands of known shapes.

    Results that are returned are written where they belong, the others in scratch blocks, used again once they are dead.
    """

    def __init__(self, xp, chain, specs, kernels, scalar):
        env = specs_of(chain, specs)
        self.shape = env[-1].shape
        self.xp = xp
        self.steps, self.scratch = _assign(chain, env, kernels, scalar)
        arrays = [*specs, *(env[i] for i in chain.outs)]
        self.folded, self.blocks = _blocks([s.shape for s in arrays], self.shape)
        self.local = threading.local()

    def __call__(self, *operands, out):
        outs = out if type(out) is tuple else (out,)
        if not all(o.flags.c_contiguous for o in outs):  # the memory of a kernel's own result: no blocks can be cut from it
            self._run([*operands, *outs], [self.xp.empty(self.shape, d) for d in self.scratch])
            return
        arrays = [a.reshape(s) for a, s in zip((*operands, *outs), self.folded)]
        blocks = self._scratch_blocks()
        for indices, size, shape in self.blocks:
            self._run([a[i] for a, i in zip(arrays, indices)], [b[:size].reshape(shape) for b in blocks])

    def _run(self, arrays, scratch):
        env = arrays + scratch
        for kernel, args, out, params in self.steps:
            kernel(*[env[a] if type(a) is int else a for a in args], out=env[out], **params)

    def _scratch_blocks(self):
        """One-dimensional blocks for dead results, kept for the next call in this thread."""
        found = getattr(self.local, "blocks", None)
        if found is None:
            size = max((b[1] for b in self.blocks), default=0)
            found = self.local.blocks = [self.xp.empty(size, d) for d in self.scratch]
        return found


def specs_of(chain, specs):
    """Specs of all values of a chain: of its operands, which are given, and of the results of its steps."""
    env = list(specs)
    for op, args, params in chain.steps:
        env.append(op.spec(*(a[0] if type(a) is tuple else env[a] for a in args), **params))
    return env


def with_rounded_numbers(chain, specs):
    """The chain with the numbers that meet bfloat16 rounded to it, as they are when the op runs alone."""
    if "bfloat16" not in {*(s.dtype for s in specs), *(params.get("dtype") for _, _, params in chain.steps)}:
        return chain
    env, kind = specs_of(chain, specs), dtypes.as_numpy("bfloat16").type

    def rounded(args):
        if not any(type(a) is int and env[a].dtype == "bfloat16" for a in args):
            return args
        return tuple((float(kind(a[0])),) if type(a) is tuple and type(a[0]) is float else a for a in args)

    return Chain(chain.operands, [(op, rounded(args), params) for op, args, params in chain.steps], chain.outs)


def in_single(chain, specs):
    """The chain with bfloat16 computed in float32 and rounded where it is returned, or cast to bfloat16. NumPy has no fast functions of
    bfloat16."""
    chain = with_rounded_numbers(chain, specs)
    env = specs_of(chain, specs)
    if all(s.dtype != "bfloat16" for s in env) or any(op in OF_BITS for op, _, _ in chain.steps):
        return chain
    steps, now = [], list(range(chain.operands))  # now: number of a value -> its number in the new chain

    def step(op, args, params):
        steps.append((op, args, params))
        return chain.operands + len(steps) - 1

    for k, s in enumerate(specs):
        if s.dtype == "bfloat16":
            now[k] = step(cast, (k,), dict(dtype="float32"))
    rounded = dict(dtype="bfloat16")
    for op, args, params in chain.steps:
        if params.get("dtype") == "bfloat16":
            params = dict(params, dtype="float32")
            if op is cast:
                now.append(step(op, (step(op, (now[args[0]],), rounded),), params))
                continue
        now.append(step(op, tuple(a if type(a) is tuple else now[a] for a in args), params))
    outs = [step(cast, (now[v],), rounded) if env[v].dtype == "bfloat16" else now[v] for v in chain.outs]
    return Chain(chain.operands, steps, outs)


def _assign(chain, env, kernels, scalar):
    """Steps as (kernel, args, out, params) over one list: operands, outputs, scratch; and the dtypes of the scratch blocks."""
    n = chain.operands
    last = {a: i for i, (_, args, _) in enumerate(chain.steps) for a in args if type(a) is int}
    home = {i: i for i in range(n)} | {r: n + j for j, r in enumerate(chain.outs)}
    first_scratch = n + len(chain.outs)
    scratch, free, steps = [], {}, []
    for i, (op, args, params) in enumerate(chain.steps):
        specs = [a[0] if type(a) is tuple else env[a] for a in args]
        arrays = typed_scalars(op, specs, env[n + i].dtype, scalar)
        found = [home[a] if type(a) is int else scalar for a, scalar in zip(args, arrays)]
        for a in {a for a in args if type(a) is int}:
            if a >= n and a not in chain.outs and last[a] == i:
                free.setdefault(env[a].dtype, []).append(home[a])
        if n + i not in home:
            dtype = env[n + i].dtype
            if free.get(dtype):
                home[n + i] = free[dtype].pop()
            else:
                home[n + i] = first_scratch + len(scratch)
                scratch.append(dtypes.as_numpy(dtype))
        steps.append((kernels[op.name], found, home[n + i], params))
    return steps, scratch


def fold_axes(shapes, loop):
    """The sizes of a loop over arrays that broadcast, and their shapes, with neighbouring axes joined where all go along."""
    rank = len(loop)
    aligned = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    axes = []  # sizes of joined axes: [of the loop, of each array ...]
    for sizes in zip(loop, *aligned):
        if sizes[0] == 1:
            continue
        repeated = [s == 1 for s in sizes]
        if axes and axes[-1][1] == repeated:
            axes[-1][0] = [a * b for a, b in zip(axes[-1][0], sizes)]
        else:
            axes.append([list(sizes), repeated])
    axes = axes or [[[math.prod(loop)] + [1] * len(shapes), None]]
    loop, *folded = zip(*(sizes for sizes, _ in axes))
    return loop, folded


def _blocks(shapes, loop):
    """The arrays' shapes with axes joined where possible, and the blocks: (an index for each array, elements, shape)."""
    loop, folded = fold_axes(shapes, loop)
    inner = next(k for k in range(len(loop)) if math.prod(loop[k + 1 :]) <= BLOCK or k == len(loop) - 1)
    count = max(1, -(-math.prod(loop[inner:]) // max(BLOCK, 1)))
    step = -(-loop[inner] // count) if loop[inner] else 1
    blocks = []
    for outer in itertools.product(*map(range, loop[:inner])):
        for start in range(0, loop[inner], step):
            stop = min(start + step, loop[inner])
            cut = [slice(i, i + 1) for i in outer] + [slice(start, stop)]
            shape = (1,) * inner + (stop - start,) + loop[inner + 1 :]
            indices = [tuple(c if n != 1 else slice(None) for c, n in zip(cut, sizes)) for sizes in folded]
            blocks.append((indices, math.prod(shape), shape))
    return folded, blocks


def inplace_pairs_of_all(chains, args, specs):
    """`inplace_pairs` of several chains that run at once, so that what two of them read stays."""
    given, pairs, outs, first = collections.Counter(map(id, args)), [], 0, 0
    for own, chain in split(specs, chains):
        found = inplace_pairs(chain, own)
        pairs += [(outs + j, first + k) for j, k in found if given[id(args[first + k])] == 1]
        outs, first = outs + len(chain.outs), first + chain.operands
    return pairs


def inplace_pairs(chain, specs):
    """(output, operand) pairs that may share memory: of one size, and the operand is not read after the output is written."""
    n = chain.operands
    last = {a: i for i, (_, args, _) in enumerate(chain.steps) for a in args if type(a) is int}
    env = chain.run(specs, lambda op, args, params: op.spec(*args, **params))
    pairs = []
    for j, (r, out) in enumerate(zip(chain.outs, env)):
        fitting = [k for k in range(n) if specs[k] == Spec(out.shape, out.dtype) and last.get(k, -1) <= r - n]
        pairs += [(j, k) for k in fitting]
    return pairs
