"""Lines that the table of op samples has no rows for: views, mixed dtypes, Python numbers, casts, variables, control flow.

Each function adds a line to a drawing; STEPS lists them, frequent ones several times.
"""

from mlkit.core import dtypes
from tests.fuzz.program import Refused

NUMBERS = {"float": ("0.1", "-1.5", "2", "1e-3", "3", "True"), "int": ("1", "2", "3", "-1"), "bool": ("True", "False")}
WIDE = ("float32", "float64", "bfloat16", "float16", "int32", "int8", "uint8", "int64", "bool", "uint16")


def _is_number(name, t):
    return t.dtype != "bool" and t.dtype not in dtypes.COMPLEX


def _kind(t):
    return "float" if t.dtype in dtypes.FLOATS else "bool" if t.dtype == "bool" else "int"


def _value(d, fits=lambda n, t: True):
    """Any value that fits, or a new array of the usual kind."""
    name = d.some(fits) or d.array(d.shape, d.dtype)
    if not fits(name, d.values[name]):
        raise Refused(name)
    return name


def _broadcasting(a, b):
    """Whether two shapes broadcast, to no more elements than the larger has."""
    pairs = list(zip(a[::-1], b[::-1]))
    return all(m == n or 1 in (m, n) for m, n in pairs) and (all(m >= n for m, n in pairs) or all(m <= n for m, n in pairs))


def binary(d):
    """Two values that broadcast, of any dtypes."""
    a = _value(d, _is_number)
    b = d.some(lambda n, t: _is_number(n, t) and _broadcasting(t.shape, d.values[a].shape))
    both = [d.values[a].dtype, d.values[b].dtype]
    signs = ["{} + {}", "{} - {}", "{} * {}", "ops.maximum({}, {})", "ops.minimum({}, {})", "{} < {}", "ops.equal({}, {})"]
    if any(t in dtypes.FLOATS for t in both):
        signs += ["{} / {}", "ops.arctan2({}, {})", "{} + {}", "{} * {}"]
    d.line(d.any(signs).format(a, b))


def number(d):
    """A value and a Python number, or a NumPy or tensor scalar."""
    a = _value(d, _is_number)
    kind = _kind(d.values[a])
    n = d.any(NUMBERS[kind])
    if n == "-1" and d.values[a].dtype in dtypes.UINTS:
        n = "1"
    if kind == "float" and d.chance(0.3):
        n = d.any(
            ("np.float32(0.3)", "ops.sqrt(ops.cast(3, 'float32'))", "ops.sqrt(2 / np.pi)", "np.float64(0.7)", "ops.array(0.1)")
        )
    signs = ["{} + {}", "{} * {}", "{} - {}", "ops.maximum({}, {})", "{} < {}", "ops.equal({}, {})"]
    signs += ["{} / {}"] if kind == "float" else []
    pair = (a, n) if d.chance(0.7) else (n, a)
    d.line(d.any(signs).format(*pair) if "np." not in pair[0] else f"ops.add({pair[0]}, {pair[1]})")


def full(d):
    """A constant made within the program."""
    shape, dtype = d.any((d.shape, ())), d.any((d.dtype, *WIDE[:4]))
    d.line(d.any((f"ops.full({shape}, 0.1, {dtype!r})", f"ops.ones({shape}, {dtype!r})", f"ops.zeros({shape}, {dtype!r})")))


def cast(d):
    """To another dtype, and half of the time back."""
    a = _value(d, lambda n, t: t.dtype not in dtypes.COMPLEX)
    t, dtype = d.values[a], d.any(WIDE)
    if dtype in dtypes.INTS + dtypes.UINTS:
        low, high = dtypes.limits(dtype)
        if not d.is_within(a, max(low, -(2**31)), min(high, 2**31)):
            dtype = "float32"
    text = f"ops.cast({a}, {dtype!r})"
    if d.chance(0.4) and t.dtype in dtypes.FLOATS and dtype in dtypes.FLOATS:
        text = f"ops.cast({text}, {t.dtype!r})"
    d.line(text)


def where(d):
    a = _value(d, _is_number)
    t = d.values[a]
    b = d.some(lambda n, u: u.dtype == t.dtype and _broadcasting(u.shape, t.shape))
    n = d.any(NUMBERS[_kind(t)][:1])
    d.line(d.any((f"ops.where({a} > {n}, {a}, {b})", f"ops.where({a} > {b}, {n}, {a})", f"ops.where({a} < {b}, {b}, 0)")))


def view(d):
    """The same numbers in another order or shape, or some of them."""
    a = _value(d, lambda n, t: t.ndim)
    shape = d.values[a].shape
    axis = d.random.randrange(len(shape))
    size = shape[axis]
    texts = [
        f"ops.reshape({a}, {shape[::-1]})",
        f"ops.reshape({a}, (-1,))" if 0 not in shape else f"ops.reshape({a}, (0,))",
        f"ops.transpose({a}, {tuple(d.random.sample(range(len(shape)), len(shape)))})",
        f"ops.flip({a}, {axis})",
        f"ops.expand_dims({a}, {axis})",
        f"{a}[::-1]",
        f"{a}[{':, ' * axis}::2]",
        f"{a}[{':, ' * axis}1:]",
        f"{a}[{':, ' * axis}None]",
        f"{a}[..., : {max(shape[-1] - 1, 1)}]",
        f"ops.roll({a}, 1, {axis})",
        f"ops.moveaxis({a}, 0, -1)",
        f"ops.squeeze({a})" if len(shape) > 1 else f"{a}[:]",
        f"ops.repeat({a}, 2, {axis})",
    ]
    if size:
        texts += [f"{a}[{':, ' * axis}{d.random.randrange(size)}]", f"ops.take({a}, [0, {size - 1}], {axis})"]
    if size and size % 2 == 0:
        texts += [f"ops.split({a}, 2, {axis})"]
    if len(shape) < 4 and _count(shape) < 50_000:
        texts += [f"ops.broadcast_to({a}, {(2, *shape)})"]
    d.line(d.any(texts))


def _count(shape):
    total = 1
    for n in shape:
        total *= n
    return total


def join(d):
    a = _value(d)
    t = d.values[a]
    b = d.some(lambda n, u: u.shape == t.shape and u.dtype == t.dtype)
    if _count(t.shape) < 150_000:
        d.line(d.any((f"ops.concatenate([{a}, {b}], 0)" if t.ndim else f"ops.stack([{a}, {b}])", f"ops.stack([{a}, {b}], -1)")))


def reduce(d):
    a = _value(d, lambda n, t: t.ndim and t.dtype not in dtypes.COMPLEX and 0 not in t.shape)
    t = d.values[a]
    axes = d.any([None, *range(t.ndim), tuple(range(t.ndim - 1, 0, -1)) or None])
    names = (
        ["max", "min", "argmax", "any", "all"] if t.dtype == "bool" else ["sum", "mean", "max", "min", "argmax", "sum", "var"]
    )
    name = d.any(names)
    if name == "argmax" and isinstance(axes, tuple):
        axes = axes[0]
    d.line(f"ops.{name}({a}, {axes}, keepdims={d.chance(0.5)})")


def product(d):
    """A matrix product, and perhaps bias and activation."""
    a = _value(d, lambda n, t: t.ndim >= 2 and t.dtype in dtypes.FLOATS)
    t = d.values[a]
    n = d.any((4, 17, 64) if _count(t.shape) > 4000 else (1, 3, 4))
    kernel = d.array((t.shape[-1], n), t.dtype, (-1.0, 1.0))
    (made,) = d.line(f"ops.matmul({a}, {kernel})")
    if d.chance(0.5):
        (made,) = d.line(f"{made} + {d.array((n,), t.dtype)}")
    if d.chance(0.6):
        d.line(f"ops.{d.any(('relu', 'tanh', 'sigmoid', 'gelu', 'silu'))}({made})")


def chain(d):
    """Several elementwise ops in one line, with a value used more than once."""
    a = _value(d, lambda n, t: t.dtype in dtypes.FLOATS)
    b = d.some(lambda n, t: t.shape == d.values[a].shape and t.dtype in dtypes.FLOATS)
    if b is not None:
        d.line(d.any(CHAINS).format(a=a, b=b))


CHAINS = (
    "0.5 * {a} * (1 + ops.tanh(ops.sqrt(2 / np.pi) * ({a} + 0.044715 * {a} ** 3)))",
    "{a} * ops.sigmoid({b}) + {b}",
    "ops.exp(-ops.square({a} - {b}))",
    "ops.relu({a}) - ops.cast(ops.cast({a}, 'bfloat16'), {a}.dtype)",
    "ops.sqrt(ops.abs({a}) + 1e-3) * {b}",
    "({a} + {b}) * ({a} - {b})",
    "ops.clip({a}, -1, 1) / (1 + ops.abs({b}))",
    "ops.log1p(ops.abs({a})) * 0.1 + ops.maximum({a}, {b})",
    "ops.square({a}) * {b} + ops.square({a})",
    "-({a} * 2 + 0) * 1",
)


def normalize(d):
    """A fused op of floats over the last axis."""
    a = _value(d, lambda n, t: t.ndim and t.dtype in dtypes.FLOATS and 0 not in t.shape)
    names = (f"ops.softmax({a})", f"ops.log_softmax({a})", f"ops.logsumexp({a}, -1)", f"ops.cumsum({a}, 0)", f"ops.sort({a})")
    d.line(d.any(names))


def _bodies(t):
    """Expressions of x that keep shape and dtype."""
    if t.dtype in dtypes.FLOATS:
        return ["x * 2", "ops.tanh(x)", "-x", "x * x - 0.5", "ops.sin(x) * x", "ops.relu(x)"]
    return ["x"] if t.dtype == "bool" else ["x + 1", "x * 3", "ops.maximum(x, 2)"]


def branch(d):
    a = _value(d, _is_number)
    t = d.values[a]
    p = d.some(lambda n, u: _is_number(n, u) and 0 not in u.shape)
    _, y = d.random.choices(_bodies(t), k=2)
    if "max" in y or "x" not in y:
        y = "x + 1" if t.dtype not in dtypes.FLOATS else "-x"
    a = d.tensor(a)
    texts = [f"ops.switch({d.any((0, 1, 2, 7))}, [lambda x: x, lambda x: {y}, lambda x: {d.any(_bodies(t))}], {a})"]
    if p is not None:
        test = d.any((f"ops.max({p}) > 1", f"ops.sum({p}) > 0"))
        texts += [f"ops.cond({test}, lambda: (lambda x: {y})({a}), lambda: (lambda x: {d.any(_bodies(t))})({a}))"] * 3
        k = f"ops.cast(ops.max({p}), 'int32')"
        if d.is_within(p, -1000, 1000):
            texts += [f"ops.switch({k}, [lambda x: x, lambda x: {y}, lambda x: {d.any(_bodies(t))}], {a})"]
    d.line(d.any(texts))


def loop(d):
    a = _value(
        d, lambda n, t: _is_number(n, t) and t.ndim and t.shape[0] <= 8 and _count(t.shape) < 20_000 and 0 not in t.shape
    )
    t, a = d.values[a], d.tensor(a)
    x, y = d.random.choices(_bodies(t), k=2)
    stopped = f"ops.stop_gradient({a})" if t.dtype in dtypes.FLOATS else a
    n = d.random.randint(0, 4)
    texts = [
        f"ops.scan(lambda c, x: ({y.replace('x', '(c + x)') if 'max' not in y else 'c + x'}, {x}), {a}[0], {a})",
        f"ops.map(lambda x: {x}, {a})",
        f"ops.vectorized_map(lambda x: {x}, {a})",
        f"ops.fori_loop(0, {n}, lambda k, x: {x}, {stopped})",
        f"ops.while_loop(lambda k, x: k < {n}, lambda k, x: (k + 1, {x}), (0, {stopped}))",
        f"ops.associative_scan(lambda x, y: x + y, {a})",
    ]
    d.line(d.any(texts))


def random(d):
    """Numbers by a seed: the same ones each time."""
    a = _value(d, lambda n, t: t.dtype in dtypes.FLOATS)
    t, seed = d.values[a], d.random.randrange(50)
    d.line(
        d.any(
            (
                f"{a} + mlkit.random.normal({t.shape}, dtype={t.dtype!r}, seed={seed})",
                f"{a} * mlkit.random.uniform({t.shape}, dtype={t.dtype!r}, seed={seed})",
                f"mlkit.random.dropout({a}, 0.3, seed={seed})",
                f"mlkit.random.randint({t.shape}, 0, 9, seed={seed})",
            )
        )
    )


def variable(d):
    """A variable read, or given a new value."""
    name = d.some(lambda n, t: n[0] == "w")
    if name is None:
        a = _value(d, _is_number)
        t = d.values[a]
        name = d.array(t.shape, t.dtype, (-2.0, 2.0) if t.dtype in dtypes.FLOATS else (0, 5), "w")
        d.line(f"{a} * {name}")
        return
    t = d.values[name]
    a = d.some(lambda n, u: u.shape == t.shape and u.dtype == t.dtype)
    texts = [f"{name}.assign({a})", f"{name}.assign(ops.flip({a}))"]
    if t.dtype != "bool":
        texts += [f"{name}.assign_add({a})", f"{name}.assign_sub({a} * 2)"]
    d.statement(d.any(texts))
    d.line(f"ops.convert_to_tensor({name})" if t.dtype == "bool" else f"{name} * 1")


STEPS = (
    [binary] * 5 + [number] * 5 + [cast] * 4 + [view] * 6 + [chain] * 4 + [reduce] * 3 + [product] * 2
    + [where, where, join, normalize, normalize, full, branch, loop, random, variable, variable]
)  # fmt: skip
