"""Op, the record that defines an operation. Calling one is the one entrance to the engine.

What becomes of a call is for the interpreter on top of the stack to say (`core.interpreter`): a kernel runs, a node is added to a graph,
a tape notes it, or shapes alone are found.
"""

from collections.abc import Callable, Iterable
from typing import Any

from mlkit.core import dtypes
from mlkit.core.interpreter import EAGER, Composed
from mlkit.core.spec import Spec, are_known
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor, Value
from mlkit.core.traits import UNKNOWN, Traits

OPS: "dict[str, Op]" = {}  # name -> Op: all operations there are


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
    spec: Callable[..., Any]
    vjp: Any
    fallback: Any
    base: Any

    def __init__(
        self,
        name: str,
        spec: Callable[..., Any],
        vjp: Callable[..., Any] | None = None,
        keep: str = "xy",
        fallback: Callable[..., Any] | None = None,
        asks_first: bool = False,
        traits: Traits = UNKNOWN,
    ):
        if name in OPS:
            raise ValueError(f"Op {name!r} is defined twice.")
        self.name, self.spec, self.vjp, self.keep, self.fallback = name, spec, vjp, keep, fallback
        self.asks_first = asks_first or (fallback is not None and not traits.broadcasts)
        self.traits, self.variants = traits, dict[str, Op]()
        self.base = None
        self._outputs: dict[Any, Any] = {}  # what `outputs` has found
        OPS[name] = self

    def variant(self, kind: str, *args: Any, **options: Any) -> "Op":
        """A further op, `name`_`kind`, that is reached from this one as ``variants[kind]``; arguments as for `Op`."""
        made = self.variants[kind] = Op(f"{self.name}_{kind}", *args, **options)
        made.base = self
        return made

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Apply it to Tensors (and Python scalars, or None) and parameters; a Tensor or a tuple of them comes back."""
        try:
            return state.top.apply(self, args, params)
        except Composed as asked:
            refusal = asked.refusal
        if refusal is not None:
            _require_composed(self, args, params, refusal)
        return self.fallback(*args, **params)

    def __repr__(self) -> str:
        return f"<Op {self.name}>"

    def infer(self, args: Iterable[Any], params: dict[str, Any]) -> Any:
        """The output Spec (or tuple) for tensors, arrays or specs as arguments."""
        return self.spec(*map(_spec_of, args), **params)

    def outputs(self, arrays: Iterable[Any], params: dict[str, Any]) -> Any:
        """The output Spec (or tuple) for arrays, numbers or None as arguments, as `spec` says; it raises where they do not fit.
        The last answers are remembered."""
        key = (*[(a.shape, a.dtype) if hasattr(a, "shape") else (type(a), a) for a in arrays], *params.items())
        try:
            found = self._outputs.get(key)
        except TypeError:  # a parameter that is not hashable
            return self.spec(*map(_spec_of_array, arrays), **params)
        if found is None:
            found = self.spec(*map(_spec_of_array, arrays), **params)
            if are_known(found):  # an unknown size never comes again
                if len(self._outputs) >= _REMEMBERED:
                    self._outputs.clear()
                self._outputs[key] = found
        return found


_REMEMBERED = 256  # answers of each op


def _spec_of_array(a: Any) -> Any:
    return Spec(a.shape, dtypes.name_of(a.dtype)) if hasattr(a, "shape") else a


def _spec_of(a: Any) -> Any:
    if type(a) is Tensor:
        return a.spec
    return a.spec if type(a) is Value else a


def _require_composed(op: Op, args: tuple[Any, ...], params: dict[str, Any], refusal: Exception) -> None:
    """Raise what a fused op says of shapes that its kernels do not take, unless its composed form broadcasts them."""
    if op.fallback is None:
        raise refusal
    try:
        with swapped(top=EAGER):
            op.fallback(*(Tensor(a.spec) if type(a) is Tensor else a for a in args), **params)
    except Exception as error:  # the composed form refuses too, or has a fault, which shows as the cause
        raise refusal from error
