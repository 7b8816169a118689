"""Standard data sets: `digits` and `aerial_trees` come with the package, the others are downloaded once and checked."""

from mlkit.datasets import (
    aerial_trees,
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    digits,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)

__all__ = [
    "aerial_trees",
    "boston_housing",
    "california_housing",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "imdb",
    "mnist",
    "reuters",
]
