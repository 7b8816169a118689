"""Chains of elementwise ops cut into passes over memory.

A pass is what one `binary` primitive with post-ops can do: begin with two tensors, then go on with what is in the register:
apply a function, or combine it with another tensor. A result that is used once goes on in the register; one that is returned
or used again is written to memory. Of two results in registers that meet, one is written, unless it is a product of tensors by
which the other can be multiplied or divided factor by factor.

The gradients of relu and relu6 are passes of their own, by other primitives: their `start` has the op.

bfloat16 is computed in float32 and rounded where it is written. A cast to it is written, for it rounds; a cast of it to float32 takes
no pass of its own, but where its result is returned.

A mask multiplies, as 1 and 0; so an infinity in a masked place becomes NaN, which it does not elsewhere.

Left out is what does not treat NaN and denormal numbers as NumPy does: maximum, minimum, exp and log. (relu, here as in the
products that it is fused with, makes 0 of NaN.)
"""

import functools
import math

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.activation import ELTWISE
from mlkit.backends.native.onednn.row import FLOATS
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.activation import relu6_grad, relu_grad
from mlkit.primitives.fused.epilogue import activation
from mlkit.primitives.fused.mask import masked_scale

NOTHING = -0.0  # added to a number leaves it as it is, also a zero of either sign
NEGATIVE, INVERSE = (c.LINEAR, -1.0, NOTHING), (c.POW, 1.0, -1.0)

_BINARY = {el.add: c.BINARY_ADD, el.sub: c.BINARY_SUB, el.mul: c.BINARY_MUL, el.div: c.BINARY_DIV}
_UNARY = {
    el.neg: [NEGATIVE],
    el.abs_: [(c.ABS, 0.0, 0.0)],
    el.sqrt: [(c.SQRT, 0.0, 0.0)],
    el.rsqrt: [(c.SQRT, 0.0, 0.0), (c.POW, 1.0, -1.0)],
    **{activation(name)[0]: [function.step] for name, function in ELTWISE.items() if function.in_chains},
}
GRADIENTS = {relu_grad: (c.RELU_BY_RESULT, 0.0, 0.0), relu6_grad: (c.CLIP_V2_BY_RESULT, 0.0, 6.0)}


class Pass:
    """start: (algorithm, value, value); then: list of (algorithm, alpha, beta) and (algorithm, value); out: the value it makes.

    Values are numbers: operands of the chain first, then results of its steps.
    """

    def __init__(self, algorithm, x, y):
        self.start, self.then, self.out = (algorithm, x, y), [], None

    def reads(self):
        """Numbers of the values it reads."""
        return {*self.start[1:], *(t[1] for t in self.then if len(t) == 2)}

    def with_full_first(self, is_full):
        """Begin with a value of the full shape, which is what oneDNN asks for. Whether there is one."""
        algorithm, x, y = self.start
        if is_full(x):
            return algorithm not in GRADIENTS or is_full(y)
        if not is_full(y) or algorithm in GRADIENTS:
            return False
        if algorithm in (c.BINARY_ADD, c.BINARY_MUL):
            self.start = algorithm, y, x
        else:
            self.start, self.then = (algorithm, y, x), [NEGATIVE if algorithm == c.BINARY_SUB else INVERSE, *self.then]
        return True

    def is_copy(self):
        """Whether it does nothing but write what it reads, as a cast does."""
        algorithm, x, y = self.start
        return algorithm == c.BINARY_MAX and x == y and not self.then

    def factors(self):
        """If it is a product of tensors and numbers: the tensors and (algorithm, alpha, NOTHING); else None."""
        algorithm, x, y = self.start
        if algorithm not in (c.BINARY_MUL, c.BINARY_MAX):
            return None
        found = [x, y] if algorithm == c.BINARY_MUL else [x]
        for step in self.then:
            if len(step) == 2 and step[0] == c.BINARY_MUL:
                found.append(step[1])
            elif len(step) == 3 and step[0] == c.LINEAR and _is_nothing(step[2]):
                found.append(step)
            else:
                return None
        return found

    def scale(self, alpha, beta=NOTHING):
        """Append x -> alpha x + beta."""
        if alpha == 1.0 and _is_nothing(beta):
            return
        last = self.then[-1] if self.then else ()
        if len(last) == 3 and last[0] == c.LINEAR and _is_nothing(last[2]):  # of two operations only one is left
            same_way = (abs(last[1]) - 1.0) * (
                abs(alpha) - 1.0
            ) >= 0.0  # else what overflows, or underflows, would do so no more
            if _is_nothing(beta) and same_way and all(1e-6 < abs(a) < 1e6 for a in (last[1], alpha)):
                self.then[-1] = c.LINEAR, last[1] * alpha, NOTHING
                return
            if alpha == 1.0 == abs(last[1]) and beta != 0.0:
                self.then[-1] = c.LINEAR, last[1], beta
                return
        self.then.append((c.LINEAR, alpha, beta))


def _is_nothing(beta):
    return beta == 0.0 and math.copysign(1.0, beta) < 0


@functools.lru_cache(256)  # asked in each eager update
def can_cover(chain, masks=frozenset()):
    """Whether all steps of a chain can be parts of passes. masks: numbers of the values that are bool."""
    return all(is_known(op, args, params, masks) for op, args, params in chain.steps)


def is_known(op, args, params, masks=()):
    """Whether a pass can do an op. args: numbers of values, or (number,)."""
    numbers = sum(type(a) is tuple for a in args)
    if op is masked_scale:
        return args[0] not in masks and not numbers
    if any(a in masks for a in args if type(a) is int):
        return False
    if op is el.cast:
        return params["dtype"] in FLOATS and not numbers
    if op is el.div and type(args[1]) is tuple and not 1e-30 < abs(args[1][0]) < 1e30:
        return False  # it multiplies by the inverse, which must be a normal number
    return ((op in _UNARY or op in GRADIENTS) and not numbers) or (op in _BINARY and numbers < 2)


def cover(chain, early=()):
    """The passes of a chain, in order. early: numbers of operands that a pass can only begin with."""
    return _Cover(chain, early).run()


class _Cover:
    def __init__(self, chain, early):
        self.chain, self.early, self.passes, self.open = chain, early, [], {}
        self.uses, self.same = {}, {}  # same: number of a cast of what lies in memory -> number of that
        for _, args, _ in chain.steps:
            for a in args:
                if type(a) is int:
                    self.uses[a] = self.uses.get(a, 0) + 1

    def run(self):
        for v, (op, args, params) in enumerate(self.chain.steps, self.chain.operands):
            args = [self.same.get(a, a) if type(a) is int else a for a in args]
            is_rounding = op is el.cast and params["dtype"] == "bfloat16"
            if op is el.cast and not is_rounding and args[0] not in self.open and v not in self.chain.outs:
                self.same[v] = args[0]
                continue
            self.open[v] = self._step(op, args, **params)
            if v in self.chain.outs or self.uses.get(v) != 1 or op in GRADIENTS or is_rounding:
                self._written(v)
        return self.passes

    def _written(self, v):
        """The number of a value that lies in memory."""
        if v in self.open:
            done = self.open.pop(v)
            done.out = v
            self.passes.append(done)
        return v

    def _begin(self, v):
        """A pass with the value in its register."""
        return self.open.pop(v) if v in self.open else Pass(c.BINARY_MAX, v, v)

    def _step(self, op, args, scale=None, dtype=None):
        if op in _UNARY or op is el.cast:
            now = self._begin(args[0])
            now.then += _UNARY.get(op, ())
            return now
        x, y = args
        if op is masked_scale:
            now = self._of_two(el.mul, x, y)
            now.scale(scale)
            return now
        if op in GRADIENTS:
            return Pass(op, self._written(x), self._written(y))
        if type(x) is tuple:
            return self._of_number(op, y, x[0], True)
        if type(y) is tuple:
            return self._of_number(op, x, y[0], False)
        return self._of_two(op, x, y)

    def _of_number(self, op, v, number, is_first):
        now, number = self._begin(v), float(number)
        if op is el.add:
            now.scale(1.0, number)
        elif op is el.sub:
            if is_first:
                now.scale(-1.0)
            now.scale(1.0, number if is_first else -number)
        elif op is el.mul:
            now.scale(number)
        elif is_first:
            now.then.append((c.POW, number, -1.0))
        else:
            now.scale(1.0 / number)
        return now

    def _of_two(self, op, x, y):
        if x not in self.open and y not in self.open:
            return Pass(_BINARY[op], x, y)
        if x in self.open and y in self.open and x != y:
            if op in (el.mul, el.div) and self._factors(y):
                return self._times(_BINARY[op], self.open.pop(x), self.open.pop(y).factors())
            if op is el.mul and self._factors(x):
                return self._times(c.BINARY_MUL, self.open.pop(y), self.open.pop(x).factors())
            if op is el.div and self._factors(x):
                now = self.open.pop(y)
                now.then.append(INVERSE)
                return self._times(c.BINARY_MUL, now, self.open.pop(x).factors())
            self._written(x)
        if x in self.early or y in self.early:
            return Pass(_BINARY[op], self._written(x), self._written(y))
        if x in self.open:
            now = self.open.pop(x)
            now.then.append((_BINARY[op], y))
            return now
        now = self.open.pop(y)
        if op in (el.sub, el.div):
            now.then.append(NEGATIVE if op is el.sub else INVERSE)
        now.then.append((c.BINARY_ADD if op in (el.add, el.sub) else c.BINARY_MUL, x))
        return now

    def _factors(self, v):
        """Those of an open pass that may be used one after the other, or None."""
        found = self.open[v].factors()
        return None if found and any(f in self.early for f in found if type(f) is int) else found

    def _times(self, algorithm, now, factors):
        """Multiply, or divide, by tensors and numbers one after the other."""
        for f in factors:
            if type(f) is int:
                now.then.append((algorithm, f))
            else:
                now.scale(f[1] if algorithm == c.BINARY_MUL else 1.0 / f[1])
        return now
