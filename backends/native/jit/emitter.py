"""LLVM's language in the words that native code of loops is made of: numbers, loads, stores, loops of known length."""

import re

from mlkit.backends.native.jit.library import ir
from mlkit.core import dtypes

CONTRACT = ("contract",)  # flags of what may be rounded once where it is multiplied and added


class Emitter:
    """A function in the making. b: llvmlite's builder at the place where it goes on."""

    def __init__(self, module, function):
        self.module, self.function = module, function
        self.b = ir.IRBuilder(function.append_basic_block("entry"))
        self.i64 = ir.IntType(64)
        self._rolled = 0

    # ---- numbers -----------------------------------------------------------------------------------------------------

    def type(self, dtype):
        """The type of a value; a bool is one bit, and a byte in memory (`stored`)."""
        return {
            "float32": ir.FloatType, "float64": ir.DoubleType, "int32": lambda: ir.IntType(32), "int64": lambda: ir.IntType(64),
            "bool": lambda: ir.IntType(1),
        }[dtype]()  # fmt: skip

    def number(self, value, dtype):
        if dtypes.is_int(dtype):
            bits = dtypes.itemsize(dtype) * 8
            return ir.Constant(self.type(dtype), (int(value) + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1))
        if dtype == "bool":
            return ir.Constant(self.type(dtype), int(bool(value)))
        return ir.Constant(self.type(dtype), float(dtypes.as_numpy(dtype).type(value)))

    def index(self, value):
        return ir.Constant(self.i64, value)

    def intrinsic(self, name, *args):
        """The result of one of LLVM's functions of arguments of one type, which its name ends in."""
        kind = args[0].type
        suffix = f"v{kind.count}{kind.element.intrinsic_name}" if isinstance(kind, ir.VectorType) else kind.intrinsic_name
        return self._call(f"llvm.{name}.{suffix}", args)

    def library(self, name, *args):
        """The result of a function of C's library."""
        function = self._call(name, args).callee
        function.attributes.add("readnone")
        function.attributes.add("nounwind")
        return self.b.block.instructions[-1]

    def _call(self, name, args):
        function = self.module.globals.get(name)
        if function is None:
            function = ir.Function(self.module, ir.FunctionType(args[0].type, [a.type for a in args]), name)
        return self.b.call(function, args)

    # ---- memory ------------------------------------------------------------------------------------------------------

    def address(self, base, dtype, strides, indices):
        """Of an element. strides: in bytes, of the axes that have an index."""
        item, at = dtypes.itemsize(dtype), self.index(0)
        for stride, i in zip(strides, indices):
            if stride:
                at = self.b.add(at, self.b.mul(i, self.index(stride // item), flags=("nsw",)), flags=("nsw",))
        return self.b.gep(base, [at], inbounds=True, source_etype=self.stored(dtype))

    def stored(self, dtype):
        return ir.IntType(8) if dtype == "bool" else self.type(dtype)

    def load(self, address, dtype):
        found = self.b.load(address, typ=self.stored(dtype))
        return self.b.icmp_unsigned("!=", found, ir.Constant(found.type, 0)) if dtype == "bool" else found

    def store(self, value, address, dtype):
        self.b.store(self.b.zext(value, self.stored(dtype)) if dtype == "bool" else value, address)

    # ---- loops -------------------------------------------------------------------------------------------------------

    def loop(self, count, body, carried=(), rolled=False):
        """Run ``body(i, *carried)`` for i from 0 to below `count`, a number or a value; it gives the new carried values. The last ones
        come back. A loop of one turn is none; a value must be more than 0. rolled: whether it is to stay a loop, however short it is."""
        if count == 0:
            return list(carried)
        if count == 1:
            return list(body(self.index(0), *carried) or ())
        before, b = self.b.block, self.b
        head = self.function.append_basic_block("loop")
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(self.i64)
        values = [b.phi(v.type) for v in carried]
        for phi, v in zip([i, *values], [self.index(0), *carried]):
            phi.add_incoming(v, before)
        new = list(body(i, *values) or ())
        after = b.add(i, self.index(1), flags=("nsw", "nuw"))
        for phi, v in zip([i, *values], [after, *new]):
            phi.add_incoming(v, b.block)
        end = self.function.append_basic_block("end")
        limit = self.index(count) if type(count) is int else count
        back = b.cbranch(b.icmp_signed("<", after, limit), head, end)
        if rolled:
            back.set_metadata("llvm.loop", self.module.add_metadata([f"{_ROLLED} {self._rolled}"]))
            self._rolled += 1
        b.position_at_end(end)
        return new

    def nest(self, shape, body, indices=()):
        """Run ``body(indices)`` for all elements of a shape, the last axis innermost."""
        if not shape:
            body(list(indices))
        else:
            self.loop(shape[0], lambda i: self.nest(shape[1:], body, [*indices, i]))


_ROLLED = "mlkit rolled"


def text_of(module):
    """The text of a module. What marks a loop has to name itself, which llvmlite has no words for."""
    text, found = re.subn(
        rf'^(!\d+) = !{{ !"{_ROLLED} \d+" }}$', r"\1 = distinct !{\1, !999999}", str(module), flags=re.MULTILINE
    )
    return text + '\n!999999 = !{!"llvm.loop.unroll.disable"}\n' if found else text
