"""Descriptors of tensors (shape and layout) and memory objects (a descriptor and an address)."""

import ctypes
import functools

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.library import library
from mlkit.core.dtypes import as_numpy

_DTYPES = {"float32": c.F32, "bfloat16": c.BF16, "int32": c.S32, "int8": c.S8, "uint8": c.U8}


class Desc:
    """A memory descriptor. Made by `strided` or `anyhow`, or asked of a primitive (then its `shape` is None)."""

    __slots__ = ("handle", "shape", "_owner", "_span", "_destroy")

    def __init__(self, handle, shape=None, owner=None, span=None):
        self.handle, self.shape = handle, shape
        self._owner, self._span = owner, span  # owner: what the handle belongs to; None: it is ours
        self._destroy = library().function("dnnl_memory_desc_destroy")

    @property
    def nbytes(self):
        return library().function("dnnl_memory_desc_get_size")(self.handle)

    @property
    def span(self):
        """Bytes from the first element to the end of the last one. (`nbytes` counts whole rows where parts of them are meant.)"""
        return self.nbytes if self._span is None else self._span

    def __eq__(self, other):
        return isinstance(other, Desc) and bool(library().function("dnnl_memory_desc_equal")(self.handle, other.handle))

    __hash__ = None

    def __del__(self):
        if self._owner is None:
            self._destroy(self.handle)


def dims(sizes):
    """Sizes as the C interface takes them."""
    return (ctypes.c_int64 * 12)(*sizes)


@functools.lru_cache(2048)
def strided(shape, strides, dtype="float32"):
    """A tensor with one stride per axis, in elements; or with the tag of its layout for strides."""
    lib = library()
    if isinstance(strides, int):
        args = ctypes.c_int(len(shape)), dims(shape), ctypes.c_int(_DTYPES[dtype]), ctypes.c_int(strides)
        return Desc(lib.make("dnnl_memory_desc_create_with_tag", *args), shape)
    args = ctypes.c_int(len(shape)), dims(shape), ctypes.c_int(_DTYPES[dtype]), dims(strides)
    span = (sum((n - 1) * s for n, s in zip(shape, strides)) + 1) * as_numpy(dtype).itemsize if 0 not in shape else 0
    return Desc(lib.make("dnnl_memory_desc_create_with_strides", *args), shape, span=span)


def dense(shape, dtype="float32"):
    """A tensor in row-major order."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return strided(tuple(shape), tuple(reversed(strides)), dtype)


@functools.lru_cache(512)
def anyhow(shape, dtype="float32"):
    """A tensor whose layout the primitive may choose."""
    args = ctypes.c_int(len(shape)), dims(shape), ctypes.c_int(_DTYPES[dtype]), ctypes.c_int(c.TAG_ANY)
    return Desc(library().make("dnnl_memory_desc_create_with_tag", *args), shape)


class Memory:
    """A place in memory that a primitive works on; `point` moves it. array: what is kept alive with it."""

    __slots__ = ("handle", "desc", "_array", "_destroy")

    def __init__(self, desc, address=0, array=None):
        lib = library()
        self.desc, self._array = desc, array
        self.handle = lib.make("dnnl_memory_create", desc.handle, lib.engine, ctypes.c_void_p(address))
        self._destroy = lib.function("dnnl_memory_destroy")

    def point(self, address):
        library().set_handle(self.handle, address)

    def __del__(self):
        self._destroy(self.handle)


def address_of(array):
    """Where the elements of a NumPy array begin."""
    return array.ctypes.data  # quicker than __array_interface__, whose strings are interned anew in each call
