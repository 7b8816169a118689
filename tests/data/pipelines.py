"""One dataset for each transformation, and some that join several: what the tests of positions, workers and TensorFlow go through."""

import numpy as np

from mlkit import layers, random
from mlkit.core.function import function
from mlkit.data import Dataset


def numbers(n=11):
    return Dataset.range(n)


def rows():
    return Dataset.from_tensor_slices((np.arange(22.0, dtype="float32").reshape(11, 2), {"y": np.arange(11)}))


def growing(n=7):
    def lists():
        for i in range(n):
            yield [i] * (i % 4 + 1)

    return Dataset.from_generator(lists)


def plus_noise(x):
    return random.normal((2,)) + float(x)


def squared(x):
    return x * x


flip = layers.RandomBrightness(0.5, seed=3)


def with_layer(x):
    return flip(x + np.zeros((4, 4, 3), "float32"), training=True)


# name -> function that makes it; each has between 2 and 40 elements
PIPELINES = {
    "slices": rows,
    "tensors": lambda: Dataset.from_tensors((np.arange(3), "a")).repeat(3),
    "strings": lambda: Dataset.from_tensor_slices(["a", "bc", "d"]),
    "generator": growing,
    "range": numbers,
    "floats": lambda: Dataset.range(5, output_type="float32"),
    "zip": lambda: Dataset.zip(numbers(5), {"b": numbers(7)}),
    "map": lambda: numbers().map(squared),
    "map by threads": lambda: numbers().map(squared, num_parallel_calls=3),
    "map with noise": lambda: numbers().map(plus_noise, num_parallel_calls=2),
    "compiled map": lambda: numbers(4).map(function(with_layer), num_parallel_calls=2),
    "filter": lambda: numbers().filter(lambda x: x % 3 == 0),
    "take while": lambda: numbers().take_while(lambda x: x < 6),
    "flat map": lambda: numbers(5).flat_map(lambda i: Dataset.range(i)),
    "interleave": lambda: numbers(5).interleave(lambda i: Dataset.range(i * 2), cycle_length=3, block_length=2),
    "interleave ahead": lambda: numbers(5).interleave(lambda i: Dataset.range(i * 2), cycle_length=3, num_parallel_calls=2),
    "scan": lambda: numbers().scan(np.int64(1), lambda total, i: (total + i, total * 2)),
    "batch": lambda: rows().batch(4),
    "whole batches": lambda: rows().batch(4, drop_remainder=True),
    "batch ahead": lambda: rows().batch(4, num_parallel_calls=1),
    "padded batch": lambda: growing().padded_batch(3),
    "unbatch": lambda: rows().batch(4).unbatch(),
    "rebatch": lambda: rows().batch(4).rebatch(3),
    "rebatch in turn": lambda: rows().batch(4).rebatch([1, 5]),
    "window": lambda: numbers().window(4, shift=3, stride=2).flat_map(lambda w: w.batch(4)),
    "windows of pairs": lambda: rows().window(3).flat_map(lambda x, y: Dataset.zip((x.batch(3), y["y"].batch(3)))),
    "shuffle": lambda: numbers().shuffle(4, seed=1),
    "shuffled batches": lambda: rows().batch(2).shuffle(3, seed=1),
    "shuffled whole": lambda: rows().shuffle(20, seed=2).batch(3),
    "same order": lambda: numbers().shuffle(5, seed=1, reshuffle_each_iteration=False).repeat(2),
    "repeat": lambda: numbers(3).shuffle(3, seed=1).repeat(3),
    "take": lambda: numbers().take(4),
    "skip": lambda: numbers().skip(4),
    "shard": lambda: numbers().shard(3, 1),
    "concatenate": lambda: numbers(3).concatenate(numbers(2).map(lambda x: x + 10)),
    "enumerate": lambda: rows().enumerate(5),
    "unique": lambda: numbers().map(lambda x: x % 3).unique(),
    "sample": lambda: Dataset.sample_from_datasets([numbers(4), numbers(5).map(lambda x: -x)], seed=1),
    "choose": lambda: Dataset.choose_from_datasets(
        [numbers(4), numbers(5).map(lambda x: -x)], Dataset.range(2).repeat(), stop_on_empty_dataset=False
    ),
    "cache": lambda: numbers().map(squared).cache(),
    "prefetch": lambda: numbers().map(squared).prefetch(3),
    "augment": lambda: Dataset.from_tensor_slices(np.ones((6, 4, 4, 3), "float32")).batch(2).augment(flip, seed=4),
    "all of it": lambda: (
        rows()
        .cache()
        .shuffle(6, seed=1)
        .map(lambda x, y: (x + random.uniform((2,)), y["y"]), num_parallel_calls=3)
        .repeat(2)
        .batch(4)
        .prefetch(2)
    ),
}  # fmt: skip
