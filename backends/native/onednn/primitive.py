"""Primitives: a computation made ready for tensors of known shape and layout.

Making one takes a millisecond or more, and some 50 KB to 150 KB (code is generated). So kernels of the same shapes share them: those that
are in use, and some used last, are found by all that their descriptors are made from.
"""

import ctypes
import functools
import weakref

from mlkit.backends.native import threads
from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.kernel_steps import made_alone
from mlkit.backends.native.onednn.library import OneDnnError, library
from mlkit.backends.native.onednn.memory import Desc
from mlkit.backends.native.onednn.work import is_small

REFUSED = 2, 3  # invalid arguments (for that version of the library), unimplemented


class Primitive:
    """A primitive.

    creator   name of the function that makes its descriptor, "dnnl_..._primitive_desc_create"
    args      that function's arguments between engine and attributes; a Desc, a ctypes value, or None for a null pointer
    post_ops  what follows in the same pass over memory: ("eltwise", algorithm, alpha, beta) or ("binary", algorithm, Desc)

    What is small (`is_small`) is made for one thread, and should be run by one.
    """

    def __init__(self, creator, *args, post_ops=(), engine=True):
        lib = library()
        self.is_small = is_small(creator, [a for a in args if isinstance(a, Desc)])
        attributes = _attributes(lib, post_ops)
        args = [a.handle if isinstance(a, Desc) else a for a in args]
        self._free_pd, self._free = lib.function("dnnl_primitive_desc_destroy"), lib.function("dnnl_primitive_destroy")

        def make():
            self._pd = lib.make(creator, *([lib.engine] if engine else []), *args, attributes)
            self.handle = lib.make("dnnl_primitive_create", self._pd)

        try:
            made_alone(make) if self.is_small else make()
        finally:
            lib.function("dnnl_primitive_attr_destroy")(attributes)
        self.scratchpad_bytes = self.desc(c.SCRATCHPAD_MD).nbytes

    def desc(self, what, index=0):
        """The descriptor that the primitive has for one of its tensors."""
        found = library().function("dnnl_primitive_desc_query_md")(self._pd, ctypes.c_int(what), ctypes.c_int(index))
        return Desc(ctypes.c_void_p(found), owner=self)

    @property
    def pd(self):
        """The handle of its descriptor, which backward primitives take as a hint."""
        return self._pd

    @property
    def implementation(self):
        """The name that oneDNN gives to what it chose, such as ``"jit:avx2"``."""
        name = ctypes.c_char_p()
        library().call("dnnl_primitive_desc_query", self._pd, ctypes.c_int(c.QUERY_IMPLEMENTATION), 0, ctypes.byref(name))
        return name.value.decode()

    def __del__(self):
        if hasattr(self, "handle"):
            self._free(self.handle)
        if hasattr(self, "_pd"):
            self._free_pd(self._pd)


def _attributes(lib, post_ops):
    """A handle of attributes: scratchpads come from us, so that they lie in the plan's memory."""
    attributes = lib.make("dnnl_primitive_attr_create")
    lib.call("dnnl_primitive_attr_set_scratchpad_mode", attributes, ctypes.c_int(c.SCRATCHPAD_BY_USER))
    if post_ops:
        chain = lib.make("dnnl_post_ops_create")
        for kind, *args in post_ops:
            _APPEND[kind](lib, chain, *args)
        lib.call("dnnl_primitive_attr_set_post_ops", attributes, chain)
        lib.function("dnnl_post_ops_destroy")(chain)
    return attributes


def _append_eltwise(lib, chain, algorithm, alpha=0.0, beta=0.0):
    lib.call("dnnl_post_ops_append_eltwise", chain, ctypes.c_int(algorithm), ctypes.c_float(alpha), ctypes.c_float(beta))


def _append_binary(lib, chain, algorithm, desc):
    lib.call("dnnl_post_ops_append_binary", chain, ctypes.c_int(algorithm), desc.handle)


_APPEND = dict(eltwise=_append_eltwise, binary=_append_binary)


class _Primitives:
    """Primitives by what they are made from: all that somebody holds, and those asked for last, for whoever comes next.

    Without a lock, which a forked child could find taken: of two threads that ask for the same at once both may make it.
    """

    def __init__(self, most):
        self._most, self._alive, self._recent = most, weakref.WeakValueDictionary(), {}

    def get(self, key, make):
        """The primitive, or None, for a key; made where there is none."""
        found = self._recent.pop(key, self)
        if found is self:
            found = self._alive.get(key) or make()
            if found is not None:
                self._alive[key] = found
        self._recent[key] = found  # the last one now
        for oldest in list(self._recent)[: -self._most]:
            self._recent.pop(oldest, None)
        return found

    def clear(self):
        """Forget all: primitives are made for a number of threads."""
        self._alive.clear()
        self._recent.clear()


_primitives = _Primitives(most=64)
threads.listeners.append(_primitives.clear)


def or_none(make):
    """A maker of primitives that returns None where oneDNN has no implementation, and shares them."""

    def made(args, params):
        try:
            return make(*args, **params)
        except OneDnnError as error:
            if error.status not in REFUSED:
                raise
            return None

    @functools.wraps(make)
    def shared(*args, **params):
        return _primitives.get((make, args, *params.items()), lambda: made(args, params))

    return shared


def reorder(source, target):
    """The primitive that copies from one layout to another."""
    lib = library()
    return Primitive("dnnl_reorder_primitive_desc_create", source, lib.engine, target, lib.engine, engine=False)


def execution(primitive, memories):
    """A function without arguments that runs a primitive and returns a status, 0 if all went well.

    memories: name of an argument -> Memory.
    """
    lib = library()
    array = (_Argument * len(memories))(*(_Argument(k, m.handle) for k, m in memories.items()))
    run = functools.partial(lib.execute, primitive.handle, lib.stream, len(memories), array)
    run.alive = primitive, list(memories.values())
    return run


class _Argument(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_int), ("memory", ctypes.c_void_p)]
