"""Traits are true, and none is missing: each is held against what kernels do in all calls that the samples of ops make."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.backends.native import select
from mlkit.compiler.cost import call_flops
from mlkit.compiler.passes import optimize
from mlkit.core import dtypes, layout
from mlkit.core.backend import get_backend
from mlkit.core.function import function
from mlkit.core.graph import Call
from mlkit.core.op import Op
from mlkit.core.spec import Spec
from mlkit.core.state import swapped
from mlkit.core.tensor import Tensor, Value, as_arrays
from mlkit.core.traits import Traits
from mlkit.primitives.catalogue import OPS
from mlkit.primitives.fused.blocked_images import from_blocks, to_blocks
from mlkit.primitives.fused.epilogue import matmul_bias_act
from mlkit.primitives.fused.norm_relu import pack, unpack
from mlkit.primitives.placement import relayout
from tests.ops.checks import call_of
from tests.ops.sample import gather

pytestmark = pytest.mark.native("its kernels are held against the traits")

BACKEND = get_backend("native")
KERNELS = BACKEND.kernels


def of_numpy(a):
    """What a kernel takes or gives, with arrays of NumPy: the same ones, unless they lie on another device."""
    if isinstance(a, (tuple, list)):
        return type(a)(map(of_numpy, a))
    return BACKEND.to_numpy(a) if hasattr(a, "shape") and not isinstance(a, (np.ndarray, np.generic)) else a


def tensor(a):
    """A Tensor of an array of NumPy, on the backend's device."""
    return Tensor(BACKEND.adopt(a))


class _Noting(dict):
    """Kernels that note their calls: op -> list of (args, params, results)."""

    def __init__(self, calls):
        super().__init__({name: self._noting(name, kernel) for name, kernel in KERNELS.items()})
        self.calls = calls

    def _noting(self, name, kernel):
        def run(*args, **params):
            result = as_arrays(kernel(*args, **params))
            noted = self.calls.setdefault(OPS[name], [])
            if len(noted) < 40:
                noted.append((tuple(map(of_numpy, args)), params, of_numpy(result if type(result) is tuple else (result,))))
            return result

        return run


@pytest.fixture(scope="module")
def calls():
    """op -> the calls of it in all samples."""
    found = {}
    with swapped(backend=get_backend("native"), kernels=_Noting(found)):
        for row in gather("SAMPLES"):
            call = call_of(row)
            call(*call.tensors())
    assert len(found) > 150
    return found


def chosen(calls, has):
    """(op, args, params, results) of all calls of ops that a trait is stated of."""
    return [(op, *call) for op, noted in calls.items() if has(op.traits) for call in noted]


def same(a, b):
    """Whether arrays are equal but for the last bits, which depend on how many elements a kernel computes together."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if dtypes.is_float(dtypes.name_of(a.dtype)) or a.dtype.kind == "c":
        return np.allclose(a.astype("complex128"), b.astype("complex128"), 1e-4, 1e-5, equal_nan=True)
    return np.array_equal(a, b)


def run(op, args, params):
    result = as_arrays(KERNELS[op.name](*args, **params))
    return of_numpy(result if type(result) is tuple else (result,))


# ---- elementwise -----------------------------------------------------------------------------------------------------


def works_by_element(op, args, params, results):
    """Whether a call gives of every other element what it gives of all."""
    shape = results[0].shape
    some = [np.broadcast_to(a, shape).ravel()[::2] if hasattr(a, "shape") and a.shape else a for a in args]
    try:
        found = run(op, some, params)
    except Exception:  # a kernel that needs other shapes
        return False
    return all(same(f, r.ravel()[::2]) for f, r in zip(found, results))


def may_be_by_element(args, results):
    """Whether all results have one shape, to which the arguments broadcast, and there are several elements."""
    shapes = {r.shape for r in results}
    if len(shapes) > 1 or not any(hasattr(a, "shape") for a in args):
        return False
    try:
        return np.broadcast_shapes(*shapes, *(a.shape for a in args if hasattr(a, "shape"))) in shapes
    except ValueError:
        return False


def test_elementwise_ops_work_by_element_and_no_others(calls):
    for op, noted in calls.items():
        tried = [(args, params, results) for args, params, results in noted if results[0].size > 2]
        by_element = [
            may_be_by_element(args, results) and works_by_element(op, args, params, results) for args, params, results in tried
        ]
        if op.traits.elementwise:
            assert all(by_element), f"{op} is not elementwise"
        elif tried and op not in BY_CHANCE and not op.traits.communicates:  # one process alone is all there are
            assert not all(by_element), f"{op} is elementwise, but does not say so"


# bitcast is where both dtypes have one size, and where the samples are vectors; relayout where there is one device
BY_CHANCE = {OPS["bitcast"], relayout}


def spec_of(a):
    return Spec(a.shape, dtypes.name_of(a.dtype)) if hasattr(a, "shape") else a


def test_numbers_stand_for_tensors_that_repeat_them(calls):
    tried = set()
    for op, args, params, (result,) in chosen(calls, lambda t: t.broadcasts):
        for i, a in enumerate(args):
            others = [b for k, b in enumerate(args) if k != i and hasattr(b, "shape")]
            if (
                not hasattr(a, "shape")
                or not a.size
                or a.dtype == bool
                or a.dtype.kind == "c"
                or a.dtype not in [b.dtype for b in others]
            ):
                continue
            of_number, of_full = (
                [*args[:i], x, *args[i + 1 :]] for x in (a.ravel()[0].item(), np.full(result.shape, a.ravel()[0]))
            )
            small, large = (op.spec(*map(spec_of, given), **params) for given in (of_number, of_full))
            assert small == Spec(np.broadcast_shapes(*(b.shape for b in others)), large.dtype), op
            assert same(np.broadcast_to(run(op, of_number, params)[0], large.shape), run(op, of_full, params)[0]), op
            tried.add(op)
    assert len(tried) > 15


def test_what_is_written_by_element_in_plans_is_elementwise():
    assert all(OPS[name].traits.elementwise for name in get_backend("native").elementwise_out)


# ---- costs -----------------------------------------------------------------------------------------------------------


def test_each_op_has_a_cost(calls):
    for op in OPS.values():
        t = op.traits
        assert t.flops or t.body_flops or op.fallback or t.elementwise, (
            f"{op} says neither what it costs nor that it is elementwise"
        )
    for op, noted in calls.items():
        for args, params, results in noted[:3]:
            outs = [Value(Spec(r.shape, dtypes.name_of(r.dtype))) for r in results]
            if not op.traits.body_flops:
                assert call_flops(Call(op, args, params, outs, len(outs) > 1)) >= 0


def selects(op, args, params, results):
    """Whether all elements of a smaller result are among those of the first argument, the others of which do not matter."""
    x, y = args[0], results[0]
    if not np.isin(y, x).all():
        return False
    others = [np.where(np.isin(x, y), x, x.dtype.type(far)) for far in (-1e6, 1e6)]
    return all(np.array_equal(run(op, [o, *args[1:]], params)[0], y) for o in others)


@pytest.mark.cpu("some are called only where updates are grouped")
def test_ops_that_select_say_so_and_no_others(calls):
    seen = set()
    for op, noted in calls.items():
        tried = [c for c in noted if c[0] and getattr(c[0][0], "dtype", None) == "float32" and 1 < c[2][0].size < c[0][0].size]
        if tried:
            assert all(selects(op, *c) for c in tried) == op.traits.selects, op
            seen |= {op} if op.traits.selects else set()
    assert seen == {op for op in OPS.values() if op.traits.selects}


# ---- views -----------------------------------------------------------------------------------------------------------


def looked_at(op, args, params):
    """The result as the trait sees it in the memory of the first argument; None where elements must be moved."""
    x = args[0]
    found = op.traits.view(x, 0, layout.contiguous(x.shape, x.itemsize), **params)
    spec = op.spec(*(Spec(a.shape, dtypes.name_of(a.dtype)) for a in args), **params)
    return found and np.ndarray(spec.shape, x.dtype, x.tobytes(), *found)


def test_views_are_what_kernels_return(calls):
    seen = set()
    for op, args, params, (result,) in chosen(calls, lambda t: t.view):
        if result.size:
            view = looked_at(op, args, params)
            assert view is None or np.array_equal(view, result, equal_nan=view.dtype.kind in "fc"), (op, params)
            seen |= set() if view is None else {op}
    assert seen == {op for op in OPS.values() if op.traits.view}


@pytest.mark.cpu("whether arrays of NumPy share memory is looked at")
def test_ops_whose_kernels_return_views_say_so(calls):
    for op, noted in calls.items():
        for args, params, _ in noted:
            arrays = [a for a in args if type(a) is np.ndarray and a.size]
            shared = [a for a in arrays if any(np.may_share_memory(r, a) for r in run(op, args, params))]
            if shared:
                assert op.traits.view or op in select.ALIASING, f"{op} returns a view of its argument"
                assert shared[0] is args[0]


# ---- algebra ---------------------------------------------------------------------------------------------------------


def of_two(calls):
    """Calls of elementwise ops of two tensors of one dtype and shape, without parameters."""
    for op, args, params, results in chosen(calls, lambda t: t.broadcasts):
        if (
            len(args) == 2
            and not params
            and all(hasattr(a, "shape") and a.size > 1 for a in args)
            and args[0].shape == args[1].shape
        ):
            yield op, args, results[0]


def test_commuting_ops_commute_and_no_others(calls):
    found = {}
    for op, (x, y), result in of_two(calls):
        if not np.array_equal(x, y):
            found.setdefault(op, []).append(np.array_equal(run(op, (y, x), {})[0], result, equal_nan=result.dtype.kind == "f"))
    assert len(found) > 10
    for op, each in found.items():
        assert op.traits.commutes == all(each), op


def test_neutral_numbers_change_nothing(calls):
    for op, (x, *_), result in of_two(calls):
        if op.traits.neutral is not None and result.dtype == x.dtype and x.dtype != bool:
            assert np.array_equal(run(op, (x, op.traits.neutral), {})[0], x), op


def test_involutions_undo_themselves_and_idempotent_ops_repeat_nothing(calls):
    for op, (x,), params, (once,) in chosen(calls, lambda t: t.involution):
        np.testing.assert_array_equal(run(op, (once,), params)[0], x, str(op))
    for op, args, params, (once,) in chosen(calls, lambda t: t.idempotent):
        np.testing.assert_array_equal(run(op, [once] * len(args), params)[0], once, str(op))


# ---- names -----------------------------------------------------------------------------------------------------------

BY_NAME = re.compile(
    r"op\.name\s*(?:==|!=|in\b|not in\b)(?! self\.(?:backend\.)?(?:kernels|out_kernels|elementwise_out)\b)|\bOPS\[[\"']"
)


@pytest.mark.parametrize("room", ["core", "primitives", "compiler", "backends"])
def test_nobody_asks_for_ops_by_name(room):
    """But a backend's tables of kernels, of course."""
    files = list(Path(importlib.import_module(f"mlkit.{room}").__file__).parent.rglob("*.py"))
    assert len(files) > 10
    found = [f"{p.name}: {line.strip()}" for p in files for line in p.read_text().splitlines() if BY_NAME.search(line)]
    assert not found


# ---- variants --------------------------------------------------------------------------------------------------------


def test_variants_are_reached_from_what_they_are_variants_of():
    for op in OPS.values():
        for kind, variant in op.variants.items():
            assert variant.base is op
            assert OPS[f"{op.name}_{kind}"] is variant
    for op in OPS.values():
        assert (op.traits.images is not None) == ("in_blocks" in op.variants), op


@pytest.fixture
def softstep(monkeypatch):
    """An activation of which the backend has a kernel, and the record says that it may end products."""
    traits = Traits(elementwise=True, epilogues={"softstep": {}})
    op = Op("softstep", lambda x: x, fallback=lambda x: x / (1 + abs(x)), traits=traits)
    monkeypatch.setitem(KERNELS, "softstep", lambda x: x / (1 + abs(x)))
    yield op
    del OPS["softstep"]


@pytest.mark.cpu("the kernel of its activation is one of NumPy")
def test_a_record_is_enough_for_an_activation_that_ends_products(softstep, all_passes):
    rng = np.random.default_rng(0)
    x, w, b = (ops.convert_to_tensor(rng.normal(size=shape).astype("float32")) for shape in ((6, 5), (5, 4), (4,)))
    dense = lambda x, w, b: softstep(ops.matmul(x, w) + b)
    (call,) = optimize(function(dense).graph(x, w, b), get_backend("native").target).calls
    assert call.op is matmul_bias_act
    assert call.params["act"] == "softstep"
    np.testing.assert_allclose(function(dense)(x, w, b).numpy(), dense(x, w, b).numpy(), rtol=1e-5, atol=1e-6)
    slope = lambda x: mlkit.grad(lambda x: ops.sum(dense(x, w, b)))(x)
    np.testing.assert_allclose(function(slope)(x).numpy(), slope(x).numpy(), rtol=1e-5, atol=1e-6)


def test_gradients_take_gradients_of_results_first(calls):
    for op, args, params, _ in chosen(calls, lambda t: t.kept):
        kept = op.traits.kept
        found = op.base.spec(*map(spec_of, args[kept.gradients :][: kept.arguments]), **params)
        assert (len(found) if type(found) is tuple else 1) == kept.gradients


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.traits.images], ids=lambda op: op.name)
def test_images_in_blocks_give_what_plain_ones_give(op, calls):
    """All images of a call in blocks of one channel, so that any number of channels fits."""
    images, tried = op.traits.images, 0
    for args, params, results in calls[op]:
        numbers = [i for i in images.arguments if i < len(args) and args[i] is not None]
        shapes = [args[i] for i in numbers] + [results[i] for i in images.results]
        if any(s.ndim != 4 for s in shapes) or not images.fits(shapes, params):
            continue
        tried += 1
        mask = 3 if op.name == "batch_norm_relu" else None
        laid = [
            to_blocks(tensor(a), 1) if i in numbers else tensor(a) if hasattr(a, "shape") else a for i, a in enumerate(args)
        ]
        if op.name == "batch_norm_relu_grad":
            laid[5] = pack(to_blocks(unpack(tensor(args[5]), args[0].shape), 1))
        where = dict(block=1, blocked=tuple(numbers), results=images.results)
        outs = op.variants["in_blocks"].fallback(*laid, **where, **params)
        for i, (out, wanted) in enumerate(zip(outs if type(outs) is tuple else (outs,), results)):
            plain = from_blocks(out) if i in images.results else out
            if i == mask:
                plain = pack(from_blocks(unpack(out, to_blocks(tensor(results[0]), 1).shape)))
            assert same(plain.numpy(), np.asarray(wanted)), (op, params)
    assert tried
