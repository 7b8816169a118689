"""The module of a loop, in LLVM's language: a function that gets a table of addresses, and runs some turns."""

from mlkit.backends.native.jit.compiler import ENTRY
from mlkit.backends.native.jit.emitter import Emitter, text_of
from mlkit.backends.native.jit.library import binding, ir, machine
from mlkit.backends.native.jit.passes import Writer

WRONG, UNFINISHED = 1, 2  # what functions return


class Module:
    """A module in the making.

    Args:
        buffers: Those whose addresses the table has, in its order.
        counts: How many integers the function takes after the table.
    """

    def __init__(self, buffers, counts):
        self.ir = ir.Module(name="mlkit")
        self.ir.triple = binding.get_process_triple()
        self._i64, self._pointer = ir.IntType(64), ir.PointerType()
        # No two buffers overlap: a function is told so of its arguments, not of what it reads from a table.
        kind = ir.FunctionType(self._i64, [self._pointer] * len(buffers) + [self._i64] * counts)
        function = ir.Function(self.ir, kind, "loop")
        function.linkage = "internal"
        function.attributes.add("noinline")
        function.attributes.add("nounwind")
        for pointer in function.args[: len(buffers)]:
            pointer.add_attribute("noalias")
        self.counts = function.args[len(buffers) :]
        self._entry(function, len(buffers), counts)
        self.e = Emitter(self.ir, function)
        self.writer = Writer(self.e, dict(zip(buffers, function.args)), machine().vector)

    def _entry(self, function, buffers, counts):
        entry = ir.Function(self.ir, ir.FunctionType(self._i64, [self._pointer] + [self._i64] * counts), ENTRY)
        b = ir.IRBuilder(entry.append_basic_block("entry"))
        table = [
            b.load(b.gep(entry.args[0], [ir.Constant(self._i64, k)], source_etype=self._pointer), typ=self._pointer)
            for k in range(buffers)
        ]
        b.ret(b.call(function, [*table, *entry.args[1:]]))

    def steps(self, steps):
        for step in steps:
            self.writer.write(step)

    def wrong(self):
        """WRONG or 0, as a value: whether an index was out of range so far."""
        return self.e.b.load(self.writer.wrong, typ=self._i64)

    def __str__(self):
        return text_of(self.ir)


def of_scan(buffers, body, length, reverse):
    """The text of a function (table, first, count): turns `first` to below `first + count`, of `count` > 0. It returns WRONG where an
    index was out of range, else 0."""
    module = Module(buffers, 2)
    first, count = module.counts
    e = module.e
    module.steps(body.before)

    def turn(i):
        t = e.b.add(first, i)
        module.writer.turn = e.b.sub(e.index(length - 1), t) if reverse else t
        module.steps(body.steps)

    e.loop(count, turn)
    e.b.ret(module.wrong())
    return str(module)


def of_while(buffers, body, test):
    """The text of a function (table, most): turns while the test holds, at most `most` > 0. It returns UNFINISHED where these were not
    enough, WRONG where an index was out of range, else 0."""
    module = Module(buffers, 1)
    (most,) = module.counts
    e, b = module.e, module.e.b
    module.steps([*body.before, *test.before])
    before, head = b.block, e.function.append_basic_block("turn")
    go_on, end = e.function.append_basic_block("body"), e.function.append_basic_block("done")
    b.branch(head)
    b.position_at_end(head)
    done = b.phi(e.i64)
    done.add_incoming(e.index(0), before)
    module.steps(test.steps)
    (holds,) = test.results
    asked = module.writer.load(module.writer.start(holds), (), (), "bool")
    tested = b.block
    b.cbranch(asked, go_on, end)
    b.position_at_end(go_on)
    module.steps(body.steps)
    after = b.add(done, e.index(1))
    done.add_incoming(after, b.block)
    turned = b.block
    b.cbranch(b.icmp_signed("<", after, most), head, end)
    b.position_at_end(end)
    unfinished = b.phi(e.i64)
    unfinished.add_incoming(e.index(0), tested)
    unfinished.add_incoming(e.index(UNFINISHED), turned)
    wrong = module.wrong()
    b.ret(b.select(b.icmp_signed("==", wrong, e.index(0)), unfinished, wrong))
    return str(module)
