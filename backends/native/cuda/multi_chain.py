"""Several chains over tensors of any sizes as one kernel, which takes a table of pointers: how all weights are updated in one launch.

The table is an argument by value, so a captured graph holds it and nothing is copied beforehand. A block has a part of one tensor. What
does not fit into the arguments of one launch is a second one.
"""

import hashlib

import numpy as np

from mlkit.backends.native.cuda.chain import BLOCK, ChainKernel
from mlkit.backends.native.cuda.expressions import STORED
from mlkit.backends.native.cuda.row import is_dense
from mlkit.core.spec import Spec, size_of
from mlkit.primitives.fused.elementwise_chain import split

AT_ONCE = 16 * BLOCK  # elements that a block takes; a multiple of four, so that parts begin where fours do
MOST_RULES = 255  # that a table can number
# As C has it: struct tensor { long long size; unsigned first; unsigned short at; unsigned char rule, wide; };
_TENSOR = np.dtype([("size", "i8"), ("first", "u4"), ("at", "u2"), ("rule", "u1"), ("wide", "u1")])
_rules = {}  # (text of a chain, dtypes of its operands, which of them are tensors) -> its ChainKernel


def rule(chain, specs):
    """The ChainKernel of a chain of any size. specs: of operands that have the shape of its results or are single numbers.

    Raises:
        NotImplementedError: A step has no expression in CUDA C.
    """
    size = _size(specs)
    key = repr(chain), tuple(s.dtype for s in specs), tuple(size_of(s.shape) == size for s in specs)
    if key not in _rules:
        if len(_rules) > 1000:
            _rules.clear()
        _rules[key] = ChainKernel(chain, [Spec((8,) if is_full else (), dtype) for dtype, is_full in zip(*key[1:])])
    return _rules[key]


class MultiChainKernel:
    """The kernel of some rules. tensors, pointers: how many the table has room for."""

    parts = ()

    def __init__(self, rules, tensors, pointers):
        self.rules = rules
        self.dtype = np.dtype([("tensors", _TENSOR, (tensors,)), ("pointers", "u8", (pointers,))])
        key = hashlib.sha256(f"{[r.name for r in rules]}{tensors} {pointers}".encode()).hexdigest()
        self.name = f"chains_{key[:16]}"
        self.text = self._text(tensors, pointers)

    def _text(self, tensors, pointers):
        functions = "".join(dict.fromkeys(r.functions for r in self.rules))
        cases = "".join(f"    case {number}: {self._call(r)} break;\n" for number, r in enumerate(self.rules))
        return f"""namespace {self.name}_of {{
{functions}struct tensor {{ long long size; unsigned first; unsigned short at; unsigned char rule, wide; }};
struct table {{ tensor tensors[{tensors}]; void* pointers[{pointers}]; }};
}}
extern "C" __global__ void __launch_bounds__({BLOCK}) {self.name}(const __grid_constant__ {self.name}_of::table t, unsigned count) {{
  using namespace {self.name}_of;
  unsigned low = 0, high = count;  // the tensor that the block has a part of is between them
  while (high - low > 1) {{
    unsigned middle = (low + high) / 2;
    if (t.tensors[middle].first <= blockIdx.x) low = middle; else high = middle;
  }}
  void* const* p = t.pointers + t.tensors[low].at;
  long long begin = (long long)(blockIdx.x - t.tensors[low].first) * {AT_ONCE}, left = t.tensors[low].size - begin;
  unsigned n = left < {AT_ONCE} ? (unsigned)left : {AT_ONCE}u;
  int wide = t.tensors[low].wide;
  switch (t.tensors[low].rule) {{
{cases}  }}
}}
"""

    @staticmethod
    def _call(r):
        places = [r.moves(k) for k in range(len(r.specs))] + [True] * len(r.outs)
        kinds = [f"const {STORED[s.dtype]}*" for s in r.specs] + [f"{STORED[s.dtype]}*" for s in r.outs]
        pointers = [f"({kind})p[{k}]{' + begin' if moves else ''}" for k, (kind, moves) in enumerate(zip(kinds, places))]
        return f"{r.name}_over({', '.join(pointers)}, n, n, wide, threadIdx.x, blockDim.x);"


class LaunchedChains:
    """Several chains of a plan: one launch, where a device takes as many arguments.

    Args:
        device: The GPU.
        chains, specs: The chains, and the Specs of the operands of all.
    """

    def __init__(self, device, chains, specs):
        self.device = device
        self._groups = []  # (kernel, rule of each tensor, its number of operands and of results, its size)
        rows = [(rule(chain, own), _size(own)) for own, chain in split(specs, chains)]
        while rows:
            taken = self._as_many_as_fit(rows)
            rules = list(dict.fromkeys(r for r, _ in rows[:taken]))
            pointers = sum(len(r.specs) + len(r.outs) for r, _ in rows[:taken])
            kernel = MultiChainKernel(rules, _rounded(taken, 16), _rounded(pointers, 64))
            device.modules.want(kernel)
            self._groups.append((kernel, rows[:taken]))
            rows = rows[taken:]
        self.launches = len(self._groups)

    def _as_many_as_fit(self, rows):
        pointers, rules = 0, set()
        for taken, (r, _) in enumerate(rows):
            pointers += len(r.specs) + len(r.outs)
            rules.add(r)
            bytes_taken = _rounded(taken + 1, 16) * _TENSOR.itemsize + 8 * _rounded(pointers, 64) + 8
            if taken and (bytes_taken > self.device.parameter_bytes or len(rules) > MOST_RULES):
                return taken
        return len(rows)

    def __call__(self, *operands, out):
        xp = self.device.xp
        operands = [self.device.dense(a) for a in operands]
        dense = [o if is_dense(o) else xp.empty(o.shape, o.dtype) for o in out]
        k = j = 0
        for kernel, rows in self._groups:
            table, blocks, at = np.zeros((), kernel.dtype), 0, 0
            number = {r: i for i, r in enumerate(kernel.rules)}
            for i, (r, size) in enumerate(rows):
                arrays = [*operands[k : k + len(r.specs)], *dense[j : j + len(r.outs)]]
                k, j = k + len(r.specs), j + len(r.outs)
                wide = all(a.data.ptr % min(4 * a.itemsize, 16) == 0 for a in arrays if a.size > 1)
                table["tensors"][i] = size, blocks, at, number[r], wide
                table["pointers"][at : at + len(arrays)] = [a.data.ptr for a in arrays]
                at, blocks = at + len(arrays), blocks + -(-size // AT_ONCE)
            if blocks:
                self.device.modules.function(kernel.name)((blocks,), (BLOCK,), (table, np.uint32(len(rows))))
        for o, d in zip(out, dense):
            if o is not d:
                o[...] = d


def _size(specs):
    """Elements of the results for operands of these specs, of which those with one are numbers beside others, even beside empty ones."""
    sizes = {size_of(s.shape) for s in specs}
    return 0 if 0 in sizes else max(sizes)


def _rounded(number, to):
    """The next multiple: tables of a few sizes, so that few kernels are made."""
    return -(-number // to) * to
