"""x[key] for random keys: NumPy's result, and the sizes that a symbolic call promises once its unknown sizes are known."""

import random

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.core.spec import Dim, Spec, resolve
from mlkit.core.tensor import Tensor


def random_key(rng, shape):
    """Integers, slices, arrays, truth arrays, None and Ellipsis in any order, as many as fit."""
    key, axis, wide = [], 0, rng.choice([(), (2,), (3, 2)])
    while axis < len(shape) and rng.random() < 0.85:
        n, kind = shape[axis], rng.random()
        if kind < 0.1:
            key.append(None)
            continue
        if kind < 0.2 and Ellipsis not in [k for k in key if k is Ellipsis]:
            key.append(Ellipsis)
            axis += rng.randint(0, len(shape) - axis)
            continue
        if kind < 0.35:
            key.append(rng.randrange(-n, n))
        elif kind < 0.6:
            draw = np.random.default_rng(rng.randrange(1000))
            key.append(draw.integers(-n, n, rng.choice([wide, wide[-1:]])))
        elif kind < 0.65:
            key.append(np.array([rng.random() < 0.5 for _ in range(n)]))
        else:
            start, stop = (rng.choice([None, *range(-n - 2, n + 3)]) for _ in range(2))
            key.append(slice(start, stop, rng.choice([None, 1, 2, -1, -2, -3])))
        axis += 1
    return tuple(key)


@pytest.mark.parametrize("seed", range(20))
def test_like_numpy(seed):
    rng = random.Random(seed)
    for _ in range(50):
        shape = tuple(rng.randint(1, 5) for _ in range(rng.randint(1, 4)))
        x = np.arange(np.prod(shape), dtype="int32").reshape(shape)
        key = random_key(rng, shape)
        try:
            expected = x[key]
        except IndexError:
            with pytest.raises(IndexError):
                ops.get_item(x, key)
            continue
        np.testing.assert_array_equal(ops.get_item(x, key).numpy(), expected, err_msg=f"{shape} {key}")
        known = {Dim(): n for n in shape}
        promised = ops.get_item(Tensor(Spec(known, "int32")), key).shape
        assert tuple(resolve(n, known) for n in promised) == expected.shape, (shape, key)


def test_whole_axis_keeps_its_unknown_size():
    n = Dim()
    x = Tensor(Spec((n, 4), "float32"))
    assert x[:].shape[0] is x[0:].shape[0] is x[::-1].shape[0] is x[:, 1:].shape[0] is x[:n].shape[0] is n


def test_mask_of_wrong_size():
    with pytest.raises(IndexError, match="truth array of size 2 for an axis of size 3"):
        ops.get_item(np.zeros(3), np.array([True, False]))


@pytest.mark.parametrize("way", ["eager", "taped", "compiled"])
@pytest.mark.parametrize("wrong", [4, 7, -5, -8, -9])
@pytest.mark.parametrize("pick", [
    lambda x, i: ops.take(x, i, axis=0),
    lambda x, i: ops.take(x, i[None], axis=0),
    lambda x, i: ops.take_along_axis(x, i[None, None] * ops.ones((1, 3), "int32"), axis=0),
    ops.get_item,
], ids=["take", "rows", "along", "item"])  # fmt: skip
def test_an_index_out_of_range_is_refused_however_far_it_lies(pick, wrong, way):
    """Those from -2 n to -n - 1 too, which are in range again once n has been added."""
    x = np.arange(12, dtype="float32").reshape(4, 3)
    run = mlkit.function(pick) if way == "compiled" else pick
    with mlkit.GradientTape():  # an index that is computed on a tape is looked at by the kernel alone
        computed = ops.cast(mlkit.Variable(float(wrong)), "int32")
    place = computed if way == "taped" else ops.convert_to_tensor(wrong)
    for right in (0, 3, -1, -4):
        np.testing.assert_array_equal(ops.convert_to_numpy(run(x, ops.convert_to_tensor(right))).ravel(), x[right])
    with pytest.raises(IndexError, match="out of range"):
        ops.convert_to_numpy(run(x, place))
