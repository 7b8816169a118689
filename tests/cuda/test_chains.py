"""Elementwise ops and chains of them as CUDA C, run on the host: as NumPy computes them."""

import itertools

import numpy as np
import pytest

from mlkit.backends.native.cuda.chain import BLOCK, ChainKernel
from mlkit.backends.native.cuda.device import LaunchedChain
from mlkit.backends.native.cuda.expressions import _OF_ALL, _OF_FLOATS, C_TYPES
from mlkit.backends.native.tiled_chain import in_single
from mlkit.compiler.chain import Chain
from mlkit.core import dtypes
from mlkit.core.backend import get_backend
from mlkit.core.spec import Spec
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.activation import gelu, gelu_grad, relu6, relu6_grad, relu_grad, silu, silu_grad, softplus
from mlkit.primitives.fused.mask import masked_scale
from tests.cuda import fake_cupy
from tests.cuda.double import DoubleOfGpu
from tests.cuda.host_compiler import COMPILER, HostModules

pytestmark = pytest.mark.skipif(COMPILER is None, reason="these tests compile kernels with g++, which is not there")

FLOATS, INTS = ("float16", "bfloat16", "float32", "float64"), ("int8", "int32", "int64", "uint8", "uint64")
SPECIAL = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, 2.5, -2.5, 3.0, 6.0, 7.0, np.inf, -np.inf, np.nan]
SHIFTS = (el.left_shift, el.right_shift)
ARGUMENTS = {el.where: 3, relu_grad: 2, relu6_grad: 2, masked_scale: 2, gelu_grad: 2, silu_grad: 2}
CURVED = (silu, silu_grad, gelu, gelu_grad, softplus)  # formulas in which much cancels, and infinity meets 0
BITS = (el.and_, el.or_, el.xor, el.not_)
ONE = {*_OF_FLOATS, *CURVED, el.neg, el.abs_, el.sign, el.cast, el.conj, el.not_, el.floor} - {
    el.div,
    el.atan2,
    gelu_grad,
    silu_grad,
}
OF_FLOATS_ONLY = {*_OF_FLOATS, relu_grad, relu6_grad, masked_scale}


def values(dtype, seed=0):
    """Usual numbers of a dtype and all that are special in it."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(64) < 0.5
    if dtypes.is_int(dtype):
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        usual = rng.integers(-9 if low else 0, 9, 58).astype(dtype)
        return np.concatenate([usual, np.array([low, high, 0, 1, high // 2, low // 2], dtype)])
    return np.concatenate([rng.normal(size=49) * 3, SPECIAL]).astype(dtypes.as_numpy(dtype))


def kinds_of(op):
    if op in OF_FLOATS_ONLY or op is relu6:
        return FLOATS
    return ("bool", *INTS) if op in BITS else INTS if op in SHIFTS else FLOATS + INTS


def cases():
    """(op, dtypes of its operands, params)"""
    for op in [*_OF_ALL, *_OF_FLOATS]:
        kinds = (
            FLOATS
            if op in OF_FLOATS_ONLY or op is relu6
            else ("bool", *INTS)
            if op in BITS
            else INTS
            if op in SHIFTS
            else FLOATS + INTS
        )
        for dtype in kinds:
            n = ARGUMENTS.get(op) or (1 if op in ONE or op.name.startswith("relu") else 2)
            operands = [dtype] * n
            if op is el.where:
                operands[0] = "bool"
            if op is masked_scale:
                operands[1] = "bool"
            if op in (gelu, gelu_grad):
                yield from ((op, tuple(operands), {"approximate": a}) for a in (False, True))
                continue
            for to in ("bool", "int32", "float32", "bfloat16") if op is el.cast else [None]:
                yield op, tuple(operands), {"dtype": to} if to else {"scale": 1.25} if op is masked_scale else {}


def chain_of(op, operands, params):
    return Chain(len(operands), [(op, tuple(range(len(operands))), params)], [len(operands)])


ALL = [(op, operands, params, chain_of(op, operands, params)) for op, operands, params in cases()]


@pytest.fixture(scope="module")
def modules():
    """All kernels, compiled at once."""
    made = HostModules()
    for _, operands, _, chain in ALL:
        specs = [Spec((64,), d) for d in operands]
        made.want(ChainKernel(in_single(chain, specs), specs))
    return made


def launched(modules, chain, arrays):
    """The results of a chain on the device, for arrays of NumPy."""
    specs = [Spec(a.shape, dtypes.name_of(a.dtype)) for a in arrays]
    kernel = ChainKernel(in_single(chain, specs), specs)
    modules.want(kernel)
    outs = tuple(fake_cupy.module.empty(s.shape, dtypes.as_numpy(s.dtype)) for s in kernel.outs)
    LaunchedChain(DoubleOfGpu(modules), kernel)(*map(fake_cupy.module.asarray, arrays), out=outs)
    return [o.get() for o in outs]


def by_numpy(chain, arrays):
    table = get_backend("native").table
    with np.errstate(all="ignore"):
        return chain.run(arrays, lambda op, xs, params: np.asarray(table[op.name](*xs, **params)))


def is_defined(op, arrays, wanted):
    """Where the result is settled: not that of casting to integers what they do not hold, or of halves that overflow in between."""
    if op is el.cast and wanted.dtype.kind in "iu" and arrays[0].dtype.kind not in "iub":
        x = arrays[0].astype("float64")
        return np.isfinite(x) & (np.abs(x) < 2**31)
    if op in CURVED:
        return np.all([np.isfinite(a.astype("float64")) for a in arrays], axis=0)
    return np.ones(wanted.shape, bool)


@pytest.mark.parametrize(
    "op, operands, params, chain", ALL, ids=[f"{op.name}-{d[-1]}-{p.get('dtype', '')}" for op, d, p, _ in ALL]
)
def test_each_op(op, operands, params, chain, modules):
    arrays = [values(d, seed) for seed, d in enumerate(operands)]
    if len(arrays) == 2 and operands[0] == operands[1] and dtypes.is_float(operands[0]):  # all pairs of the special ones
        pairs = np.array(list(itertools.product(SPECIAL, SPECIAL)))
        arrays = [np.concatenate([a, p.astype(a.dtype)]) for a, p in zip(arrays, pairs.T)]
    (got,), (wanted,) = launched(modules, chain, arrays), by_numpy(chain, arrays)
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    where = is_defined(op, arrays, wanted)
    if wanted.dtype.kind in "biu":
        np.testing.assert_array_equal(got[where], wanted[where])
        return
    tolerance = {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 2e-6, "float64": 1e-12}[dtypes.name_of(wanted.dtype)]
    np.testing.assert_allclose(
        got.astype("float64")[where],
        wanted.astype("float64")[where],
        rtol=tolerance,
        atol=tolerance * (1 if op in CURVED else 1e-3),
    )


LONG = Chain(
    3,
    [
        (el.mul, (0, 1), {}),
        (el.add, (3, 2), {}),
        (el.exp, (4,), {}),
        (el.less, (5, (1.5,)), {}),
        (el.where, (6, 5, (0.25,)), {}),
    ],
    [4, 7],
)


@pytest.mark.parametrize("shapes", [
    [(5, 37)] * 3, [(5, 37), (37,), ()], [(5, 37), (5, 1), (1,)], [(1, 37), (5, 1), (5, 37)], [(3, 1, 4), (2, 1), (3, 2, 4)],
    [(0, 3), (3,), (0, 3)], [(), (), ()], [(4099,)] * 3,
], ids=str)  # fmt: skip
@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_chain_of_several_results_over_arrays_that_broadcast(shapes, order):
    arrays = [np.random.default_rng(i).normal(size=s).astype("float32") for i, s in enumerate(shapes)]
    for got, wanted in zip(launched(HostModules(order), LONG, arrays), by_numpy(LONG, arrays)):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_chains_that_differ_in_sizes_share_their_text():
    def kernel(*shapes):
        return ChainKernel(LONG, [Spec(s, "float32") for s in shapes])

    assert kernel((5, 37), (37,), ()).name == kernel((9, 1000), (1000,), ()).name
    assert kernel((5, 37), (37,), ()).name != kernel((5, 37), (5, 1), ()).name


def test_memory_that_begins_anywhere_is_taken_one_by_one():
    xp = fake_cupy.module
    raw = [xp.asarray(np.random.default_rng(i).normal(size=41).astype("float32")) for i in range(3)]
    operands = [r[1:] for r in raw]
    kernel = ChainKernel(LONG, [Spec((40,), "float32")] * 3)
    modules = HostModules()
    modules.want(kernel)
    outs = tuple(xp.empty(s.shape, dtypes.as_numpy(s.dtype)) for s in kernel.outs)
    LaunchedChain(DoubleOfGpu(modules), kernel)(*operands, out=outs)
    for got, wanted in zip(outs, by_numpy(LONG, [o.get() for o in operands])):
        np.testing.assert_allclose(got.get(), wanted, rtol=1e-6)


def test_there_are_as_many_threads_as_are_of_use():
    small, large = (ChainKernel(LONG, [Spec((n,), "float32")] * 3) for n in (1, 10**7))
    assert small.blocks(100) == 1
    assert large.blocks(100) == 100
    assert ChainKernel(LONG, [Spec((3 * 4 * BLOCK,), "float32")] * 3).blocks(100) == 3


def test_every_dtype_of_c_is_one_of_ours():
    assert all(dtypes.as_numpy(d) for d in C_TYPES)
