"""mlkit.random: the generator, its state, and the distributions of the samplers."""

import math

import numpy as np
import pytest
from scipy import stats

import mlkit
from mlkit import ops, random
from mlkit.primitives.catalogue import OPS
from mlkit.primitives.philox import philox


def key(a, b=0):
    return ops.convert_to_tensor(np.array([a, b], "uint32"))


# ---- generator -------------------------------------------------------------------------------------------------------


def test_philox_is_numpys():
    k = np.array([123456789, 987654321], "uint32")
    numpys = np.random.Philox(key=np.array([int(k[0]) | int(k[1]) << 32, 0], "uint64"))
    np.testing.assert_array_equal(philox(np, k, 1001), numpys.random_raw(1001))


def test_philox_published_vector():
    """From the test vectors of Random123, the authors' library: key and counter of ones."""
    ones = np.uint64(2**64 - 1)
    numpys = np.random.Philox(
        key=np.array([ones, ones], "uint64"), counter=np.array([ones - np.uint64(1), ones, ones, ones], "uint64")
    )
    assert [int(w) for w in numpys.random_raw(4)] == [
        0x87B092C3013FE90B,
        0x438C3C67BE8D0224,
        0x9CC7D7C69CD777B6,
        0xA09CAEBF594F0BA0,
    ]


def test_bits_of_every_width_come_from_one_stream():
    words = OPS["random_bits"](key(5), shape=(4,), dtype="uint64").numpy()
    for dtype in ("uint8", "uint16", "uint32"):
        n = 32 // np.dtype(dtype).itemsize
        np.testing.assert_array_equal(OPS["random_bits"](key(5), shape=(n,), dtype=dtype).numpy(), words.view(dtype))


def test_seed_generator_counts_and_keeps_its_seed():
    g = random.SeedGenerator(42, name="dice")
    assert g.state.path == "dice/seed_generator_state"
    assert g.state.dtype == "uint32"
    assert not g.state.trainable
    assert [g.next().numpy().tolist() for _ in range(3)] == [[42, 0], [42, 1], [42, 2]]
    again = random.SeedGenerator.from_config(g.get_config())
    assert again.get_config() == {"seed": 42, "name": "dice"}
    assert again.next().numpy().tolist() == [42, 0]


def test_unordered_next_moves_on_too():
    g = random.SeedGenerator(1)
    seen = {tuple(g.next(ordered=False).numpy().tolist()) for _ in range(50)}
    assert len(seen) == 50


def test_large_and_negative_seeds_are_folded():
    assert random.SeedGenerator(2**32 + 5).next().numpy().tolist() == [5, 0]
    assert random.uniform((2,), seed=-1).shape == (2,)


@pytest.mark.parametrize("seed", ["one", 1.5, True])
def test_bad_seeds(seed):
    with pytest.raises(ValueError, match="seed"):
        random.SeedGenerator(seed)
    with pytest.raises(ValueError, match="seed"):
        random.uniform((2,), seed=seed)


def test_unknown_arguments():
    with pytest.raises(ValueError, match="backend"):
        random.SeedGenerator(1, backend="numpy")


def test_int_seed_repeats_and_generator_does_not():
    np.testing.assert_array_equal(random.normal((4,), seed=3).numpy(), random.normal((4,), seed=3).numpy())
    g = random.SeedGenerator(3)
    assert not np.array_equal(random.normal((4,), seed=g).numpy(), random.normal((4,), seed=g).numpy())


def test_global_generator():
    random.set_global_seed(7)
    first = random.uniform((3,)).numpy()
    second = random.uniform((3,)).numpy()
    random.set_global_seed(7)
    np.testing.assert_array_equal(random.uniform((3,)).numpy(), first)
    assert not np.array_equal(first, second)


def test_traced_steps_continue_the_sequence():
    def draw():
        return random.normal((3,), seed=g)

    g = random.SeedGenerator(11)
    eager = [draw().numpy() for _ in range(3)]
    g.state.assign([11, 0])
    traced = mlkit.function(draw)
    np.testing.assert_array_equal([traced().numpy() for _ in range(3)], eager)
    assert g.state.numpy().tolist() == [11, 3]


# ---- distributions ---------------------------------------------------------------------------------------------------


def fits(x, cdf):
    """By the test of Kolmogorov and Smirnov; seeds are fixed, so this cannot fail by chance later."""
    return stats.kstest(x.numpy().astype("float64").ravel(), cdf).pvalue > 0.01


N = (200, 100)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_continuous_distributions(dtype):
    assert fits(random.uniform(N, -2.0, 3.0, dtype=dtype, seed=1), stats.uniform(-2, 5).cdf)
    assert fits(random.normal(N, 1.0, 2.0, dtype=dtype, seed=2), stats.norm(1, 2).cdf)
    assert fits(random.truncated_normal(N, 1.0, 2.0, dtype=dtype, seed=3), stats.truncnorm(-2, 2, 1, 2).cdf)
    for i, a in enumerate((0.1, 0.9, 1.0, 4.0, 100.0)):
        assert fits(random.gamma(N, a, dtype=dtype, seed=10 + i), stats.gamma(a).cdf), a
    for i, (a, b) in enumerate(((0.5, 0.9), (2.0, 3.0), (7.0, 15.0))):
        assert fits(random.beta(N, a, b, dtype=dtype, seed=20 + i), stats.beta(a, b).cdf), (a, b)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_floats_stay_in_range(dtype):
    u = random.uniform((20000,), dtype=dtype, seed=1)
    assert u.dtype == dtype
    assert float(ops.max(u)) < 1
    assert float(ops.min(u)) >= 0
    for x in (
        random.normal((9,), dtype=dtype),
        random.truncated_normal((9,), dtype=dtype),
        random.gamma((9,), 2.0, dtype=dtype),
    ):
        assert x.dtype == dtype


@pytest.mark.parametrize("n, p", [(10, 0.3), (1, 0.5), (40, 0.9), (100, 0.02), (100, 0.4), (1000, 0.97)])
def test_binomial(n, p):
    x = random.binomial((20000,), n, p, seed=n).numpy()
    seen, expected = np.bincount(x.astype(int), minlength=n + 1), 20000 * stats.binom(n, p).pmf(np.arange(n + 1))
    common = expected > 5
    assert stats.chisquare(seen[common], expected[common] * seen[common].sum() / expected[common].sum()).pvalue > 0.01


def test_binomial_of_tensors_and_edges():
    x = random.binomial((1000, 3), [5.0, 1e5, 7.0], [0.0, 0.3, 1.0], seed=1).numpy()
    assert (x[:, 0] == 0).all()
    assert (x[:, 2] == 7).all()
    assert abs(x[:, 1].mean() - 3e4) < 4 * math.sqrt(1e5 * 0.3 * 0.7 / 1000)


def test_randint():
    x = random.randint((8000,), -3, 5, seed=1)
    assert x.dtype == "int32"
    assert stats.chisquare(np.bincount(x.numpy() + 3)).pvalue > 0.01
    y = random.randint((2, 500), np.array([[0], [100]]), np.array([[2], [103]]), dtype="uint8", seed=1)
    assert y.dtype == "uint8"
    assert [set(r) for r in y.numpy().tolist()] == [{0, 1}, {100, 101, 102}]
    with pytest.raises(ValueError, match="maxval"):
        random.randint((2,), 3, 3)


def test_categorical():
    p = np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]])
    with np.errstate(divide="ignore"):
        x = random.categorical(np.log(p), 20000, seed=5)
    assert x.shape == (2, 20000)
    assert x.dtype == "int32"
    counts = [np.bincount(row, minlength=3) for row in x.numpy()]
    assert stats.chisquare(counts[0], p[0] * 20000).pvalue > 0.01
    assert counts[1][2] == 0


def test_shuffle_permutes_slices():
    x = np.arange(60).reshape(10, 6)
    y = random.shuffle(x, seed=3).numpy()
    assert not np.array_equal(x, y)
    assert sorted(map(tuple, y)) == sorted(map(tuple, x))
    z = random.shuffle(x, axis=1, seed=3).numpy()
    assert sorted(map(tuple, z.T)) == sorted(map(tuple, x.T))


def test_dropout():
    x = ops.ones((400, 50))
    y = random.dropout(x, 0.3, seed=1).numpy()
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.7)}
    assert abs(y.mean() - 1) < 0.01
    rows = random.dropout(x, 0.5, noise_shape=(None, 1), seed=1).numpy()
    assert (rows == rows[:, :1]).all()
    assert set(np.unique(rows)) == {0.0, 2.0}
    assert random.dropout(x, 0.0) is x
    assert not random.dropout(x, 1.0).numpy().any()
    g = mlkit.grad(lambda x: ops.sum(random.dropout(x, 0.3, seed=1) * 2))(x)
    np.testing.assert_allclose(g.numpy(), 2 * y)


def test_bad_arguments():
    with pytest.raises(ValueError, match="dtype"):
        random.uniform((2,), dtype="int32")
    with pytest.raises(ValueError, match="dtype"):
        random.randint((2,), 0, 5, dtype="float32")
    with pytest.raises(ValueError, match="logits"):
        random.categorical(np.ones(5), 2)
    with pytest.raises(ValueError, match="rate"):
        random.dropout(np.ones(5), 1.5)
