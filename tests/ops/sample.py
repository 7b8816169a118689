"""How a sample of an op is written: one row says how to call it; tests/ops/test_ops.py makes all its checks of each row.

    S("add", f(2, 3), f(3))                       a public function of mlkit.ops
    P("pad", f(2, 3), value=0.0, low=(1, 0), ...)  a primitive or fused op, by its name in OPS
    F("svd times", fn, f(3, 3))                     any function of tensors
    S("sort", f(5), axis=-1, _second=False)       options begin with an underscore
    Bad("matmul", f(2, 3), f(4, 5), match="...")   a call that must raise; Bad("...", op=True) for primitives

Arguments are makers of arrays (drawn afresh from a seed of the row, so rows are reproducible), nested lists of them, or
plain values. Options:

_grad=False     no gradient is checked (not differentiable)        _second=False     no second derivatives
_atol=          tolerance of values against references              _dtype=(...)      float dtypes whose values are compared
_keras=False    not compared with keras.ops                         _np=callable      a NumPy reference for the values
_jax=False      not compared with JAX: the values are free to differ; "values": gradients are, or JAX has none
_eager_only     shapes depend on values: neither symbolic nor staged
_known=True     the op needs its leading sizes known: no check with unknown ones
_out=callable   applied to the result before comparing, for results that are unique only up to something (signs of eigenvectors)
"""

import importlib
import pkgutil
import re
import zlib

import numpy as np

from mlkit.core import tree


class Maker:
    """Draws one array. `kind` is "float" (drawn in the dtype under test), or a fixed dtype; `bounds`: (low, high) where any numbers
    low <= x < high would do as well, in any shape."""

    def __init__(self, draw, shape, kind="float", bounds=None):
        self.draw, self.shape, self.kind, self.bounds = draw, shape, kind, bounds

    def __call__(self, rng, dtype):
        with np.errstate(over="ignore"):  # of what no half float holds
            return np.asarray(self.draw(rng, self.shape)).astype(dtype if self.kind == "float" else self.kind)

    def __repr__(self):
        return f"{self.kind}{list(self.shape)}"


def f(*shape):
    """Floats in (-2, 2), none near a kink at 0 and no two nearly equal."""
    return Maker(_spread, shape, bounds=(-2.0, 2.0))


def pos(*shape):
    """Floats in (0.3, 3)."""
    return Maker(lambda rng, s: rng.uniform(0.3, 3.0, s), shape, bounds=(0.3, 3.0))


def unit(*shape):
    """Floats in (0.1, 0.9)."""
    return Maker(lambda rng, s: rng.uniform(0.1, 0.9, s), shape, bounds=(0.1, 0.9))


def i(low, high, *shape, dtype="int32"):
    """Integers low <= n < high."""
    return Maker(lambda rng, s: rng.integers(low, high, s), shape, dtype, bounds=(low, high))


def b(*shape):
    """Booleans."""
    return Maker(lambda rng, s: rng.random(s) < 0.5, shape, "bool", bounds=(False, 2))


def const(values, dtype="float"):
    """Given values, in the float dtype under test or a fixed one."""
    values = np.asarray(values)
    return Maker(lambda rng, s: values, values.shape, dtype)


def spd(*shape):
    """Symmetric positive definite matrices with distinct eigenvalues, all well above 0."""

    def draw(rng, s):
        n = s[-1]
        a = rng.normal(size=s)
        return a @ np.swapaxes(a, -1, -2) / n + np.diag(np.arange(1.0, n + 1))

    return Maker(draw, shape)


def well(*shape):
    """Matrices with singular values that are distinct and well above 0."""

    def draw(rng, s):
        k = min(s[-2:])
        u, _, v = np.linalg.svd(rng.normal(size=s), full_matrices=False)
        return (u * np.arange(1.0, k + 1)) @ v

    return Maker(draw, shape)


def cplx(*shape):
    """Complex numbers (complex64)."""
    return Maker(lambda rng, s: rng.normal(size=s) + 1j * rng.normal(size=s), shape, "complex64")


def _spread(rng, shape):
    n = int(np.prod(shape))
    grid = (np.arange(n) + rng.uniform(0.25, 0.75, n)) / max(n, 1) * 3.8 - 1.9  # one draw in each of n cells
    grid = np.where(np.abs(grid) < 0.02, 0.05, grid)
    return rng.permutation(grid).reshape(shape)


def _text(values):
    """A repr that is the same in every run: without the addresses of functions."""
    return re.sub(r"0x[0-9a-f]+", "", repr(values))


class Sample:
    """One row: a call of a public function (`op=False`) or of a primitive."""

    def __init__(self, name, args, kwargs, op, fn=None):
        self.name, self.args, self.op, self.fn = name, args, op, fn
        self.options = {k[1:]: kwargs.pop(k) for k in list(kwargs) if k.startswith("_")}
        self.kwargs = kwargs
        unknown = set(self.options) - {
            "grad", "second", "atol", "dtype", "eager_only", "np", "keras", "jax", "known", "out", "id"
        }  # fmt: skip
        if unknown:
            raise TypeError(f"sample {name}: unknown options {sorted(unknown)}")
        self.seed = zlib.crc32(_text((name, args, sorted(kwargs.items(), key=lambda kv: kv[0]))).encode())

    def option(self, name, default):
        return self.options.get(name, default)

    def draw(self, dtype="float32"):
        """(args, kwargs) with every maker replaced by its array."""
        rng = np.random.default_rng(self.seed)
        return tree.map_structure(lambda a: a(rng, dtype) if isinstance(a, Maker) else a, (self.args, self.kwargs))

    @property
    def function(self):
        """What the row calls."""
        if self.fn is not None:
            return self.fn
        if self.op:
            from mlkit.primitives.catalogue import OPS

            return OPS[self.name]
        import mlkit

        return _member(mlkit.ops, self.name)

    def __repr__(self):
        shown = [*map(repr, self.args), *(f"{k}={v!r}" for k, v in self.kwargs.items())]
        return f"{'op ' if self.op else ''}{self.name}({', '.join(shown)})"


def _member(module, path):
    for part in path.split("."):
        module = getattr(module, part)
    return module


def S(name, *args, **kwargs):
    """A call of the public function `mlkit.ops.<name>`."""
    return Sample(name, args, kwargs, op=False)


def P(name, *args, **kwargs):
    """A call of the primitive or fused op of that name."""
    return Sample(name, args, kwargs, op=True)


def F(name, fn, *args, **kwargs):
    """A call of any function of tensors, for what a single op's result does not determine (a product of factors, say)."""
    return Sample(name, args, kwargs, op=False, fn=fn)


class Bad(Sample):
    """A call that must raise `error` with a message that matches the regular expression `match`, eagerly and symbolically."""

    def __init__(self, name, *args, error=ValueError, match, op=False, eager_only=False, **kwargs):
        super().__init__(name, args, kwargs, op)
        self.error, self.match, self.eager_only = error, match, eager_only


def is_smooth(row):
    """Whether the gradient of a row is checked."""
    has_floats = any(isinstance(a, Maker) and a.kind == "float" for a in tree.flatten((row.args, row.kwargs)))
    return has_floats and row.option("grad", True) and not row.option("eager_only", False)


def gather(attribute):
    """All rows called `attribute` (SAMPLES or BAD) of the files in tests/ops/samples."""
    from tests.ops import samples

    rows = []
    for info in pkgutil.iter_modules(samples.__path__):
        rows += getattr(importlib.import_module(f"tests.ops.samples.{info.name}"), attribute, [])
    return rows


def ids(rows):
    """Readable and distinct test ids."""
    seen = {}
    out = []
    for r in rows:
        n = seen[r.name, r.op] = seen.get((r.name, r.op), -1) + 1
        out.append(f"{'op-' if r.op else ''}{r.name}{n or ''}")
    return out


def is_unique(row):
    """Whether only one result is right."""
    return bool(row.option("jax", True)) and row.option("out", None) is None
