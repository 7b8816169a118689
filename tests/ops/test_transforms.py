"""Transformations of functions, over all rows of tests/ops/samples: `vmap` gives what the calls one by one give, `jvp` the derivative along
a direction, `remat` the gradients that there are without it; all are what JAX makes of the traced graph."""

import copy
import functools

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.core import dtypes
from mlkit.core.function import function
from mlkit.core.tensor import Tensor
from mlkit.primitives.convert import as_tensor
from mlkit.primitives.mapping import Mapping
from tests.ops.checks import Call, call_of, flat, host, is_float
from tests.ops.sample import gather, ids, is_smooth
from tests.ops.together import Together

ROWS = [r for r in gather("SAMPLES") if not r.option("eager_only", False)]
SIZE = 3


def over(rows):
    return pytest.mark.parametrize("row", rows, ids=ids(rows))


@functools.cache
def drawn(row, dtype="float32"):
    """The row, drawn for each of `SIZE` elements."""
    calls = []
    for k in range(SIZE):
        other = copy.copy(row)
        other.seed = row.seed + k
        calls.append(Call(other, dtype))
    return calls


def results(call, tensors):
    return [t for t in flat(call(*tensors)) if type(t) is Tensor]


def close(found, expected, row, atol):
    """Results of all elements, as lists of arrays, within the row's tolerance."""
    assert len(found) == len(expected), row
    if row.option("out", None):
        found, expected = row.options["out"](found), row.options["out"](expected)
    for a, b in zip(found, expected):
        assert np.shape(a) == np.shape(b), row
        least = (
            1 if row.name.startswith("image.") and np.asarray(b).dtype == np.uint8 else atol
        )  # rounded after sums in another order
        np.testing.assert_allclose(a, b, rtol=atol, atol=least, err_msg=repr(row))


@over([r for r in ROWS if call_of(r).arrays])
def test_vmap(row):
    calls = drawn(row)
    batches = [np.stack(arrays) for arrays in zip(*(c.arrays for c in calls))]
    found = mlkit.vmap(lambda *ts: results(calls[0], ts))(*batches)
    atol = max(row.option("atol", 1e-5), 1e-5)
    for k, call in enumerate(calls):
        expected = results(call, call.tensors())
        assert [t.dtype for t in found] == [t.dtype for t in expected], row
        close([host(t)[k] for t in found], list(map(host, expected)), row, atol)


def test_vmap_of_everything_is_by_rules():
    """What is called once for each element is listed: a rule is missing where another op turns up."""
    looped = set()
    with pytest.MonkeyPatch.context() as patch:
        one_by_one = Mapping._one_by_one
        patch.setattr(Mapping, "_one_by_one", lambda self, op, *rest: looped.add(op.name) or one_by_one(self, op, *rest))
        for row in ROWS:
            if call_of(row).arrays:
                batches = [np.stack(arrays) for arrays in zip(*(c.arrays for c in drawn(row)))]
                mlkit.vmap(functools.partial(_results_of, drawn(row)[0]))(*batches)
    assert looped <= ONE_BY_ONE


def _results_of(call, *tensors):
    return results(call, tensors)


# kernels of one's own, keys of one's own, lines of one's own, vectors beside matrices, bodies that go their own ways, and the halves
# of a message, which a pass makes: nobody calls them
ONE_BY_ONE = {
    "foreign_call",
    "conv",
    "conv_input",
    "conv_kernel",
    "random_bits",
    "searchsorted",
    "solve",
    "triangular_solve",
    "cond",
    "while",
    "scan",
    "all_reduce_start",
    "all_reduce_wait",
}


SMOOTH = [r for r in ROWS if is_smooth(r)]
ONE_EACH = list({(r.name, r.op): r for r in SMOOTH}.values())


def directions(call):
    """A fixed random direction for each array; None for those that are no floats."""
    rng = np.random.default_rng(2)
    return [as_tensor(rng.normal(size=a.shape).astype(a.dtype)) if is_float(a) else None for a in call.arrays]


def float_results(call, tensors):
    return [t for t in results(call, tensors) if is_float(t)]


def pushed(call):
    """Values and derivatives of a row along `directions`."""
    tensors, along = call.tensors(), directions(call)
    places = [i for i, d in enumerate(along) if d is not None]

    def of_floats(*floats):
        full = list(tensors)
        for i, t in zip(places, floats):
            full[i] = t
        return float_results(call, full)

    return mlkit.jvp(of_floats, [tensors[i] for i in places], [along[i] for i in places])


@over(SMOOTH)
def test_jvp(row):
    """Along a direction a function changes as its central difference says."""
    call, step = call_of(row, "float64"), 1e-5
    _, slopes = pushed(call)

    def at(t):
        moved = [a if d is None else a + t * d.numpy() for a, d in zip(call.arrays, directions(call))]
        return [host(y) for y in float_results(call, map(as_tensor, moved))]

    for slope, high, low in zip(slopes, at(step), at(-step), strict=True):
        np.testing.assert_allclose(host(slope), (high - low) / (2 * step), rtol=1e-4, atol=1e-5, err_msg=repr(row))


@over(ONE_EACH)
def test_gradients_of_elements(row):
    """The gradient for each element at once is that of each."""
    calls = drawn(row)
    places = [i for i, a in enumerate(calls[0].arrays) if is_float(a)]
    batches = [np.stack(arrays) for arrays in zip(*(c.arrays for c in calls))]

    def slope(*tensors):
        return mlkit.grad(lambda *ts: sum(ops.sum(ops.sin(y)) for y in float_results(calls[0], ts)), argnums=places)(*tensors)

    found = mlkit.vmap(slope)(*batches)
    for k, call in enumerate(calls):
        expected = slope(*call.tensors())
        close([host(g)[k] for g in found], list(map(host, expected)), row, max(10 * row.option("atol", 1e-5), 1e-4))


def pulled_again(call):
    """The gradients of the sum of a row's results, which runs a second time for them."""
    tensors = call.tensors()
    floats = [t for t in tensors if is_float(t)]
    with mlkit.GradientTape() as tape:
        tape.watch(floats)
        total = sum(ops.sum(y) for y in mlkit.remat(lambda *ts: float_results(call, ts))(*tensors))
    return list(map(host, tape.gradient(total, floats, unconnected_gradients="zero")))


JAX = list({(r.name, r.op): r for r in ROWS if r.option("jax", True) and call_of(r).arrays}.values())


def _jax_job(row):
    import jax

    from mlkit.backends.jax_adapter.evaluation import evaluate

    calls = drawn(row, "float64")
    graph = function(calls[0].flat_call).graph(*calls[0].tensors())
    batches = [np.stack(arrays) for arrays in zip(*(c.arrays for c in calls))]
    along = [None if d is None else d.numpy() for d in directions(calls[0])] if _is_pushed(row) else None

    def run(arguments):
        batches, arrays, along = arguments
        program = lambda *arrays: evaluate(graph, arrays)
        values = jax.vmap(program)(*map(jax.numpy.asarray, batches))
        if along is None:
            return values, None, None
        tangents = [np.zeros(a.shape, jax.dtypes.float0) if d is None else d for a, d in zip(arrays, along)]
        arrays = list(map(jax.numpy.asarray, arrays))
        _, slopes = jax.jvp(program, arrays, tangents)
        outputs, pull = jax.vjp(jax.checkpoint(program), *arrays)
        ones = [np.ones(y.shape, y.dtype) if is_float(y) else np.zeros(y.shape, jax.dtypes.float0) for y in outputs]
        pulled = [g for a, g in zip(arrays, pull(ones)) if is_float(a)]
        return values, [s for s in slopes if str(s.dtype) in dtypes.FLOATS], pulled

    return run, (batches, calls[0].arrays, along)


def _is_pushed(row):
    return is_smooth(row) and row.option("jax", True) != "values"


@functools.cache
def jax_results():
    from mlkit.backends.jax_adapter.evaluation import exact

    return Together(JAX, _jax_job, exact)


@pytest.mark.slow
@over(JAX)
def test_as_jax(row):
    """`jax.vmap`, `jax.jvp` and the gradient of `jax.checkpoint` of the traced graph, in float64."""
    values, slopes, pulled = jax_results()[row]
    calls = drawn(row, "float64")
    batches = [np.stack(arrays) for arrays in zip(*(c.arrays for c in calls))]
    found = mlkit.vmap(lambda *ts: results(calls[0], ts))(*batches)
    close(list(map(host, found)), list(map(host, values)), row, max(row.option("atol", 1e-6), 1e-4))
    if slopes is not None:
        close(list(map(host, pushed(calls[0])[1])), list(map(host, slopes)), row, 1e-4)
        close(pulled_again(calls[0]), list(map(host, pulled)), row, 1e-8)
