"""cuDNN's recurrent nets through ctypes: its graphs have none. Descriptors of a net, the sizes and places it wants, and its three calls.

A net is one layer in one direction over sequences (batch, time, features) of one length. cuDNN wants all weights in one block, whose layout
it is asked for; a matrix there is (units, features). It keeps for the gradient what it likes, the "reserve".
"""

import ctypes
import functools
import math
import os
import threading
from typing import NamedTuple

from mlkit.backends.native.cuda.cudnn.library import installed_in
from mlkit.core import settings

_TYPES = {"float32": 0, "float16": 2, "bfloat16": 9}  # cudnnDataType_t
_CELLS = {"relu": 0, "tanh": 1, "lstm": 2, "gru": 3}  # cudnnRNNMode_t
# How cuDNN's gates are numbered -> how ours are: its GRU has the reset gate first.
GATES = {"relu": (0,), "tanh": (0,), "lstm": (0, 1, 2, 3), "gru": (1, 0, 2)}
_BIASES = {1: 1, 2: 2}  # vectors of biases -> cudnnRNNBiasMode_t: those of the inputs, and of the state too
_STANDARD, _ONE_WAY, _BY_MATRIX, _PADDED = 0, 0, 0, 1
_DEFAULT_MATH, _TENSOR_CORES, _WITHOUT_TENSOR_CORES = 0, 1, 3
_BATCH_FIRST = 2  # cudnnRNNDataLayout_t
_INFERENCE, _TRAINING = 0, 1
_ADD = 0  # the gradient of weights is added to what lies there


class Net(NamedTuple):
    """cell: "lstm", "gru", "tanh" or "relu"; exact: float32 without TF32."""

    cell: str
    batch: int
    time: int
    features: int
    units: int
    dtype: str
    exact: bool

    @property
    def biases(self):
        """Vectors of biases: a GRU has one for the state too."""
        return 2 if self.cell == "gru" else 1


class Layout(NamedTuple):
    """Where in their block the weights of gates lie, in bytes.

    nbytes: of the block; matrices, biases: where that of each of our gates begins, first those of the inputs, then those of the state.
    """

    nbytes: int
    matrices: list
    biases: list


def networks_of(device):
    """The nets of a GPU that has cuDNN."""
    if (
        settings.deterministic()
    ):  # what NVIDIA asks for where cuBLAS is to add in one order in several streams; read when a handle is made
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2")
    return Networks(device, ctypes.CDLL(os.path.join(installed_in(), "libcudnn.so.9")))


class Networks:
    """The nets of one GPU.

    Args:
        device: The GPU.
        lib: The library.
    """

    def __init__(self, device, lib):
        self.device, self.lib, self._found = device, lib, {}
        self.lock = threading.RLock()  # the handle has one stream at a time

    @functools.cached_property
    def handle(self):
        handle = ctypes.c_void_p()
        with self.device.xp.cuda.Device(self.device.number):
            self.check("cudnnCreate", ctypes.byref(handle))
        return handle

    @functools.cached_property
    def no_dropout(self):
        """The descriptor that nets of several layers would need."""
        return self.new("cudnnCreateDropoutDescriptor")

    def find(self, net):
        """The `Network`, or None where cuDNN has none."""
        with self.lock:
            if net not in self._found:
                try:
                    self._found[net] = Network(self, net)
                except Refused:
                    self._found[net] = None
        return self._found[net]

    def new(self, function):
        """A descriptor, by the function that makes one."""
        made = ctypes.c_void_p()
        self.check(function, ctypes.byref(made))
        return made

    def check(self, function, *args):
        """Call a function; pointers and sizes are ctypes' already, other numbers are C's int.

        Raises:
            Refused: It says so.
        """
        status = getattr(self.lib, function)(*(ctypes.c_int(a) if type(a) is int else a for a in args))
        if status:
            raise Refused(
                f"{self.device.name}: {function} of cuDNN failed with status {status}. (MLKIT_DEVICE=cpu does without the GPU.)"
            )

    def launch(self, function, *args):
        """Call a function of the handle in the stream that is current."""
        with self.lock:
            stream = self.device.xp.cuda.get_current_stream().ptr
            self.check("cudnnSetStream", self.handle, ctypes.c_void_p(stream))
            self.check(function, self.handle, *args)


class Refused(RuntimeError):
    """A function of cuDNN says that it failed."""


class Network:
    """A net that cuDNN has.

    layout: of its weights.
    """

    def __init__(self, networks, net):
        self._networks, self.net = networks, net
        new, check = networks.new, networks.check
        self._rnn, self._x, self._y, self._state = (
            new(f"cudnnCreate{kind}Descriptor") for kind in ("RNN", "RNNData", "RNNData", "Tensor")
        )
        kind = _TYPES[net.dtype]
        if net.dtype == "float32":
            mathematics = _WITHOUT_TENSOR_CORES if net.exact else _DEFAULT_MATH
        else:
            mathematics = _TENSOR_CORES
        check(
            "cudnnSetRNNDescriptor_v8", self._rnn, _STANDARD, _CELLS[net.cell], _BIASES[net.biases], _ONE_WAY, _BY_MATRIX, kind,
            _TYPES["float32"], mathematics, net.features, net.units, net.units, 1, networks.no_dropout, ctypes.c_uint32(_PADDED),
        )  # fmt: skip
        lengths = (ctypes.c_int * net.batch)(*[net.time] * net.batch)
        for descriptor, width in ((self._x, net.features), (self._y, net.units)):
            check("cudnnSetRNNDataDescriptor", descriptor, kind, _BATCH_FIRST, net.time, net.batch, width, lengths, None)
        shape = (1, net.batch, net.units)
        strides = (net.batch * net.units, net.units, 1)
        check("cudnnSetTensorNdDescriptor", self._state, kind, 3, (ctypes.c_int * 3)(*shape), (ctypes.c_int * 3)(*strides))
        self._sizes = [self._temporary(mode) for mode in (_INFERENCE, _TRAINING)]
        self.layout = self._weights()

    def workspace(self, training):
        """Bytes of temporary memory of a call."""
        return self._sizes[training][0]

    @property
    def reserve(self):
        """Bytes that are kept for the gradient."""
        return self._sizes[True][1]

    def _temporary(self, mode):
        sizes = ctypes.c_size_t(), ctypes.c_size_t()
        self._networks.check(
            "cudnnGetRNNTempSpaceSizes", self._networks.handle, self._rnn, mode, self._x, *map(ctypes.byref, sizes)
        )
        return [s.value for s in sizes]

    def _weights(self):
        size, net, check = ctypes.c_size_t(), self.net, self._networks.check
        check("cudnnGetRNNWeightSpaceSize", self._networks.handle, self._rnn, ctypes.byref(size))
        block = self._networks.device.xp.empty(max(size.value, 1), "uint8")  # its place is what places are counted from
        matrix, vector = (self._networks.new("cudnnCreateTensorDescriptor") for _ in range(2))
        places, gates = [], GATES[net.cell]
        for layer in range(2 * len(gates)):  # those of the inputs, then those of the state
            found = ctypes.c_void_p(), ctypes.c_void_p()
            check(
                "cudnnGetRNNWeightParams", self._networks.handle, self._rnn, 0, size, ctypes.c_void_p(block.data.ptr), layer,
                matrix, ctypes.byref(found[0]), vector, ctypes.byref(found[1]),
            )  # fmt: skip
            self._require(matrix, (1, net.units, net.features if layer < len(gates) else net.units))
            places.append([None if f.value is None else f.value - block.data.ptr for f in found])
        for descriptor in (matrix, vector):
            check("cudnnDestroyTensorDescriptor", descriptor)
        ours = [gates.index(gate) + first for first in (0, len(gates)) for gate in range(len(gates))]
        matrices, biases = ([places[layer][kind] for layer in ours] for kind in (0, 1))
        return Layout(size.value, matrices, biases[: net.biases * len(gates)])

    def _require(self, descriptor, shape):
        """Raise `Refused` unless a matrix is as we fill it."""
        kind, axes = ctypes.c_int(), ctypes.c_int()
        found, strides = (ctypes.c_int * 3)(), (ctypes.c_int * 3)()
        self._networks.check(
            "cudnnGetTensorNdDescriptor", descriptor, 3, ctypes.byref(kind), ctypes.byref(axes), found, strides
        )
        if tuple(found) != shape or tuple(strides)[1:] != (shape[2], 1):
            raise Refused(f"cuDNN has a matrix of shape {tuple(found)} and strides {tuple(strides)} where {shape} was expected")

    # ---- calls: arrays of the device, or None ------------------------------------------------------------------------------

    def forward(self, x, h, c, weights, y, last_h, last_c, workspace, reserve=None):
        mode = _INFERENCE if reserve is None else _TRAINING
        state = self._state if self.net.cell == "lstm" else None
        self._networks.launch(
            "cudnnRNNForward", self._rnn, mode, None, self._x, _at(x), self._y, _at(y), self._state, _at(h), _at(last_h), state, _at(c),
            _at(last_c), *_block(weights), *_block(workspace), *_block(reserve),
        )  # fmt: skip

    def gradients(self, x, h, c, weights, y, dy, last_dh, last_dc, dx, dh, dc, d_weights, workspace, reserve):
        """d_weights: zeros, to which the gradient is added; reserve: what `forward` kept, of no use afterwards."""
        state = self._state if self.net.cell == "lstm" else None
        self._networks.launch(
            "cudnnRNNBackwardData_v8", self._rnn, None, self._y, _at(y), _at(dy), self._x, _at(dx), self._state, _at(h), _at(last_dh),
            _at(dh), state, _at(c), _at(last_dc), _at(dc), *_block(weights), *_block(workspace), *_block(reserve),
        )  # fmt: skip
        self._networks.launch(
            "cudnnRNNBackwardWeights_v8", self._rnn, _ADD, None, self._x, _at(x), self._state, _at(h), self._y, _at(y),
            *_block(d_weights), *_block(workspace), *_block(reserve),
        )  # fmt: skip


def _at(array):
    return ctypes.c_void_p(None if array is None else array.data.ptr)


def _block(array):
    """(size, address) of a block of memory."""
    return ctypes.c_size_t(0 if array is None else math.prod(array.shape) * array.itemsize), _at(array)
