"""A strict double of CuPy over NumPy: runs code written for CuPy where there is no GPU, and refuses what CuPy refuses.

Names and signatures are those recorded from a wheel (`record_cupy.py`). It refuses names and keywords that CuPy lacks, methods of ufuncs
that CuPy lacks, arrays of NumPy among those of the device, conversions to NumPy that nobody asked for. It counts kernels launched, copies
to the device, and waits for the device, by the line of mlkit that waits. Streams, graphs and memory are in `fake_cuda`.

It does not see: CuPy's type promotion and order of sums (NumPy's are used), `-ftz`, indices that CuPy wraps where NumPy raises, errors
that a GPU reports late, how long anything takes, and all that cuDNN computes.

>>> import numpy as np
>>> from tests.cuda import fake_cupy
from tests.cuda import fake_cupy
>>> x = fake_cupy.module.asarray(np.arange(3.0))
>>> float(fake_cupy.module.sum(x))
3.0
>>> fake_cupy.module.add(x, np.arange(3.0))
Traceback (most recent call last):
  ...
TypeError: Unsupported type <class 'numpy.ndarray'>
"""

import contextlib
import ctypes
import inspect
import json
import numbers
import operator
import pathlib
import types

import numpy as np

from tests.cuda.fake_cuda import counts, cuda, current_device, default_pool, is_strict, lease, places, submit
from tests.cuda.fake_cuda import wait as _wait

NAMES = json.loads(pathlib.Path(__file__).with_name("cupy_names.json").read_text())


# ---- arrays ------------------------------------------------------------------------------------------------------------


class MemoryPointer:
    """A place in memory of the device."""

    def __init__(self, host, offset=0):
        self.host, self.offset, self.mem = host, offset, lease(host)
        self.ptr = host.ctypes.data + offset
        owner = self.mem.owner()
        if owner is not None:  # gone where an array took over the number of a dead one, whose lease another thread still holds
            places[self.ptr] = owner

    @property
    def device_id(self):
        return self.mem.device

    def __add__(self, offset):
        return MemoryPointer(self.host, self.offset + offset)

    def _bytes(self, size):
        return np.frombuffer(self.host.reshape(-1).view("uint8"), "uint8")[self.offset : self.offset + size]

    def copy_from_device_async(self, src, size, stream=None):
        counts.launches += 1
        to, of = self._bytes(size), src._bytes(size)
        submit(lambda: np.copyto(to, of), [to])

    def copy_from_host_async(self, mem, size, stream=None):
        counts.uploads += 1
        to = self._bytes(size)
        with stream or contextlib.nullcontext():
            submit(lambda: ctypes.memmove(to.ctypes.data, mem, size) and None, [to])


class ndarray:
    """An array of the device, which is one of NumPy's within."""

    __slots__ = ("_host", "_lease", "_data", "_is_root", "__weakref__")
    __hash__ = None

    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        if memptr is not None and not isinstance(memptr, MemoryPointer):
            raise TypeError(f"Argument 'memptr' has incorrect type (expected MemoryPointer, got {type(memptr).__name__})")
        if memptr is None:
            self._host = np.empty(shape, dtype, order)
        else:
            raw = np.frombuffer(memptr.host.reshape(-1).view("uint8"), "uint8")
            self._host = np.ndarray(shape, dtype, raw, memptr.offset, strides)
        self._lease, self._is_root = lease(self._host), True

    @classmethod
    def around(cls, host):
        self = object.__new__(cls)
        self._host, self._lease, self._is_root = host, lease(host), False
        return self

    # ---- ways to the host: none in silence

    def __array__(self, *_, **__):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
        )

    def get(self, stream=None, order="C", out=None, blocking=True):
        _wait("get")
        return self._host.copy()

    def item(self, *args):
        _wait("item")
        return self._host.item(*args)

    def tolist(self):
        _wait("tolist")
        return self._host.tolist()

    def __bool__(self):
        _wait("bool")
        return bool(self._host)

    def __int__(self):
        _wait("int")
        return int(self._host)

    __index__ = __int__

    def __float__(self):
        _wait("float")
        return float(self._host)

    def __complex__(self):
        _wait("complex")
        return complex(self._host)

    # ---- looks

    def __repr__(self):
        return f"fake_cupy.{self._host!r}"

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        if self._host.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (ndarray.around(self._host[i : i + 1].reshape(self._host.shape[1:])) for i in range(len(self._host)))

    @property
    def data(self):
        try:
            return self._data
        except AttributeError:
            self._data = MemoryPointer(self._host)
            return self._data

    @property
    def base(self):
        """The array that this is a view of; None too where it was made for a place in memory."""
        base = None if self._is_root else self._host.base
        return ndarray.around(base) if isinstance(base, np.ndarray) else base

    @property
    def _c_contiguous(self):
        return self._host.flags.c_contiguous

    @property
    def device(self):
        return types.SimpleNamespace(id=self._lease.device)

    @property
    def T(self):
        return ndarray.around(self._host.T)

    def __getattr__(self, name):
        if name not in NAMES["cupy.ndarray"]:
            raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")
        value = getattr(self._host, name)
        if not callable(value):
            return _to_device(value)
        return _checked(f"ndarray.{name}", value, NAMES["cupy.ndarray"][name], self._host if name in _IN_PLACE else None)

    # ---- parts

    def __getitem__(self, key):
        host, places = self._host, _key(key)
        if any(isinstance(k, (ndarray, list)) for k in (key if isinstance(key, tuple) else (key,))):
            counts.launches += 1
            return ndarray.around(submit(lambda: np.array(host[places])))
        return ndarray.around(np.asarray(host[places]))

    def __setitem__(self, key, value):
        counts.launches += 1
        host, places, value = self._host, _key(key), _to_host(value)
        submit(lambda: host.__setitem__(places, value), [host])

    # ---- functions of NumPy called with arrays of the device

    def __array_ufunc__(self, function, method, *args, **kwargs):
        if method != "__call__" or NAMES["cupy"].get(function.__name__) != "ufunc":
            return NotImplemented
        return getattr(module, function.__name__)(*args, **kwargs)

    def __array_function__(self, function, _, args, kwargs):
        if function.__name__ not in NAMES["cupy"]:
            return NotImplemented
        return getattr(module, function.__name__)(*args, **kwargs)


def _key(key):
    if isinstance(key, tuple):
        return tuple(map(_key, key))
    if isinstance(key, ndarray):
        if key.dtype == bool:
            _wait("index by a mask")
        return key._host
    if isinstance(key, slice):
        return slice(*(int(e) if isinstance(e, ndarray) else e for e in (key.start, key.stop, key.step)))
    if isinstance(key, np.ndarray) and key.ndim:
        raise TypeError("an array of NumPy as index of one of the device: CuPy would copy it in silence")
    return key


def _to_host(value):
    if isinstance(value, ndarray):
        if value._lease.device != current_device():
            raise ValueError(f"Array device must be same as the current device: {value._lease.device} and {current_device()}")
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(value, (tuple, list)):
        return type(value)(map(_to_host, value))
    if isinstance(value, dict):
        return {k: _to_host(v) for k, v in value.items()}
    return value


def _to_device(value):
    if isinstance(value, np.ndarray):
        return ndarray.around(value)
    if isinstance(value, np.generic) and not isinstance(value, np.dtype):
        return ndarray.around(np.asarray(value))
    if isinstance(value, (tuple, list)) and any(isinstance(v, (np.ndarray, np.generic)) for v in value):
        return type(value)(map(_to_device, value)) if type(value) in (tuple, list) else tuple(map(_to_device, value))
    return value


_IN_PLACE = {"fill", "sort", "partition", "put", "copyto", "place", "putmask", "fill_diagonal", "put_along_axis", "at"}


def _launch(function, args, kwargs, written=None):
    """Have a function of NumPy computed. written: an array of NumPy that it writes besides `out`."""
    counts.launches += 1
    out = kwargs.get("out")
    hosts, named = _to_host(args), _to_host(kwargs)
    into = [h for h in (named.get("out") if isinstance(out, tuple) else [named.get("out")]) if h is not None]
    result = submit(lambda: function(*hosts, **named), into if written is None else [*into, written])
    return out if isinstance(out, ndarray) else _to_device(result)


def _operator(name):
    own, is_inplace = getattr(np.ndarray, name), name.startswith("__i") and name != "__invert__"

    def run(self, *others):
        for other in others:
            if isinstance(other, np.ndarray):
                raise TypeError("Unsupported type <class 'numpy.ndarray'>")
            if not isinstance(other, (ndarray, numbers.Number, np.generic)):
                return NotImplemented
        result = _launch(own, (self, *others), {}, self._host if is_inplace else None)
        return self if is_inplace else result

    return run


for _name in (
    "dtype",
    "flags",
    "itemsize",
    "nbytes",
    "ndim",
    "shape",
    "size",
    "strides",
):  # read often, so not by `__getattr__`
    setattr(ndarray, _name, property(operator.attrgetter(f"_host.{_name}")))

_BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()
for _name in (
    *_BINARY, *(f"r{n}" for n in _BINARY), *(f"i{n}" for n in _BINARY),
    "lt", "le", "gt", "ge", "eq", "ne", "neg", "pos", "abs", "invert",
):  # fmt: skip
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))


# ---- functions ---------------------------------------------------------------------------------------------------------

_KINDS = inspect.Parameter
_VIEWS = {
    "reshape", "transpose", "broadcast_to", "swapaxes", "moveaxis", "expand_dims", "squeeze", "flip", "broadcast_arrays", "view",
    "ravel", "result_type", "asarray", "ascontiguousarray", "empty", "empty_like", "real", "imag", "diagonal", "issubdtype",
}  # fmt: skip


def _is_a_copy(result, *args):
    """Whether what may be a view holds elements that had to be copied, by a kernel."""
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    return isinstance(result, np.ndarray) and bool(arrays) and not any(np.may_share_memory(result, a) for a in arrays)


def _signature(recorded):
    """An `inspect.Signature` of what was recorded."""
    parameters, kind = [], _KINDS.POSITIONAL_OR_KEYWORD
    for p in recorded:
        if p == "*":
            kind = _KINDS.KEYWORD_ONLY
        elif p.startswith("**"):
            parameters.append(_KINDS(p[2:], _KINDS.VAR_KEYWORD))
        elif p.startswith("*"):
            parameters.append(_KINDS(p[1:], _KINDS.VAR_POSITIONAL))
            kind = _KINDS.KEYWORD_ONLY
        else:
            parameters.append(_KINDS(p.rstrip("="), kind, default=None if p.endswith("=") else _KINDS.empty))
    return inspect.Signature(parameters)


def _decomposed(compute):
    """Linear algebra waits to know whether there is an answer where that is asked for, and else gives anything."""
    if is_strict():
        _wait("linalg")
        return compute()
    try:
        return compute()
    except np.linalg.LinAlgError as error:
        raise AssertionError(f"CuPy would compute on in silence, outside of cupyx.errstate(linalg='raise'): {error}") from error


def _checked(name, function, recorded, written=None):
    """A function of NumPy that takes what CuPy's takes. written: the array that it writes, of methods."""
    signature = _signature(recorded) if recorded is not None else None
    is_view = name.split(".")[-1] in _VIEWS

    def run(*args, **kwargs):
        if signature is not None:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"cupy.{name}: {error}") from None
        kwargs.pop("blocking", None)
        if is_view:
            hosts, named = _to_host(args), _to_host(kwargs)
            result = function(*hosts, **named)
            if name == "empty_like" or not _is_a_copy(result, getattr(function, "__self__", None), *hosts):
                return _to_device(result)
        if name.startswith("linalg."):
            return _decomposed(lambda: _launch(function, args, kwargs))
        of_first = name.split(".")[-1] in _IN_PLACE and written is None and isinstance(args[0], ndarray)
        return _launch(function, args, kwargs, args[0]._host if of_first else written)

    run.__name__ = name
    return run


_METHODS = {  # of ufuncs -> the ufuncs that have it
    "reduce": ("add", "multiply"),
    "accumulate": ("add", "multiply"),
    "reduceat": ("add",),
    "at": ("add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"),
}


class ufunc:
    """A function of elements, with the methods that CuPy has of it."""

    def __init__(self, name):
        self.__name__, self._own = name, getattr(np, name)
        self.nin, self.nout = self._own.nin, self._own.nout

    def __call__(self, *args, **kwargs):
        if wrong := set(kwargs) - {"out", "casting", "dtype"}:
            raise TypeError(f"Wrong arguments {wrong}")
        for a in args:
            if not isinstance(a, (ndarray, numbers.Number, np.generic)):
                raise TypeError(f"Unsupported type {type(a)}")
        if not isinstance(kwargs.get("out"), (ndarray, tuple, type(None))):
            raise TypeError("Output arguments type must be cupy.ndarray")
        return _launch(self._own, args, kwargs)

    def __getattr__(self, name):
        if name not in _METHODS:
            raise AttributeError(f"'cupy.ufunc' object has no attribute {name!r}")
        if self.__name__ not in _METHODS[name]:
            raise NotImplementedError(f"cupy.{self.__name__}.{name} is not supported")
        own = getattr(self._own, name)
        return lambda *args, **kwargs: _launch(own, args, kwargs, args[0]._host if name == "at" else None)


class Module(types.ModuleType):
    """A module of CuPy: its names, as functions of NumPy."""

    def __init__(self, name, own):
        super().__init__(name)
        self._own = own

    def __getattr__(self, name):
        kinds = NAMES.get(self.__name__, {})
        if name.startswith("_") or name not in kinds:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        kind, own = kinds[name], getattr(self._own, name, None)
        if kind == "module":
            value = Module(f"{self.__name__}.{name}", own)
        elif kind == "ufunc" and isinstance(own, np.ufunc):
            value = ufunc(name)
        elif kind in ("type", "value") or own is None:
            value = own
        else:
            value = _checked(f"{self.__name__}.{name}".removeprefix("cupy."), own, kind)
        setattr(self, name, value)
        return value


module = Module("cupy", np)
module.ndarray, module.cuda = ndarray, cuda
module.get_default_memory_pool = lambda: default_pool
products = []  # what was asked of products of float32: (dtype, way)
module._core = types.SimpleNamespace(
    _routines_linalg=types.SimpleNamespace(
        COMPUTE_TYPE_TF32="tf32", COMPUTE_TYPE_FP32="float32", set_compute_type=lambda dtype, way: products.append((dtype, way))
    )
)


def _array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    if isinstance(obj, ndarray):
        counts.launches += 1
        return ndarray.around(submit(lambda: np.array(obj._host, dtype, order=order, ndmin=ndmin)))
    return _uploaded(np.array(obj, dtype, order=order, ndmin=ndmin))


def _asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    if not isinstance(a, ndarray):
        return _uploaded(np.array(a, dtype, order=order))
    if a._lease.device != current_device():
        return _array(a, dtype, order=order or "K")
    if dtype is None or a.dtype == np.dtype(dtype):
        return a
    return _launch(lambda x: x.astype(dtype), (a,), {})


def _uploaded(host):
    """A copy from the host, which is done before the call returns: the memory it comes from is not pinned."""
    counts.uploads += 1
    if cuda.get_current_stream().is_capturing():
        cuda.get_current_stream().refuse("a copy from memory that is not pinned while a stream is captured")
    return ndarray.around(submit(lambda: host))


module.array, module.asarray = _array, _asarray
module.asnumpy = lambda a, stream=None, order="C", out=None, *, blocking=True: (
    a.get() if isinstance(a, ndarray) else np.asarray(a)
)
