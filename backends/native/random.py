"""Random kernels: Philox by NumPy's generator on the CPU, by its definition over any other `xp`. Both give the same numbers."""

import math
import threading

import numpy as np

from mlkit.backends.native.philox import philox
from mlkit.core import dtypes


def make(xp):
    """Op name -> kernel."""
    stream = _NumpyStream() if xp is np else None

    def words(key, n):
        """n uint64 words."""
        return stream.at(key).bit_generator.random_raw(n) if stream else philox(xp, key, n)

    def random_bits(key, shape, dtype):
        kind, n = np.dtype(dtype), math.prod(shape)
        return words(key, -(-n * kind.itemsize // 8)).view(kind)[:n].reshape(shape)

    def bernoulli(key, shape, p):
        if p == 1:
            return xp.ones(shape, bool)
        return random_bits(key, shape, "uint16") < xp.uint16(round(p * 65536))

    table = dict(random_bits=random_bits, bernoulli=bernoulli)
    return {**table, **_floats(stream)} if stream else table


def _floats(stream):
    """NumPy makes floats from the same bits by the same rule, without temporaries."""

    def uniform(key, shape, dtype):
        if dtype in ("float32", "float64"):
            return stream.at(key).random(shape, dtype)
        n = {"float16": 11, "bfloat16": 8}[dtype]
        fine = stream.at(key).random(shape, "float32")
        return (np.floor(fine * 2.0**n) * 2.0**-n).astype(dtypes.as_numpy(dtype))

    def normal(key, shape, dtype):
        if dtype not in ("float32", "float64"):
            return normal(key, shape, "float32").astype(dtypes.as_numpy(dtype))
        n = math.prod(shape)
        pairs = (n + 1) // 2
        u = stream.at(key).random(2 * pairs, dtype)
        radius, angle = u[:pairs], u[pairs:]
        np.log1p(np.negative(radius, out=radius), out=radius)
        np.sqrt(np.multiply(radius, -2.0, out=radius), out=radius)
        np.multiply(angle, 2 * math.pi, out=angle)
        z = np.empty_like(u)
        np.multiply(np.cos(angle, out=z[:pairs]), radius, out=z[:pairs])
        np.multiply(np.sin(angle, out=z[pairs:]), radius, out=z[pairs:])
        return z[:n].reshape(shape)

    return dict(random_uniform=uniform, random_normal=normal)


class _NumpyStream(threading.local):
    """One generator a thread, set to a key: eight times faster than a new one for each call."""

    def __init__(self):
        self.generator = np.random.Generator(np.random.Philox(0))
        self.key = np.zeros(2, "uint64")
        self.zeros = np.zeros(4, "uint64")

    def at(self, key):
        """The generator at the start of the numbers of this key."""
        self.key[0] = int(key[0]) | int(key[1]) << 32
        self.generator.bit_generator.state = {
            "bit_generator": "Philox",
            "state": {"counter": self.zeros, "key": self.key},
            "buffer": self.zeros,
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }
        return self.generator
