"""Functions of float32 that LLVM can compute for many numbers at a time, which calls of C's library stand in the way of.

Errors are below 2 units in the last place. The polynomials are minimax fits (Lawson's algorithm) of what stands beside each.
"""

from mlkit.backends.native.jit.emitter import CONTRACT
from mlkit.backends.native.jit.library import ir

_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # their sum is ln 2, and the first has few bits
_ROUNDER = 12582912.0  # 1.5 * 2**23: adding it leaves an integer in the low bits
_EXP = (0.5000000095700854, 0.16666518306017733, 0.041666204138829446, 0.00836895351266528, 0.0013950602284720803)
_TANH = (-0.33333283925296053, 0.13331491286953465, -0.05374349806436604, 0.020650587219301214, -0.005717044955477823)
_LOG = (0.6666666563927994, 0.4000033671612758, 0.28537204424133394, 0.23584252740035372)
_SMALL = 0.625  # up to where tanh is a polynomial
_ROOT_OF_HALF = 0.70710677


class _Single:
    """Arithmetic of float32 with an emitter; numbers are Python's."""

    def __init__(self, e):
        self.e, self.b = e, e.b

    def of(self, x):
        return self.e.number(x, "float32") if type(x) in (int, float) else x

    def add(self, x, y):
        return self.b.fadd(self.of(x), self.of(y), flags=CONTRACT)

    def sub(self, x, y):
        return self.b.fsub(self.of(x), self.of(y), flags=CONTRACT)

    def mul(self, x, y):
        return self.b.fmul(self.of(x), self.of(y), flags=CONTRACT)

    def div(self, x, y):
        return self.b.fdiv(self.of(x), self.of(y))

    def polynomial(self, x, coefficients):
        found = self.of(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            found = self.add(self.mul(found, x), c)
        return found

    def choose(self, x, sign, y, a, b):
        """a where x and y compare so, else b."""
        return self.b.select(self.b.fcmp_ordered(sign, x, self.of(y)), self.of(a), self.of(b))

    def bits(self, x):
        return self.b.bitcast(x, ir.IntType(32))

    def integer(self, n):
        return ir.Constant(ir.IntType(32), n)

    def power_of_two(self, n):
        """2**n as float32, for an integer from -126 to 127."""
        return self.b.bitcast(self.b.shl(self.b.add(n, self.integer(127)), self.integer(23)), ir.FloatType())


def exp(e, x):
    """2**n * (1 + r + r**2 p(r)), r = x - n ln 2."""
    s, b = _Single(e), e.b
    x = s.choose(x, "<", -104.0, -104.0, s.choose(x, ">", 89.0, 89.0, x))  # beyond that it is 0, or infinite; NaN stays
    shifted = b.fadd(b.fmul(x, s.of(1.4426950408889634)), s.of(_ROUNDER))
    rounded = b.fsub(shifted, s.of(_ROUNDER))
    n = b.sub(s.bits(shifted), s.integer(0x4B400000))
    r = s.sub(s.sub(x, s.mul(rounded, _LN2_HIGH)), s.mul(rounded, _LN2_LOW))
    y = s.add(s.add(s.mul(s.polynomial(r, _EXP), s.mul(r, r)), r), 1.0)
    half = b.ashr(n, s.integer(1))  # in two steps, as 2**n alone may be too small or too large
    return b.fmul(b.fmul(y, s.power_of_two(half)), s.power_of_two(b.sub(n, half)))


def sigmoid(e, x):
    s = _Single(e)
    return s.div(1.0, e.b.fadd(exp(e, e.b.fneg(x)), s.of(1.0)))


def tanh(e, x):
    """x + x**3 p(x**2) near 0, else 1 - 2 / (exp(2 |x|) + 1) with the sign of x."""
    s, b = _Single(e), e.b
    size = e.intrinsic("fabs", x)
    square = b.fmul(x, x)
    near = s.add(s.mul(s.mul(s.polynomial(square, _TANH), square), x), x)
    far = b.fsub(s.of(1.0), s.div(2.0, b.fadd(exp(e, b.fadd(size, size)), s.of(1.0))))
    return s.choose(size, "<", _SMALL, near, e.intrinsic("copysign", far, x))


def log(e, x):
    """n ln 2 + log(1 + f), x = 2**n (1 + f), by the series of the inverse hyperbolic tangent of f / (2 + f)."""
    s, b = _Single(e), e.b
    tiny = b.fcmp_ordered("<", x, s.of(1.17549435e-38))
    wide = b.select(tiny, b.fmul(x, s.of(2.0**25)), x)
    offset = b.sub(s.bits(wide), s.bits(s.of(_ROOT_OF_HALF)))
    n = b.ashr(offset, s.integer(23))
    mantissa = b.bitcast(b.add(b.and_(offset, s.integer(0x007FFFFF)), s.bits(s.of(_ROOT_OF_HALF))), ir.FloatType())
    n = b.sitofp(b.sub(n, b.select(tiny, s.integer(25), s.integer(0))), ir.FloatType())
    f = b.fsub(mantissa, s.of(1.0))
    t = s.div(f, b.fadd(f, s.of(2.0)))
    square = b.fmul(t, t)
    rest = s.mul(s.polynomial(square, _LOG), square)
    half = s.mul(s.mul(f, f), 0.5)
    found = s.add(s.mul(n, _LN2_HIGH), s.sub(f, s.sub(half, s.add(s.mul(t, s.add(half, rest)), s.mul(n, _LN2_LOW)))))
    found = s.choose(x, "==", float("inf"), x, found)
    below = s.choose(x, "==", 0.0, float("-inf"), float("nan"))
    return b.select(b.fcmp_ordered(">", x, s.of(0.0)), found, b.select(b.fcmp_unordered("uno", x, x), x, below))


TABLE = {"exp": exp, "sigmoid": sigmoid, "tanh": tanh, "log": log}
