"""A chain of elementwise ops as one kernel of CUDA C: each operand is read once, each result written once.

Which axes go along and which repeat is in the text, sizes are arguments, so that one text serves all sizes of a kind. Where nothing but
single numbers repeats, a thread takes four neighbours at a time, with loads of 16 bytes where the memory begins at a multiple of that.
"""

import hashlib
import math

from mlkit.backends.native.cuda.expressions import C_TYPES, STORED, expression, number, rounded
from mlkit.backends.native.tiled_chain import fold_axes, specs_of
from mlkit.primitives import elementwise as el

BLOCK = 256  # threads of a block
_WIDEST = 2**31 - 1  # elements that a 32-bit index counts


class ChainKernel:
    """The kernel of a chain over operands of some specs.

    name, text: of the function, the same for chains that differ in sizes only; functions: what its text stands on; loop: sizes that it
    takes as arguments after the number of elements; chain, specs: what it was made of; is_flat: whether four elements are neighbours in all
    operands.
    """

    parts = ()

    def __init__(self, chain, specs):
        self.chain, self.specs = chain, specs
        self.env = specs_of(chain, specs)
        self.outs = [self.env[i] for i in chain.outs]
        self.loop, self._folded = fold_axes([s.shape for s in specs], self.env[-1].shape)
        self.size = math.prod(self.loop)
        self.is_flat = all(s in (tuple(self.loop), (1,) * len(self.loop)) for s in map(tuple, self._folded))
        self._index = "unsigned" if self.size <= _WIDEST else "long long"
        body = self._body()
        signature = self._signature()
        key = hashlib.sha256(
            f"{signature}{body}{self.is_flat}{[self._place(k) for k in range(len(specs))]}".encode()
        ).hexdigest()
        self.name = f"chain_{key[:16]}"
        self.functions, launched = self._text(body, signature)
        self.text = self.functions + launched

    # ---- text ----------------------------------------------------------------------------------------------------------

    def _body(self):
        """The steps, from the values v0 … of the operands to those of all results."""
        n, lines = self.chain.operands, []
        for i, (op, args, params) in enumerate(self.chain.steps):
            result = self.env[n + i]
            tensors = [self.env[a].dtype if type(a) is int else None for a in (args[1:] if op is el.where else args)]
            dtype = next(filter(None, tensors), result.dtype)
            names = [
                f"v{a}" if type(a) is int else number(a[0], "bool" if op is el.where and k == 0 else dtype)
                for k, a in enumerate(args)
            ]
            text = expression(op, names, dtype, params)
            if text is None:
                raise NotImplementedError(f"{op.name} of {dtype}")
            lines.append(f"{C_TYPES[result.dtype]} v{n + i} = {rounded(text, result.dtype)};")
        return "\n    ".join(lines)

    def _signature(self):
        operands = [f"const {STORED[s.dtype]}* x{k}" for k, s in enumerate(self.specs)]
        results = [f"{STORED[s.dtype]}* y{k}" for k, s in enumerate(self.outs)]
        return ", ".join(
            [*operands, *results, f"{self._index} n", *(f"{self._index} n{a}" for a in range(len(self.loop))), "int wide"]
        )

    def _place(self, k):
        """Where the element i of the loop lies in operand k, as text."""
        sizes = self._folded[k]
        if tuple(sizes) == tuple(self.loop):
            return "i"
        along = [a for a in range(len(self.loop)) if sizes[a] != 1]
        if not along:
            return "0"
        return " + ".join("*".join([f"c{a}", *(f"n{b}" for b in along if b > a)]) for a in along)

    def _text(self, body, signature):
        """(functions for one element and for many, the kernel that is launched)"""
        specs = self.specs
        passed = ", ".join(
            [f"{STORED[s.dtype]} a{k}" for k, s in enumerate(specs)]
            + [f"{STORED[s.dtype]}& r{k}" for k, s in enumerate(self.outs)]
        )
        values = " ".join(f"{C_TYPES[s.dtype]} v{k} = load(a{k});" for k, s in enumerate(specs))
        stores = " ".join(f"store(r{j}, v{i});" for j, i in enumerate(self.chain.outs))
        step = f"__device__ __forceinline__ void {self.name}_step({passed}) {{\n    {values}\n    {body}\n    {stores}\n}}\n"
        names = [p.rpartition(" ")[2] for p in signature.split(", ")]
        i = self._index
        launched = (
            f'extern "C" __global__ void __launch_bounds__({BLOCK}) {self.name}({signature}) {{\n'
            f"  {self.name}_over({', '.join(names)}, blockIdx.x * ({i})blockDim.x + threadIdx.x, ({i})gridDim.x * blockDim.x);\n}}\n"
        )
        return step + self._over(signature), launched

    def _over(self, signature):
        """The function that takes the elements `first`, `first + step` and so on, fours of them where that is possible."""
        i = self._index
        head = f"__device__ __forceinline__ void {self.name}_over({signature}, {i} first, {i} step) {{\n"
        ones = ", ".join(
            [f"x{k}[{self._place(k)}]" for k in range(len(self.specs))] + [f"y{j}[i]" for j in range(len(self.outs))]
        )
        coordinates = "".join(f"    {i} c{a} = q % n{a}; q /= n{a};\n" for a in reversed(range(len(self.loop))))
        where = "" if self.is_flat else f"    {i} q = i;\n{coordinates}"
        start = "first" if not self.is_flat else "(wide ? n / 4 * 4 : 0) + first"
        single = f"  for ({i} i = {start}; i < n; i += step) {{\n{where}    {self.name}_step({ones});\n  }}\n"
        return head + (self._four() if self.is_flat else "") + single + "}\n"

    def _four(self):
        """The loop over four elements at a time."""
        flat = [self.moves(k) for k in range(len(self.specs))]
        loads = "".join(
            f"    Four<{STORED[s.dtype]}> a{k} = ((const Four<{STORED[s.dtype]}>*)x{k})[j];\n"
            for k, s in enumerate(self.specs)
            if flat[k]
        )
        rooms = "".join(f"    Four<{STORED[s.dtype]}> r{k};\n" for k, s in enumerate(self.outs))
        stores = "".join(f"    ((Four<{STORED[s.dtype]}>*)y{k})[j] = r{k};\n" for k, s in enumerate(self.outs))
        # Four functions of doubles at a time take too many registers.
        unrolled = 1 if any(s.dtype == "float64" for s in self.env) else 4
        passed = ", ".join(
            [f"a{k}.v[k]" if flat[k] else f"x{k}[0]" for k in range(len(flat))] + [f"r{k}.v[k]" for k in range(len(self.outs))]
        )
        return (
            f"  if (wide) for ({self._index} j = first; j < n / 4; j += step) {{\n{loads}{rooms}"
            f"#pragma unroll {unrolled}\n    for (int k = 0; k < 4; ++k) {self.name}_step({passed});\n{stores}  }}\n"
        )

    def moves(self, k):
        """Whether operand k goes along with the loop of a flat chain; else it is one number."""
        return self._place(k) == "i"

    # ---- running ---------------------------------------------------------------------------------------------------------

    def blocks(self, most):
        """How many blocks of threads to start; most: that a device can use."""
        return max(1, min(-(-self.size // (BLOCK * (4 if self.is_flat else 1))), most))

    def sizes(self):
        """The arguments after the pointers but for the last."""
        return [self.size, *self.loop]
