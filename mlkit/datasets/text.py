"""What IMDB and Reuters have in common: texts as lists of word numbers."""

import numpy as np


def number_words(texts, start_char, index_from):
    """Each text with its numbers moved up by `index_from`, after the start mark.

    >>> number_words([[1, 2]], start_char=1, index_from=3)
    [[1, 4, 5]]
    """
    if start_char is not None:
        return [[start_char, *(w + index_from for w in text)] for text in texts]
    return [[w + (index_from or 0) for w in text] for text in texts]


def drop_long(texts, labels, maxlen):
    """The texts shorter than `maxlen`, with their labels."""
    if not maxlen:
        return texts, labels
    kept = [(text, label) for text, label in zip(texts, labels) if len(text) < maxlen]
    if not kept:
        raise ValueError(f"No text is shorter than maxlen={maxlen}. Pass a larger number, or None.")
    return [text for text, _ in kept], np.array([label for _, label in kept])


def limit_words(texts, num_words, skip_top, oov_char):
    """Numbers outside [skip_top, num_words) are replaced by `oov_char`, or left out where that is None.

    >>> limit_words([[1, 5, 9]], num_words=9, skip_top=2, oov_char=2)
    [[2, 5, 2]]
    """
    num_words = num_words or max(map(max, texts))
    if oov_char is None:
        return [[w for w in text if skip_top <= w < num_words] for text in texts]
    return [[w if skip_top <= w < num_words else oov_char for w in text] for text in texts]


def ragged(texts):
    """Lists of different lengths as an array of objects."""
    array = np.empty(len(texts), object)
    array[:] = texts
    return array
