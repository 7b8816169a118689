"""Has NVIDIA's library take the descriptors of recurrent nets, up to the first function that wants a GPU: a program of its own, for what
stands in for the driver would be taken for one by all that runs beside it.

    python -m tests.cuda.rnn_descriptors STANDIN DIRECTION

DIRECTION is cuDNN's number of one. The answer is a list: for each net the functions that passed.
"""

import ctypes
import itertools
import json
import os
import sys
import types

from mlkit.backends.native.cuda.cudnn import library, rnn
from mlkit.backends.native.cuda.cudnn.rnn import Net, Networks


class Noting:
    """The library, with the names of the functions that passed."""

    def __init__(self, lib):
        self.lib, self.passed = lib, []

    def __getattr__(self, name):
        def call(*args):
            status = getattr(self.lib, name)(*args)
            self.passed += [name] * (status == 0)
            return status

        return call


def main(standin, direction):
    ctypes.CDLL(standin, mode=ctypes.RTLD_GLOBAL)
    folder = library.installed_in()
    for part in library.parts_in(folder):
        ctypes.CDLL(part)
    lib = ctypes.CDLL(os.path.join(folder, "libcudnn.so.9"))
    rnn._ONE_WAY = int(direction)
    answers = []
    for cell, dtype, exact in itertools.product(rnn.GATES, ("float32", "float16", "bfloat16"), (False, True)):
        networks = Networks(types.SimpleNamespace(name="no GPU"), Noting(lib))
        networks.handle = ctypes.c_void_p()
        found = networks.find(Net(cell, 4, 7, 5, 6, dtype, exact))
        answers.append([found is None, networks.lib.passed])
    print("\n" + json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
