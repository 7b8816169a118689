"""Op, the record that defines an operation, and `bind`, the one entrance through which every op call goes.

A call is read in one of four ways:
- symbolic (an argument is known by its spec only): the op's `spec` gives the result's spec;
- staged (a trace is open): a node is added to the graph;
- eager: the backend's kernel runs now, or the op's fallback where the backend has none;
- and where a gradient tape is open and an argument is tracked, the call is also noted on the tape.
"""

import numpy as np

from mlkit.core import autograd, dtypes
from mlkit.core.spec import ShapesDiffer, Spec, is_known, size_of
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor, Value, as_arrays
from mlkit.core.traits import UNKNOWN

_ndarray = np.ndarray
OPS = {}  # name -> Op: all operations there are


class Op:
    """An operation.

    name      what backends know it by
    spec      (*specs, **params) -> Spec, or a tuple of them. A tensor argument arrives as its Spec, a Python scalar as
              itself, a missing one as None. It raises the message users see when arguments do not fit.
    vjp       (g, out, *args, **params) -> one gradient or None per argument, written in ops. For an op of several outputs g
              and out are tuples, and a g may be None. A vjp of None means: no gradient, or that of the fallback.
    keep      what an eager tape must hold for vjp: "x" all inputs, "0", "1" ... single ones, "y" the outputs. Of all others vjp
              sees shape and dtype.
    fallback  (*args, **params) -> the same result by other ops; ops that have one are fused ops, and a backend may lack them.
              Where `spec` raises `ShapesDiffer`, the fallback is run if it can broadcast these shapes.
    asks_first  whether eager calls ask the spec before the kernel: its kernels rely on arguments that fit together, where others
              fail by themselves. Those of fused ops do.
    traits    the rest that is known of it: see `Traits`
    variants  kind -> op: what does the same work in another way, "wide" or "in_blocks"; see `variant`
    base      the op that this one is a variant of, or None
    """

    __slots__ = ("name", "spec", "vjp", "keep", "fallback", "asks_first", "traits", "variants", "base", "_outputs")

    def __init__(self, name, spec, vjp=None, keep="xy", fallback=None, asks_first=False, traits=UNKNOWN):
        if name in OPS:
            raise ValueError(f"Op {name!r} is defined twice.")
        self.name, self.spec, self.vjp, self.keep, self.fallback = name, spec, vjp, keep, fallback
        self.asks_first = asks_first or (fallback is not None and not traits.broadcasts)
        self.traits, self.variants, self.base = traits, {}, None
        self._outputs = {}  # what `outputs` has found
        OPS[name] = self

    def variant(self, kind, *args, **options):
        """A further op, `name`_`kind`, that is reached from this one as ``variants[kind]``; arguments as for `Op`."""
        made = self.variants[kind] = Op(f"{self.name}_{kind}", *args, **options)
        made.base = self
        return made

    def __call__(self, *args, **params):
        return bind(self, args, params)

    def __repr__(self):
        return f"<Op {self.name}>"

    def infer(self, args, params):
        """The output Spec (or tuple) for tensors, arrays or specs as arguments."""
        return self.spec(*map(_spec_of, args), **params)

    def outputs(self, arrays, params):
        """The output Spec (or tuple) for arrays, numbers or None as arguments, as `spec` says; it raises where they do not fit.
        The last answers are remembered."""
        key = (*[(a.shape, a.dtype) if hasattr(a, "shape") else (type(a), a) for a in arrays], *params.items())
        try:
            found = self._outputs.get(key)
        except TypeError:  # a parameter that is not hashable
            return self.spec(*map(_spec_of_array, arrays), **params)
        if found is None:
            found = self.spec(*map(_spec_of_array, arrays), **params)
            if _are_known(found):  # an unknown size never comes again
                if len(self._outputs) >= _REMEMBERED:
                    self._outputs.clear()
                self._outputs[key] = found
        return found


_REMEMBERED = 256  # answers of each op
_VAST = 1 << 46  # bytes: more than any machine has, and than NumPy may speak of


def _spec_of_array(a):
    return Spec(a.shape, dtypes.name_of(a.dtype)) if hasattr(a, "shape") else a


def _spec_of(a):
    if type(a) is Tensor:
        return a.spec
    return a.spec if type(a) is Value else a


def bind(op, args, params):
    """Apply an op to Tensors (and Python scalars, or None) and parameters; a Tensor or a tuple of them comes back."""
    tracked = symbolic = False
    data = []
    for a in args:
        if type(a) is Tensor:
            if a.node is not None:
                tracked = True
            a = a.data
            if type(a) is Spec:
                symbolic = True
        data.append(a)
    if symbolic or state.trace is not None:
        try:
            out = _wrap(op.spec(*map(_spec_of, args), **params) if symbolic else state.trace.stage(op, args, data, params))
        except ShapesDiffer as refusal:
            return _compose(op, args, params, refusal)
        if symbolic:
            return out
    else:
        kernel = state.kernels.get(op.name)
        if kernel is None and op.fallback is None:
            raise NotImplementedError(f"The {state.backend.name} backend has no kernel for {op.name!r}.")
        try:
            if op.asks_first:
                op.outputs(data, params)
            if kernel is None:
                return op.fallback(*args, **params)
            result = kernel(*data, **params)
        except Exception as error:
            return _explain(op, args, params, error)
        out = Tensor(result) if type(result) is _ndarray else _wrap(as_arrays(result))
    if tracked and state.recording:
        autograd.record(op, args, params, out)
    return out


def _wrap(result):
    return tuple(map(Tensor, result)) if type(result) is tuple else Tensor(result)


def _explain(op, args, params, error):
    """A kernel or a fallback failed. Where the arguments are at fault, the spec says so in the user's words; where a parameter holds an
    unknown size (zeros of the batch's length, say), the result is symbolic."""
    if any(type(a) is Tensor and type(a.data) is Value for a in args):
        raise TypeError(
            f"{op.name}: an argument belongs to a graph whose tracing has ended. Return tensors from the traced function; "
            "do not keep them in attributes or lists."
        ) from error
    try:
        specs = op.infer(args, params)
    except ShapesDiffer as refusal:
        return _compose(op, args, params, refusal)
    except Exception as better:
        raise better from None
    if _are_known(specs):
        needed = sum(size_of(s.shape) * dtypes.itemsize(s.dtype) for s in _several(specs))
        if isinstance(error, MemoryError) or needed > _VAST:
            results = " and ".join(map(str, _several(specs)))
            raise MemoryError(f"{op.name}: there is no memory for {results}, {needed:,} bytes.") from None
        raise error
    return _wrap(specs)


def _compose(op, args, params, refusal):
    """The result of a fused op for shapes that its kernels do not take: that of its composed form, if this broadcasts them."""
    if op.fallback is None:
        raise refusal from None
    try:
        with swapped(trace=None):
            op.fallback(*(Tensor(a.spec) if type(a) is Tensor else a for a in args), **params)
    except Exception as error:  # the composed form refuses too, or has a fault, which shows as the cause
        raise refusal from error
    return op.fallback(*args, **params)


def _are_known(specs):
    """Whether all sizes of one Spec or several are numbers."""
    return all(is_known(*s.shape) for s in _several(specs))


def _several(specs):
    return specs if type(specs) is tuple else (specs,)
