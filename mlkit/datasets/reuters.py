"""Reuters: 11,228 newswires as word numbers, in 46 topics."""

import json

import numpy as np

from mlkit.data.plain_pickle import load_npz
from mlkit.datasets.source import fetch, shuffled
from mlkit.datasets.text import drop_long, limit_words, number_words, ragged

_TOPICS = """
cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton carcass crude nat-gas
cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi iron-steel rubber heat jobs lei
bop zinc orange pet-chem dlr gas silver wpi hog lead
"""


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int = 1,
    oov_char: int = 2,
    index_from: int = 3,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Download the newswires.

    Args:
        path: name to keep the file under.
        num_words: keep only word numbers below this (words are numbered by frequency); None keeps all.
        skip_top: leave out this many of the most frequent words.
        maxlen: drop newswires that are not shorter than this.
        test_split: fraction that becomes test data.
        seed: seed of the order.
        start_char: number put before each newswire, or None.
        oov_char: number that stands for words left out, or None to drop them.
        index_from: word numbers begin above this.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x arrays of lists of ints, y topic numbers, see `get_label_names`.
    """
    file = load_npz(fetch(path, "reuters.npz", "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"))
    texts, labels = shuffled(seed, file["x"], file["y"])
    texts, labels = drop_long(number_words(texts, start_char, index_from), labels, maxlen)
    texts = limit_words(texts, num_words, skip_top, oov_char)
    cut = int(len(texts) * (1 - test_split))
    return (ragged(texts[:cut]), np.array(labels[:cut])), (ragged(texts[cut:]), np.array(labels[cut:]))


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Dict from word to its number; in the data of `load_data` the number is larger by `index_from`.

    Args:
        path: name of the file in the folder of data sets, fetched if it is not there.
    """
    with open(fetch(path, "reuters_word_index.json", "4d44cc38712099c9e383dc6e5f11a921")) as file:
        return json.load(file)


def get_label_names() -> tuple[str, ...]:
    """The names of the 46 topics, in the order of their numbers."""
    return tuple(_TOPICS.split())
