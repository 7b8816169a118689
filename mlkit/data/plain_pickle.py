"""Old data sets come as pickles. This reader admits arrays, numbers, strings and containers, and nothing that could run."""

import pickle
import zipfile

import numpy as np

_ADMITTED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),  # how Python 2 wrote byte strings
}


class PlainUnpickler(pickle.Unpickler):
    """A pickle reader that refuses every class but NumPy's arrays."""

    def find_class(self, module, name):
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"refused: the file asks for {module}.{name}, but only NumPy arrays are admitted")
        return super().find_class(module, name)


def load_pickle(path):
    """Read a pickle of plain data, such as CIFAR's; byte strings stay bytes.

    Raises:
        pickle.UnpicklingError: the file holds anything else.
    """
    with open(path, "rb") as file:
        return PlainUnpickler(file, encoding="bytes").load()


def load_npy(file):
    """Read an open `.npy` file, or one of an archive; its array may hold lists and dicts."""
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        return np.asarray(PlainUnpickler(file, encoding="latin1").load()).reshape(shape)
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def load_npz(path):
    """Read an `.npz` file whose arrays may hold lists (IMDB, Reuters), as a dict."""
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy"): _member(archive, name) for name in archive.namelist()}


def _member(archive, name):
    with archive.open(name) as file:
        return load_npy(file)
