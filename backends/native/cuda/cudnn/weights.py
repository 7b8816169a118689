"""The weights of recurrent nets between our arrays and the block that cuDNN wants: one launch in either direction."""

import numpy as np

from mlkit.backends.native.cuda.row import UNITS, Launcher

_PLACES = np.dtype([("matrices", "i8", (8,)), ("biases", "i8", (8,))])  # struct weight_places of weights.cu


class LaunchedWeights(Launcher):
    """Copies weights. The arrays of ours are the kernel, the recurrent kernel and the bias, which may be None where it is read."""

    parts = ("weights",)

    def fill(self, network, block, kernel, recurrent, bias):
        """Write the weights into a block; without a bias, zeros."""
        self._copy("true", network, block, kernel, recurrent, bias)

    def read(self, network, block, kernel, recurrent, bias):
        """Write what lies in a block into arrays of ours."""
        self._copy("false", network, block, kernel, recurrent, bias)

    def _copy(self, into_block, network, block, kernel, recurrent, bias):
        net, layout, item = network.net, network.layout, kernel.itemsize
        places = np.zeros((), _PLACES)
        for name, offsets in (("matrices", layout.matrices), ("biases", layout.biases)):
            places[name][: len(offsets)] = [offset // item for offset in offsets]
        kind, gates = UNITS[item], len(layout.matrices) // 2
        arrays = dict(block=block, kernel=kernel, recurrent=recurrent, bias=bias)
        sizes = dict(gates=gates, features=net.features, units=net.units, biases=net.biases)
        arguments = [
            *((f"{kind}*", name, array) for name, array in arrays.items()),
            ("const __grid_constant__ weight_places", "places", places),
            *(("int", name, np.int32(size)) for name, size in sizes.items()),
        ]
        across, down = -(-net.units // 32), -(-net.features // 32)
        blocks = min((down + across) * gates * across, self.device.most_blocks)
        self.start("recurrent_weights", [kind, into_block], arguments, blocks)
