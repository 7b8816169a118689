"""The same pipeline with tf.data: the same elements, kinds and numbers of them. Needs TensorFlow."""

import numpy as np
import pytest

from mlkit.core import tree
from mlkit.data import Dataset

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
pytestmark = pytest.mark.slow

X, Y = np.arange(22.0, dtype="float32").reshape(11, 2), np.arange(11)

# name -> function of the class: what both can compute is written in operators
PIPELINES = {
    "range": lambda D: D.range(2, 20, 3),
    "slices": lambda D: D.from_tensor_slices({"x": X, "y": (Y, [str(i) for i in Y])}),
    "tensors": lambda D: D.from_tensors(([1, 2], 1.5, "a")),
    "zip": lambda D: D.zip((D.range(4), D.range(6).batch(2))),
    "map": lambda D: D.from_tensor_slices((X, Y)).map(lambda x, y: (x * 2, {"y": y + 1})),
    "filter": lambda D: D.range(9).filter(lambda x: x % 3 == 0),
    "flat map": lambda D: D.range(5).flat_map(lambda i: D.range(i)),
    "interleave": lambda D: D.range(6).interleave(lambda i: D.range(i + 1), cycle_length=3, block_length=2),
    "interleave of one": lambda D: D.range(3).interleave(lambda i: D.range(i + 1), cycle_length=1),
    "wide interleave": lambda D: D.range(3).interleave(lambda i: D.range(i + 1), cycle_length=7, block_length=3),
    "scan": lambda D: D.range(6).scan(np.int64(1), lambda s, x: (s + x, s * 2)),
    "take while": lambda D: D.range(9).take_while(lambda x: x < 4),
    "unique": lambda D: D.from_tensor_slices([3, 1, 3, 2, 1]).unique(),
    "batch": lambda D: D.from_tensor_slices((X, Y)).batch(4),
    "whole batches": lambda D: D.from_tensor_slices((X, Y)).batch(4, drop_remainder=True),
    "batch of batches": lambda D: D.range(10).batch(2).batch(2),
    "unbatch": lambda D: D.from_tensor_slices((X, Y)).batch(4).unbatch(),
    "rebatch": lambda D: D.range(11).batch(4).rebatch(3),
    "rebatch whole": lambda D: D.range(11).batch(4).rebatch(3, drop_remainder=True),
    "rebatch in turn": lambda D: D.range(11).batch(4).rebatch([2, 5]),
    "enumerate": lambda D: D.range(5).enumerate(3),
    "repeat": lambda D: D.range(3).repeat(2),
    "take": lambda D: D.range(3).repeat().take(7),
    "skip": lambda D: D.range(7).skip(4),
    "skip all": lambda D: D.range(7).skip(-1),
    "shard": lambda D: D.range(10).shard(3, 2),
    "concatenate": lambda D: D.range(3).batch(2).concatenate(D.range(4).batch(3)),
    "cache": lambda D: D.range(5).cache(),
    "prefetch": lambda D: D.range(5).prefetch(-1),
    "choose": lambda D: D.choose_from_datasets([D.range(3), D.range(7, 9)], D.range(2).repeat()),
    "choose all": lambda D: D.choose_from_datasets([D.range(3), D.range(7, 9)], D.range(2).repeat(), stop_on_empty_dataset=False),
    **{
        f"window {size} {shift} {stride} {drop}": (
            lambda D, a=(size, shift, stride, drop): D.range(9).window(*a).flat_map(lambda w: w.batch(9))
        )
        for size in (1, 3)
        for shift in (None, 1, 4)
        for stride in (1, 2)
        for drop in (False, True)
    },
    "padded batch": lambda D: D.range(1, 8).flat_map(lambda i: D.range(i).batch(8)).padded_batch(3, padded_shapes=[None]),
    "padded to a shape": lambda D: D.range(1, 6)
    .flat_map(lambda i: D.range(i).batch(8))
    .padded_batch(2, padded_shapes=[6], padding_values=np.int64(-1), drop_remainder=True),
}  # fmt: skip


@pytest.mark.parametrize("name", PIPELINES)
def test_as_in_tensorflow(name):
    ours, theirs = PIPELINES[name](Dataset), PIPELINES[name](tf.data.Dataset)
    found, expected = list(ours.as_numpy_iterator()), list(theirs.as_numpy_iterator())
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        tree.assert_same_structure(a, b)
        for x, y in zip(tree.flatten(a), tree.flatten(b)):
            assert np.asarray(x).dtype.kind == np.asarray(y).dtype.kind
            assert np.array_equal(x, y)
    assert int(ours.cardinality()) in (int(theirs.cardinality()), len(expected))
    for a, b in zip(tree.flatten(ours.element_spec), tf.nest.flatten(theirs.element_spec)):
        assert a.dtype == b.dtype.name
        assert len(a.shape) == b.shape.rank


def test_from_generator_takes_their_signatures():
    signature = (tf.TensorSpec((), tf.int32), tf.TensorSpec((None,), tf.float32))
    make = lambda: iter([(1, [1.0]), (2, [3.0, 4.0])])
    ours, theirs = (D.from_generator(make, output_signature=signature) for D in (Dataset, tf.data.Dataset))
    for (a, b), (c, d) in zip(ours.as_numpy_iterator(), theirs.as_numpy_iterator()):
        assert a == c
        assert b.tolist() == d.tolist()
