"""A double of `cupy.cuda.nccl` for ranks that are threads of one process: a call waits until all ranks have made it, and then moves memory.

It has the names, the order of arguments and the types that those of CuPy 14 have, and refuses ranks that do not make the same call.
"""

import ctypes
import threading

import numpy as np

available = True
NCCL_SUM, NCCL_PROD, NCCL_MAX, NCCL_MIN, NCCL_AVG = range(5)
NCCL_INT8, NCCL_UINT8, NCCL_INT32, NCCL_UINT32, NCCL_INT64, NCCL_UINT64, NCCL_FLOAT16, NCCL_FLOAT32, NCCL_FLOAT64 = range(9)
_DTYPES = ("int8", "uint8", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64")
_REDUCE = {NCCL_SUM: np.sum, NCCL_PROD: np.prod, NCCL_MAX: np.max, NCCL_MIN: np.min}
_groups = {}
_names = iter(range(1, 1 << 30))


def get_unique_id():
    return next(_names).to_bytes(128, "little")


class NcclCommunicator:
    def __init__(self, ndev, commId, rank, config=None):
        assert type(commId) is bytes
        assert len(commId) == 128
        self._size, self._rank = ndev, rank
        self._group = _groups.setdefault(commId, ([None] * ndev, threading.Barrier(ndev, timeout=30)))
        self.streams, self.calls, self.error = [], [], None

    def allReduce(self, sendbuf, recvbuf, count, datatype, op, stream):
        every = self._all(("allReduce", count, datatype, op), sendbuf, count, datatype, stream)
        self._write(recvbuf, _REDUCE[op](every, axis=0).astype(every[0].dtype))

    def allGather(self, sendbuf, recvbuf, count, datatype, stream):
        self._write(recvbuf, np.concatenate(self._all(("allGather", count, datatype), sendbuf, count, datatype, stream)))

    def broadcast(self, sendbuff, recvbuff, count, datatype, root, stream):
        self._write(recvbuff, self._all(("broadcast", count, datatype, root), sendbuff, count, datatype, stream)[root])

    def check_async_error(self):
        if self.error is not None:
            raise self.error

    def _all(self, call, sendbuf, count, datatype, stream):
        """The arrays of all ranks."""
        assert stream != 0, "the default stream"
        self.streams.append(stream)
        self.calls.append(call)
        dtype = np.dtype(_DTYPES[datatype])
        own = np.frombuffer((ctypes.c_char * (count * dtype.itemsize)).from_address(sendbuf), dtype).copy()
        brought, barrier = self._group
        brought[self._rank] = call, own
        barrier.wait()
        calls, arrays = zip(*brought)
        barrier.wait()
        assert len(set(calls)) == 1, f"ranks call different things: {calls}"
        return arrays

    @staticmethod
    def _write(recvbuf, array):
        ctypes.memmove(recvbuf, np.ascontiguousarray(array).ctypes.data, array.nbytes)
