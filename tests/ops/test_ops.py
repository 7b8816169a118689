"""The one check of every op, over all rows of tests/ops/samples (see sample.py for how to write one):

the spec is what the eager call gives, also with unknown leading sizes; gradients are central differences along a random
direction, first and second order; a staged call gives what the eager one gives; JAX agrees in values and gradients; a fused op
agrees with its fallback; a public function agrees with keras.ops in values and dtype; bad inputs raise the stated message.
"""

import contextlib
import functools
import re

import jax
import numpy as np
import pytest

from mlkit import ops
from mlkit.backends.native import table
from mlkit.backends.native.onednn import library
from mlkit.core.backend import backend
from mlkit.core.function import function
from mlkit.core.spec import compatible, show
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.primitives.catalogue import OPS
from mlkit.primitives.convert import as_tensor
from tests.ops.checks import array_type, call_of, directional, flat, gradients, host, is_float, symbols, weighted_sum, weights
from tests.ops.sample import gather, ids, is_smooth
from tests.ops.together import Together

ROWS, BAD = gather("SAMPLES"), gather("BAD")


def over(rows):
    return pytest.mark.parametrize("row", rows, ids=ids(rows))


STAGED = [r for r in ROWS if not r.option("eager_only", False)]
SMOOTH = [r for r in ROWS if is_smooth(r)]
TWICE = [r for r in SMOOTH if r.option("second", True)]
JAX = [r for r in STAGED if r.option("jax", True)]
JAX_GRADIENT = {r for r in JAX if is_smooth(r) and r.option("jax", True) != "values"}
FUSED = [r for r in ROWS if r.op and OPS[r.name].fallback is not None and (r.name in state.kernels or backend() == "native")]
KERAS = [r for r in ROWS if not r.op and r.fn is None and r.option("keras", True)]
# Rows take these of more channels than samples have: tests/backends/test_onednn_blocks.py and test_onednn_resample.py compare them.
LARGER = {r for r in FUSED if r.name.endswith("_in_blocks") or r.name.startswith("resample")}
NUMPY = [r for r in ROWS if r.option("np", None)]


def close(got, wanted, row, atol=1e-5):
    """Values within the row's tolerance, relative for large ones."""
    atol = row.option("atol", atol)
    np.testing.assert_allclose(host(got), host(wanted), rtol=max(atol, 1e-7), atol=atol, err_msg=repr(row))


def close_all(got, wanted, row, atol=1e-5):
    """Lists of results: numbers and tensors by value, the rest by equality."""
    got, wanted = flat(got), flat(wanted)
    assert len(got) == len(wanted), row
    if row.option("out", None):
        got, wanted = (row.options["out"]([host(x) for x in xs]) for xs in (got, wanted))
    for a, b in zip(got, wanted):
        if hasattr(b, "shape") or isinstance(b, float):
            assert np.shape(a) == np.shape(b), row
            close(a, b, row, atol)
        else:
            assert a == b, row


@over(STAGED)
@pytest.mark.parametrize("unknown", [False, True], ids=["known", "unknown"])
def test_spec(row, unknown):
    for dtype in row.option("dtype", ("float32",)):
        call = call_of(row, dtype)
        inferred = flat(call(*symbols(call, unknown and not row.option("known", False))))
        assert len(inferred) == len(call.eager)
        for s, e in zip(inferred, call.eager):
            if type(e) is Tensor:
                assert type(e.data) is array_type(), f"{row}: the tensor holds a {type(e.data)}"
                assert s.dtype == e.dtype, f"{row}: spec says {s.dtype}, the kernel gave {e.dtype}"
                assert compatible(s.shape, e.shape), f"{row}: spec says {show(s.shape)}, the kernel gave {e.shape}"


@over(SMOOTH)
def test_gradient(row):
    call = call_of(row, "float64")
    ws = weights(call.flat_call(*call.tensors()))
    slope, difference = directional(lambda *ts: weighted_sum(call.flat_call(*ts), ws), call)
    np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-6, err_msg=repr(row))


@over(TWICE)
def test_second_gradient(row):
    """The gradient along one direction is a scalar, whose own gradient is checked."""
    call = call_of(row, "float64")
    ws = weights(call.flat_call(*call.tensors()))
    rng = np.random.default_rng(3)
    along = [as_tensor(rng.normal(size=a.shape)) if is_float(a) else None for a in call.arrays]

    def first(*tensors):
        _, gs = gradients(lambda *ts: weighted_sum(call.flat_call(*ts), ws), tensors)
        return sum(ops.sum(g * d) for g, d in zip(gs, along) if d is not None)

    slope, difference = directional(first, call)
    np.testing.assert_allclose(slope, difference, rtol=1e-4, atol=1e-5, err_msg=repr(row))


@over(STAGED)
def test_staged(row):
    call = call_of(row)
    staged = function(lambda *ts: call(*ts))(*call.tensors())
    assert all(type(t.data) is array_type() for t in flat(staged) if type(t) is Tensor), f"{row}: a tensor holds no array"
    close_all(staged, call.eager, row, 1e-6)


def _oracle_job(row):
    from mlkit.backends.jax_adapter.oracle import differentiated

    call = call_of(row, "float64")
    graph = function(call.flat_call).graph(*call.tensors()).check()
    ws = weights(call.flat_call(*call.tensors())) if row in JAX_GRADIENT else None
    return lambda arguments: differentiated(graph)(*arguments), (call.arrays, ws)


@functools.cache
def oracle_results():
    from mlkit.backends.jax_adapter.evaluation import exact

    return Together(JAX, _oracle_job, exact)


@over(JAX)
def test_jax(row):
    """JAX evaluates and differentiates the traced graph in float64."""
    values, gs = oracle_results()[row]
    call = call_of(row, "float64")
    outputs = call.flat_call(*call.tensors())
    assert [str(v.dtype) for v in values] == [o.dtype for o in outputs], row
    exact = not {o.dtype for o in outputs} & {"bfloat16", "float16", "float32", "complex64"}
    close_all(values, outputs, row, 1e-9 if exact else 1e-4)
    if row in JAX_GRADIENT:
        ws = weights(outputs)
        _, ours = gradients(lambda *ts: weighted_sum(call.flat_call(*ts), ws), call.tensors())
        for g, o in zip(gs, ours):
            if o is not None:
                close(o, g, row, 1e-8)


@over(FUSED)
def test_fused(row):
    """The kernel against the fallback, where another than the fallback itself answers."""
    compared = []
    for dtype in ("float32", "float64"):
        call = call_of(row, dtype)
        with falling_back() as fell:
            results = flat(call(*call.tensors()))
        if not fell:
            compared.append(dtype)
            composed = call(*call.tensors(), function=OPS[row.name].fallback)
            close_all(results, composed, row, 1e-5 if dtype == "float32" else 1e-10)
    assert compared or library.library() is None or row in LARGER or backend() != "native", f"{row}: no kernel ran"


@contextlib.contextmanager
def falling_back():
    """A block; the names of the fused ops that are answered by their fallback in it, for want of a kernel."""
    fell, answer = [], table.ByFallback.__call__

    def noted(self, *args, **params):
        fell.append(self.name)
        return answer(self, *args, **params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table.ByFallback, "__call__", noted)
        yield fell


@functools.cache
def keras_results():
    import keras

    def job(row, dtype="float32"):
        theirs = functools.reduce(getattr, row.name.split("."), keras.ops)
        call = call_of(row, dtype)
        return lambda arrays: call(*arrays, function=theirs), call.arrays

    return Together(KERAS, job, contextlib.nullcontext)


# where Keras 3.15 on JAX 0.12 gives something else than on JAX 0.10, with which it came: crosses of two numbers are gone, sinc is 0 at
# infinity, and a pixel halfway between two is another one
ON_LATER_JAX = (
    "cross(float[4, 2], float[4, 3])",
    "cross(float[4, 2], float[4, 2])",
    "sinc(float[6])",
    "image.resize(float[22, 20, 1], (55, 37), interpolation='nearest')",
)


@over(KERAS)
def test_keras(row):
    if repr(row) in ON_LATER_JAX and jax.__version_info__ >= (0, 11):
        pytest.skip(f"Keras on JAX {jax.__version__} gives something else than with the JAX that it came with")
    wanted = flat(keras_results()[row])
    call = call_of(row)
    for e, w in zip(call.eager, wanted):
        if type(e) is Tensor:
            assert e.dtype == str(w.dtype), f"{row}: dtype {e.dtype}, in Keras {w.dtype}"
    close_all(call.eager, [np.asarray(w) if hasattr(w, "dtype") else w for w in wanted], row, 2e-5)


@over(NUMPY)
def test_numpy(row):
    call = call_of(row)
    close_all(call.eager, call(*call.arrays, function=row.options["np"]), row)


@over(BAD)
def test_bad_input(row):
    """Primitives check symbolically only: their kernels are called by public functions that have checked, or fail by
    themselves."""
    call = call_of(row)
    if not row.op:
        with pytest.raises(row.error, match=re.compile(row.match)):
            call(*call.tensors())
    if not row.eager_only:
        with pytest.raises(row.error, match=re.compile(row.match)):
            call(*symbols(call, unknown=False))
