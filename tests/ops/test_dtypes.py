"""Ops on tensors of every dtype: what a shape rule accepts, the kernel runs, and what it refuses is refused by eager and compiled
calls too, with an error of the same kind that says what is expected."""

import re
import warnings

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.core import dtypes, tree
from mlkit.core.tensor import Tensor
from mlkit.primitives.convert import as_tensor
from tests.ops.checks import Call, flat
from tests.ops.sample import Maker, gather, ids

BARE = r"ufunc|UFunc|Cannot cast|loop of|NumPy boolean|numpy boolean|Invalid integer data type|not understood"
VALUES = {
    "solve",
    "linalg.solve",
    "inv",
    "linalg.inv",
    "cholesky",
    "linalg.cholesky",
    "image.perspective_transform",
}  # refused by value
VALUES |= {"nanquantile", "quantile", "switch"}


def rows_with_floats(op):
    """One row of each public function, or of each op, that is drawn with floats."""
    found = {}
    for row in gather("SAMPLES"):
        makers = [m for m in tree.flatten((row.args, row.kwargs)) if isinstance(m, Maker)]
        if row.op == op and row.fn is None and not row.option("eager_only", False) and row.name not in VALUES:
            if any(m.kind == "float" for m in makers):
                found.setdefault((row.name, len(makers)), row)
    return list(found.values())


class InDtype(Call):
    """A row whose floats are drawn in any dtype."""

    def __init__(self, row, dtype):
        super().__init__(row, "float32")
        makers = [m for m in tree.flatten((row.args, row.kwargs)) if isinstance(m, Maker)]
        self.arrays = [self.converted(a, dtype) if m.kind == "float" else a for a, m in zip(self.arrays, makers)]

    @staticmethod
    def converted(array, dtype):
        array = np.abs(3 * array) if dtype in dtypes.UINTS else 3 * array if dtypes.is_int(dtype) else array
        with np.errstate(invalid="ignore"):  # NaN has no integer
            return array.astype(dtypes.as_numpy(dtype))

    def outcome(self, how):
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            try:
                return how(self)
            except Exception as error:
                return error


def eager(call):
    return flat(call(*call.tensors()))


def compiled(call):
    return flat(mlkit.function(lambda *ts: call(*ts))(*call.tensors()))


def symbolic(call):
    return flat(call(*(Tensor(as_tensor(a).spec) for a in call.arrays)))


def some_dtypes(number):
    """One dtype of each kind, others for other rows."""
    kinds = (("bool",), dtypes.UINTS, dtypes.INTS, dtypes.HALF, ("float64",), dtypes.COMPLEX)
    return [kind[number % len(kind)] for kind in kinds]


def same(a, b, what):
    for x, y in zip(a, b):
        if type(x) is Tensor:
            assert x.dtype == y.dtype, what
            loose = 0.05 if x.dtype in dtypes.HALF else 1e-4
            np.testing.assert_allclose(
                np.asarray(x, "complex128"), np.asarray(y, "complex128"), rtol=loose, atol=loose, err_msg=what
            )


WHOLE = ("bool", *dtypes.INTS, *dtypes.UINTS)
PUBLIC, PRIMITIVES = rows_with_floats(False), rows_with_floats(True)


@pytest.mark.parametrize("number", range(len(PUBLIC)), ids=ids(PUBLIC))
def test_public_functions(number):
    row = PUBLIC[number]
    for dtype in some_dtypes(number):
        call, what = InDtype(row, dtype), f"{row.name} of {dtype}"
        found = [call.outcome(how) for how in (eager, compiled, symbolic)]
        errors = [f for f in found if isinstance(f, Exception)]
        if errors:
            assert len({type(e) for e in errors}) == 1, f"{what}: {found}"
            assert len(errors) == 3, f"{what}: {found}"
            assert not any(re.search(BARE, str(e)) for e in errors), f"{what}: {errors}"
        else:
            assert [t.dtype for t in found[0] if type(t) is Tensor] == [t.dtype for t in found[2] if type(t) is Tensor], what
            if row.name != "layer_normalization" or dtype not in WHOLE:  # cut off, they show how XLA rounds in a program
                same(*found[:2], what)


@pytest.mark.parametrize("number", range(len(PRIMITIVES)), ids=ids(PRIMITIVES))
def test_primitives(number):
    """Public functions hand primitives what these take; so only what a shape rule accepts must run."""
    row = PRIMITIVES[number]
    for dtype in some_dtypes(number):
        call, what = InDtype(row, dtype), f"{row.name} of {dtype}"
        accepted = call.outcome(symbolic)
        if isinstance(accepted, Exception):
            assert not re.search(BARE, str(accepted)), f"{what}: {accepted!r}"
            continue
        found = [call.outcome(how) for how in (eager, compiled)]
        assert not any(isinstance(f, Exception) for f in found), f"{what}: {found}"
        assert [t.dtype for t in accepted] == [t.dtype for t in found[0]], what
        same(*found, what)


def test_powers_of_integers():
    x, y = np.array([-2, -1, 0, 1, 2, 3]), np.array([-1, -3, -2, -1, -2, 2])
    for dtype in dtypes.INTS:
        a, b = (ops.cast(v, dtype) for v in (x, y))
        for f in (ops.power, mlkit.function(ops.power)):
            assert f(a, b).numpy().tolist() == [0, -1, 0, 1, 0, 9]
        large = ops.tile(a, 4000), ops.tile(b, 4000)
        formula = mlkit.function(lambda a, b: ops.power(a + 0, b) * 2)
        assert formula(*large).numpy()[:6].tolist() == [0, -2, 0, 2, 0, 18]
        for f in (lambda v: v**-1, mlkit.function(lambda v: v**-1)):
            with pytest.raises(ValueError, match="power: integers have no power -1"):
                f(a)


@pytest.mark.parametrize("name", ["negative", "sign", "subtract"])
def test_truth_values_are_no_numbers_to_these(name):
    x = ops.convert_to_tensor([True, False])
    args = (x,) * (2 if name == "subtract" else 1)
    for f in (getattr(ops, name), mlkit.function(getattr(ops, name))):
        with pytest.raises(TypeError, match="expected numbers, not truth values, but got bool. Convert it with ops.cast first"):
            f(*args)


ORDERING = {
    "sort": ops.sort, "argsort": ops.argsort, "unique": ops.unique, "median": ops.median, "nanmedian": ops.nanmedian,
    "argmax": ops.argmax, "argmin": ops.argmin, "nanargmax": ops.nanargmax, "max": ops.max, "min": ops.min,
    "nanmax": ops.nanmax, "nanmin": ops.nanmin, "sign": ops.sign, "cumsum": ops.cumsum, "nancumsum": ops.nancumsum,
    "maximum": lambda x: ops.maximum(x, x[::-1]), "fmin": lambda x: ops.fmin(x, x[::-1]), "clip": lambda x: ops.clip(x, -1, 2),
    "top_k": lambda x: ops.top_k(x, 3)[0], "isin": lambda x: ops.isin(x, x[:2]), "equal": lambda x: ops.equal(x, x[::-1]),
    "less": lambda x: ops.less(x, x[::-1]), "nan_to_num": lambda x: ops.nan_to_num(x, posinf=9, neginf=-9),
    "searchsorted": lambda x: ops.searchsorted(ops.cast([1, 2, 3], x.dtype), x),
    "digitize": lambda x: ops.digitize(x, ops.cast([1, 2, 3], x.dtype)),
    "quantile": lambda x: ops.quantile(x, [0.0, 0.3, 0.999]),
    "nanpercentile": lambda x: ops.nanpercentile(x, [0.05, 10, 50, 80, 99.9]),
    "nanquantile": lambda x: ops.nanquantile(x, [0.001, 0.999], method="higher"),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERING)
@pytest.mark.parametrize("dtype", dtypes.HALF)
def test_half_floats_are_ordered_as_others(name, dtype):
    """With infinities and NaN among them, which a half float's own comparisons may not know how to place."""
    inf, nan = np.inf, np.nan
    for values in ([1, inf, 3, nan, -inf, 2], [3, -inf, 2, 1, inf], [1, -0.0, 0, -3], [nan, nan, 1], [-inf, -inf, 4, 2]):
        x = ops.cast(np.array(values, "float32"), dtype)
        half, single = (np.asarray(ORDERING[name](ops.cast(x, d))).astype("float32") for d in (dtype, "float32"))
        np.testing.assert_allclose(half, single, rtol=0.01, err_msg=f"{name} of {values}")
        if name not in ("unique",):
            np.testing.assert_array_equal(half, np.asarray(mlkit.function(ORDERING[name])(x)).astype("float32"))
