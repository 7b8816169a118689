"""IMDB: 50,000 film reviews as word numbers, labelled negative or positive (Maas et al. 2011)."""

import json

import numpy as np

from mlkit.data.plain_pickle import load_npz
from mlkit.datasets.source import fetch, shuffled
from mlkit.datasets.text import drop_long, limit_words, number_words, ragged


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int = 1,
    oov_char: int = 2,
    index_from: int = 3,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Download the reviews.

    Args:
        path: name to keep the file under.
        num_words: keep only word numbers below this (words are numbered by frequency); None keeps all.
        skip_top: leave out this many of the most frequent words.
        maxlen: drop reviews that are not shorter than this.
        seed: seed of the order.
        start_char: number put before each review, or None.
        oov_char: number that stands for words left out, or None to drop them.
        index_from: word numbers begin above this.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x arrays of lists of ints, y 0 (negative) or 1 (positive).
    """
    file = load_npz(fetch(path, "imdb.npz", "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"))
    parts = []
    for part in ("train", "test"):
        texts, labels = shuffled(seed, file[f"x_{part}"], file[f"y_{part}"])
        parts.append(drop_long(number_words(texts, start_char, index_from), labels, maxlen))
    (x_train, y_train), (x_test, y_test) = parts
    texts = limit_words(x_train + x_test, num_words, skip_top, oov_char)
    return (ragged(texts[: len(x_train)]), y_train), (ragged(texts[len(x_train) :]), y_test)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Dict from word to its number; in the data of `load_data` the number is larger by `index_from`.

    Args:
        path: name of the file in the folder of data sets, fetched if it is not there.
    """
    with open(fetch(path, "imdb_word_index.json", "bfafd718b763782e994055a2d397834f")) as file:
        return json.load(file)
