"""The CPU's random kernels: NumPy's own Philox, a large array by all threads. The numbers are those of `random`."""

import math
import threading

import numpy as np

from mlkit.backends.native import memory_pages, threads
from mlkit.core import dtypes
from mlkit.primitives.bernoulli import limits, thresholds

BLOCK = 32  # bytes that the generator makes at once
ROWS = 60  # of `bernoulli` at a time; four take a whole number of words


def make():
    """Op name -> kernel."""
    stream = _NumpyStream()

    def random_bits(key, shape, dtype):
        kind, n = np.dtype(dtype), math.prod(shape)
        return stream.at(key).bit_generator.random_raw(-(-n * kind.itemsize // 8)).view(kind)[:n].reshape(shape)

    return {"random_bits": random_bits, "bernoulli": _bernoulli(stream), **_floats(stream)}


def _bernoulli(stream):
    """The same from NumPy's generator, some rows at a time: larger pieces of memory than these come from the system anew in each
    call, which takes longer than to fill them."""

    def bernoulli(key, shape, p):
        out = np.empty(shape, "bool")
        into(key, shape, p, out)
        return out

    def into(key, shape, p, out):
        rows, width, whole, part = thresholds(shape, p)
        raw, flat = stream.at(key).bit_generator.random_raw, out.reshape(-1)
        for start in range(0, rows, ROWS):
            n = min(ROWS, rows - start)
            numbers = raw(-(-n * (width + 2) // 8)).view("uint8")[: n * (width + 2)].reshape(n, width + 2)
            limit = limits(np, numbers[:, width:], whole, part)
            drawn, place = numbers[:, :width], flat[start * width : (start + n) * width]
            if place.size == n * width:
                np.less(drawn, limit, out=place.reshape(n, width))
            else:  # the last row has more numbers than are needed
                place[:] = (drawn < limit).reshape(-1)[: place.size]

    bernoulli.into = into
    return bernoulli


def _floats(stream):
    """NumPy makes floats from the same bits by the same rule, without temporaries."""

    def uniform(key, shape, dtype, low=0.0, high=1.0):
        if dtype in ("float32", "float64"):
            return _uniform(stream, key, memory_pages.empty(shape, dtype), low, high)
        n = {"float16": 11, "bfloat16": 8}[dtype]
        fine = uniform(key, shape, "float32")
        x = (np.floor(fine * 2.0**n) * 2.0**-n).astype(dtypes.as_numpy(dtype))
        return x if (low, high) == (0.0, 1.0) else x * x.dtype.type(high - low) + x.dtype.type(low)

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


def _uniform(stream, key, out, low, high):
    """Fill an array with numbers in [low, high), a large one on several threads: counters can begin anywhere."""
    flat, block = out.reshape(-1), BLOCK // out.itemsize

    def fill(start, stop):
        part = flat[start:stop]
        stream.at(key, start // block).random(out=part, dtype=out.dtype)
        if (low, high) != (0.0, 1.0):
            part *= high - low
            part += low

    threads.in_parts(fill, flat.size, block)
    memory_pages.join(out)
    return out


class _NumpyStream(threading.local):
    """One generator a thread, set to a key: eight times faster than a new one for each call."""

    def __init__(self):
        self.generator = np.random.Generator(np.random.Philox(0))
        self.key = np.zeros(2, "uint64")
        self.zeros, self.counter = np.zeros(4, "uint64"), np.zeros(4, "uint64")

    def at(self, key, block=0):
        """The generator at the start of the numbers of this key, or after so many blocks of them."""
        self.key[0] = int(key[0]) | int(key[1]) << 32
        self.counter[0] = block
        self.generator.bit_generator.state = {
            "bit_generator": "Philox",
            "state": {"counter": self.counter, "key": self.key},
            "buffer": self.zeros,
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }
        return self.generator
