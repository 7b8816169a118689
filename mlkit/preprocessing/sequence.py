"""Sequences, as in `keras.preprocessing.sequence`."""

from mlkit.utils.sequence import pad_sequences

__all__ = ["pad_sequences"]
