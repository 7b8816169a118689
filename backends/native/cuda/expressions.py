"""Elementwise ops as expressions of CUDA C, in one table: what stands for a call in the text of a kernel.

Values are of C's types as `C_TYPES` has them; float16 and bfloat16 are computed in float and rounded where a step says so. Results are
those of NumPy's functions: infinities, NaNs, signs of zero and integers that wrap included. What C leaves open (shifts by more than the
width, integers divided by 0) is written out in `HELPERS`.
"""

import math
import struct

from mlkit.core import dtypes
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused import activation
from mlkit.primitives.fused.activation import relu6_grad, relu_grad
from mlkit.primitives.fused.mask import masked_scale

C_TYPES = {
    "bool": "bool", "int8": "signed char", "int16": "short", "int32": "int", "int64": "long long",
    "uint8": "unsigned char", "uint16": "unsigned short", "uint32": "unsigned", "uint64": "unsigned long long",
    "float16": "float", "bfloat16": "float", "float32": "float", "float64": "double",
}  # fmt: skip
STORED = {**C_TYPES, "float16": "half_bits", "bfloat16": "bfloat_bits"}  # as they lie in memory

# Without CUDA's headers, which are not part of NVRTC's package: halves are made of bits. A host compiler defines MLKIT_HOST and brings
# `half_to_float` and `float_to_half` along.
HELPERS = r"""
struct alignas(2) half_bits { unsigned short bits; };
struct alignas(2) bfloat_bits { unsigned short bits; };
#ifndef MLKIT_HOST
__device__ __forceinline__ float float_of(unsigned bits) { return __uint_as_float(bits); }
__device__ __forceinline__ unsigned bits_of(float x) { return __float_as_uint(x); }
__device__ __forceinline__ double double_of(unsigned long long bits) { return __longlong_as_double(bits); }
__device__ __forceinline__ unsigned long long bits_of(double x) { return __double_as_longlong(x); }
__device__ __forceinline__ unsigned long long upper_of_product(unsigned long long a, unsigned long long b) { return __umul64hi(a, b); }
__device__ __forceinline__ unsigned bits_in(unsigned x) { return __popc(x); }
__device__ __forceinline__ float half_to_float(unsigned short h) { float f; asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h)); return f; }
__device__ __forceinline__ unsigned short float_to_half(float f) {
    unsigned short h; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f)); return h;
}
#endif
template <class T> __device__ __forceinline__ T load(T x) { return x; }
__device__ __forceinline__ float load(half_bits x) { return half_to_float(x.bits); }
__device__ __forceinline__ float load(bfloat_bits x) { return float_of((unsigned)x.bits << 16); }
template <class T> __device__ __forceinline__ void store(T& y, T x) { y = x; }
__device__ __forceinline__ void store(half_bits& y, float x) { y.bits = float_to_half(x); }
__device__ __forceinline__ void store(bfloat_bits& y, float x) {
    unsigned u = bits_of(x);  // to the nearest, ties to even; NaN stays NaN
    y.bits = (u & 0x7fffffffu) > 0x7f800000u ? (unsigned short)(u >> 16 | 0x40u) : (unsigned short)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}
__device__ __forceinline__ float to_half(float x) { half_bits h; store(h, x); return load(h); }
__device__ __forceinline__ float to_bfloat(float x) { bfloat_bits b; store(b, x); return load(b); }
template <class T> __device__ __forceinline__ bool is_nan(T x) { return x != x; }
template <class T> __device__ __forceinline__ T sign_of(T x) { return x > T(0) ? T(1) : x < T(0) ? T(-1) : x == x ? T(0) : x; }
template <class T> __device__ __forceinline__ T larger(T a, T b) { return is_nan(a) || a > b ? a : b; }
template <class T> __device__ __forceinline__ T smaller(T a, T b) { return is_nan(a) || a < b ? a : b; }
template <class T> __device__ __forceinline__ T absolute(T x) { return x < T(0) ? T(0) - x : x; }
__device__ __forceinline__ float absolute(float x) { return fabsf(x); }
__device__ __forceinline__ double absolute(double x) { return fabs(x); }
__device__ __forceinline__ float rest(float a, float b) { return fmodf(a, b); }
__device__ __forceinline__ double rest(double a, double b) { return fmod(a, b); }
template <class T> __device__ __forceinline__ T modulo_of_floats(T a, T b) {
    T r = rest(a, b);
    if (b == T(0)) return r;
    return r != T(0) ? ((r < T(0)) != (b < T(0)) ? r + b : r) : b < T(0) ? -T(0) : T(0);
}
__device__ __forceinline__ float modulo(float a, float b) { return modulo_of_floats(a, b); }
__device__ __forceinline__ double modulo(double a, double b) { return modulo_of_floats(a, b); }
template <class T> __device__ __forceinline__ T modulo(T a, T b) {
    if (b == T(0) || b == T(-1) && T(-1) < T(0)) return T(0);
    T r = a % b;
    return r != T(0) && (r < T(0)) != (b < T(0)) ? r + b : r;
}
template <class T> __device__ __forceinline__ T floor_of_floats(T a, T b) {
    if (b == T(0)) return a / b;
    T r = rest(a, b), q = (a - r) / b;
    if (r != T(0) && (r < T(0)) != (b < T(0))) q -= T(1);
    if (q == T(0)) return a / b < T(0) ? -T(0) : T(0);
    T f = q - rest(q, T(1));
    return f > q ? f - T(1) : q - f > T(0.5) ? f + T(1) : f;
}
__device__ __forceinline__ float floor_quotient(float a, float b) { return floor_of_floats(a, b); }
__device__ __forceinline__ double floor_quotient(double a, double b) { return floor_of_floats(a, b); }
template <class T> __device__ __forceinline__ T floor_quotient(T a, T b) {
    if (b == T(0)) return T(0);
    if (b == T(-1) && T(-1) < T(0)) return T(0) - a;
    T q = a / b;
    return a % b != T(0) && (a < T(0)) != (b < T(0)) ? q - T(1) : q;
}
__device__ __forceinline__ float power(float a, float b) { return powf(a, b); }
__device__ __forceinline__ double power(double a, double b) { return pow(a, b); }
template <class T> __device__ __forceinline__ T power(T a, T b) {
    if (b < T(0)) return a == T(1) ? T(1) : a == T(-1) ? (b % T(2) != T(0) ? T(-1) : T(1)) : T(0);
    T r = T(1);
    for (; b > T(0); b = b / T(2), a = a * a) if (b % T(2) != T(0)) r = r * a;
    return r;
}
template <class T> __device__ __forceinline__ T to_left(T a, T b) { return b < T(0) || b >= T(8 * sizeof(T)) ? T(0) : T(a << b); }
template <class T> __device__ __forceinline__ T to_right(T a, T b) {
    return b < T(0) || b >= T(8 * sizeof(T)) ? (a < T(0) ? T(-1) : T(0)) : T(a >> b);
}
__device__ __forceinline__ float logistic(float x) { return 1.0f / (1.0f + expf(-x)); }
__device__ __forceinline__ double logistic(double x) { return 1.0 / (1.0 + exp(-x)); }
__device__ __forceinline__ float exponential(float x) { return expf(x); }
__device__ __forceinline__ double exponential(double x) { return exp(x); }
__device__ __forceinline__ float tangent(float x) { return tanhf(x); }
__device__ __forceinline__ double tangent(double x) { return tanh(x); }
__device__ __forceinline__ float soft_plus(float x) { return larger(x, 0.0f) + log1pf(expf(-absolute(x))); }
__device__ __forceinline__ double soft_plus(double x) { return larger(x, 0.0) + log1p(exp(-absolute(x))); }
__device__ __forceinline__ float normal_below(float x) { return 0.5f * (1.0f + erff(x * 0.70710678118654752f)); }
__device__ __forceinline__ double normal_below(double x) { return 0.5 * (1.0 + erf(x * 0.70710678118654752)); }
template <class T> __device__ __forceinline__ T silu_slope(T x) { T s = logistic(x); return s * (T(1) + x * (T(1) - s)); }
template <class T> __device__ __forceinline__ T gelu_slope(T x) {
    return normal_below(x) + x * exponential(T(-0.5) * x * x) * T(0.39894228040143268);
}
template <class T> __device__ __forceinline__ T gelu_tangent(T x) {
    return tangent(T(0.79788456080286536) * x * (T(1) + T(0.044715) * x * x));
}
template <class T> __device__ __forceinline__ T gelu_tanh(T x) { return T(0.5) * x * (T(1) + gelu_tangent(x)); }
template <class T> __device__ __forceinline__ T gelu_tanh_slope(T x) {
    T t = gelu_tangent(x);
    return T(0.5) * (T(1) + t + x * (T(1) - t * t) * T(0.79788456080286536) * (T(1) + T(0.134145) * x * x));
}
__device__ __forceinline__ float infinity(float) { return float_of(0x7f800000u); }
__device__ __forceinline__ double infinity(double) { return double_of(0x7ff0000000000000ull); }
template <class T> struct alignas(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) Four { T v[4]; };
"""


def number(value, dtype):
    """A Python number as a literal of a dtype, exact to the bit."""
    if dtype == "bool":
        return "true" if value else "false"
    if dtypes.is_int(dtype):
        value = int(value)
        if dtype == "int64" and value == -(2**63):
            return "(-9223372036854775807ll - 1)"
        return f"({C_TYPES[dtype]}){value}" + {"int64": "ll", "uint64": "ull", "uint32": "u"}.get(dtype, "")
    if dtype in ("float16", "bfloat16"):
        value = float(dtypes.as_numpy(dtype).type(value))
    if dtype == "float64":
        return f"double_of(0x{struct.unpack('<Q', struct.pack('<d', value))[0]:x}ull)"
    return f"float_of(0x{_bits_of_single(value):x}u)"


def _bits_of_single(value):
    try:
        return struct.unpack("<I", struct.pack("<f", value))[0]
    except OverflowError:
        return struct.unpack("<I", struct.pack("<f", math.copysign(math.inf, value)))[0]


def _call(name):
    """A function of C's library, whose name ends in f for floats."""
    return lambda args, dtype, params: f"{name}{'' if dtype == 'float64' else 'f'}({', '.join(args)})"


def _helper(name):
    return lambda args, dtype, params: f"{name}({', '.join(args)})"


def _infix(sign):
    return lambda args, dtype, params: f"({args[0]} {sign} {args[1]})"


def _form(text):
    """A pattern of `{0}`, `{1}` … and {T}, the type of the arguments."""
    return lambda args, dtype, params: text.format(*args, T=C_TYPES[dtype])


def _scaled(args, dtype, params):
    return f"({args[1]} ? {args[0]} * {number(params['scale'], dtype)} : {number(0, dtype)})"


def _gelu(args, dtype, params):
    return f"gelu_tanh({args[0]})" if params["approximate"] else f"({args[0]} * normal_below({args[0]}))"


def _gelu_gradient(args, dtype, params):
    return f"({args[0]} * {'gelu_tanh_slope' if params['approximate'] else 'gelu_slope'}({args[1]}))"


def _cast(args, dtype, params):
    to = params["dtype"]
    if to == "bool":
        return f"({args[0]} != {number(0, dtype)})"
    return f"({C_TYPES[to]}){args[0]}"


def _not(args, dtype, params):
    return f"(!{args[0]})" if dtype == "bool" else f"(~{args[0]})"


def _rsqrt(args, dtype, params):
    return f"({number(1, dtype)} / {_call('sqrt')(args, dtype, params)})"


_C_FUNCTIONS = {
    el.exp: "exp", el.expm1: "expm1", el.log: "log", el.log1p: "log1p", el.sqrt: "sqrt", el.sin: "sin", el.cos: "cos", el.tan: "tan",
    el.arcsin: "asin", el.arccos: "acos", el.arctan: "atan", el.sinh: "sinh", el.cosh: "cosh", el.tanh: "tanh", el.arcsinh: "asinh",
    el.arccosh: "acosh", el.arctanh: "atanh", el.atan2: "atan2", el.floor: "floor", el.ceil: "ceil", el.round_: "rint",
}  # fmt: skip
_OF_FLOATS = {op: _call(name) for op, name in _C_FUNCTIONS.items()} | {
    el.div: _infix("/"), el.isfinite: _form("({0} - {0} == ({T})0)"), el.isnan: _helper("is_nan"), el.rsqrt: _rsqrt,
    el.sigmoid: _helper("logistic"), activation.silu: _form("({0} * logistic({0}))"),
    activation.silu_grad: _form("({0} * silu_slope({1}))"),
    activation.gelu: _gelu, activation.gelu_grad: _gelu_gradient, activation.softplus: _helper("soft_plus"),
}  # fmt: skip
_OF_ALL = {
    el.neg: _form("(-{0})"), el.abs_: _helper("absolute"), el.sign: _helper("sign_of"), el.add: _infix("+"), el.sub: _infix("-"),
    el.mul: _infix("*"), el.floor_div: _helper("floor_quotient"), el.mod: _helper("modulo"), el.pow_: _helper("power"),
    el.maximum: _helper("larger"), el.minimum: _helper("smaller"), el.equal: _infix("=="), el.not_equal: _infix("!="),
    el.less: _infix("<"), el.less_equal: _infix("<="), el.where: _form("({0} ? {1} : {2})"), el.cast: _cast, el.conj: _form("{0}"),
    el.not_: _not, el.and_: _infix("&"), el.or_: _infix("|"), el.xor: _infix("^"), el.left_shift: _helper("to_left"),
    el.right_shift: _helper("to_right"), activation.relu: _form("larger({0}, ({T})0)"), masked_scale: _scaled,
    activation.relu6: _form("smaller(larger({0}, ({T})0), ({T})6)"),
    relu_grad: _form("({1} > ({T})0 ? {0} : ({T})0)"), relu6_grad: _form("({1} > ({T})0 && {1} < ({T})6 ? {0} : ({T})0)"),
}  # fmt: skip


def expression(op, args, dtype, params):
    """What stands for a step; None where there is nothing for the op and the dtype.

    args: C's names or literals of the arguments. dtype: that of the arrays among them, which numbers have too (of `where`: the last two).
    """
    if dtype not in C_TYPES or params.get("dtype", "bool") not in C_TYPES:
        return None
    make = _OF_ALL.get(op) or (_OF_FLOATS.get(op) if dtypes.is_float(dtype) else None)
    return make and make(args, dtype, params)


def knows(op, dtype):
    """Whether there is an expression for an op of arguments of a dtype."""
    return dtype in C_TYPES and (op in _OF_ALL or (op in _OF_FLOATS and dtypes.is_float(dtype)))


def rounded(text, dtype):
    """The value of a step as its dtype holds it."""
    return {"float16": f"to_half({text})", "bfloat16": f"to_bfloat({text})"}.get(dtype, f"({C_TYPES[dtype]})({text})")
