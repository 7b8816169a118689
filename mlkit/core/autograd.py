"""Reverse-mode differentiation: what a tape notes, the backward walk, and the public ways to ask for gradients.

A tape keeps one record for each call on tensors it follows; tensors know only the numbers of their records, so all memory is
the tape's and goes with it. Gradients are written in ops, so a tape that is open during a backward walk records it: second
derivatives are the same walk.
Method: Griewank and Walther, Evaluating Derivatives, 2nd ed., SIAM 2008, chapter 3.
"""

import itertools

from mlkit.core import tree
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor

GRADIENT = "gradient"  # last name of the place of calls that a backward walk makes in a layer

_numbers = itertools.count()


def new_node():
    """A number by which tapes know a tensor."""
    return next(_numbers)


class Record:
    """One call. Holds of its arguments and outputs what `op.keep` asks for, of the others the specs."""

    __slots__ = ("op", "args", "params", "outs", "is_tuple", "place")

    def __init__(self, op, args, params, outs, is_tuple):
        self.op, self.args, self.params, self.outs, self.is_tuple = op, args, params, outs, is_tuple
        self.place = state.scope  # the layer, to which the gradient's calls belong too


def record(op, args, params, out):
    """Note a call on those open tapes that follow one of its arguments, and number its outputs."""
    tapes = [t for t in state.recording if any(type(a) is Tensor and a.node in t.records for a in args)]
    if not tapes:
        return
    keep = op.keep
    if "x" not in keep:
        args = tuple(
            a if type(a) is not Tensor or str(i) in keep else Tensor(a.spec, a.node, a.slot) for i, a in enumerate(args)
        )
    is_tuple = type(out) is tuple
    outs = out if is_tuple else (out,)
    entry = Record(op, args, params, [o.data if "y" in keep else o.spec for o in outs], is_tuple)
    node = new_node()
    for tape in tapes:
        tape.records[node] = entry
    for i, o in enumerate(outs):
        o.node, o.slot = node, i


def backward(records, targets, seeds, sources, consume=False):
    """Gradients of sum(target * seed) over all targets, for each source tensor; None where nothing depends on it.

    records: number -> Record (None for a watched tensor), in order of making. consume: forget each record once it is used.
    """
    grads = {}  # (number, which output) -> gradient
    for t, g in zip(targets, seeds):
        if t.node in records:
            _add(grads, t, g)
    wanted = {s.node for s in sources}
    useful = _depending(records, wanted)
    for node in reversed(useful):
        entry = records.pop(node) if consume else records[node]
        if entry is None:
            continue
        take = grads.get if node in wanted else grads.pop
        gs = [take((node, i), None) for i in range(len(entry.outs))]
        if all(g is None for g in gs):
            continue
        for a, g in zip(entry.args, _vjp(node, entry, gs)):
            if g is not None and type(a) is Tensor and a.node in useful:
                _add(grads, a, g)
    return [grads.get((s.node, s.slot)) for s in sources]


def _add(grads, tensor, g):
    key = tensor.node, tensor.slot
    grads[key] = grads[key] + g if key in grads else g


def _depending(records, wanted):
    """The numbers of records that depend on wanted ones, these included, in order; a dict, for its fast `in`. Behind an op that has
    no gradient, such as `stop_gradient`, nothing does."""
    useful = {}
    for node, entry in records.items():
        if node in wanted:
            useful[node] = True
        elif entry is not None and any(type(a) is Tensor and a.node in useful for a in entry.args):
            if entry.op.vjp is not None or entry.op.fallback is not None:
                useful[node] = True
    return useful


def _vjp(node, entry, gs):
    outer, state.scope = state.scope, (*entry.place, GRADIENT)
    try:
        return _vjp_here(node, entry, gs)
    finally:
        state.scope = outer


def _vjp_here(node, entry, gs):
    op = entry.op
    outs = tuple(Tensor(d, node, i) for i, d in enumerate(entry.outs))
    g, out = (tuple(gs), outs) if entry.is_tuple else (gs[0], outs[0])
    if op.vjp is not None:
        return op.vjp(g, out, *entry.args, **entry.params)
    if op.fallback is not None:
        return vjp_of(lambda *xs: op.fallback(*xs, **entry.params), entry.args, g)
    return (None,) * len(entry.args)


def vjp_of(fn, args, g):
    """Gradients of a function of tensors at `args` by taping it anew; `g` is one gradient or a tuple of them."""
    tape = GradientTape(watch_accessed_variables=False)
    inner = [_alias(a) for a in args]
    sources = [a for a in inner if type(a) is Tensor]
    with tape:
        tape.watch(sources)
        out = fn(*inner)
    outs, gs = (out, g) if type(out) is tuple else ((out,), (g,))
    pairs = [(o, h) for o, h in zip(outs, gs) if h is not None]
    found = iter(backward(tape.records, [o for o, _ in pairs], [h for _, h in pairs], sources, consume=True))
    return tuple(next(found) if type(a) is Tensor else None for a in inner)


def _alias(a):
    """A tensor of the same value that is a place of its own for gradients; those of open tapes still pass through it."""
    if type(a) is not Tensor:
        return a
    t = Tensor(a.data)
    if state.recording and a.node is not None:
        record(_ALIAS, (a,), {}, t)
    return t


class _Alias:
    """The identity, as an op that only tapes see."""

    name, keep, fallback = "alias", "", None

    @staticmethod
    def vjp(g, out, x):
        return (g,)


_ALIAS = _Alias()


class CustomVjp:
    """An op that only tapes see: its gradient is a function that was given. `vjp` and `keep` are as in `Op`."""

    name, fallback = "custom_gradient", None

    def __init__(self, vjp, keep="x"):
        self.vjp, self.keep = vjp, keep


def _is_on_tape(args):
    """Whether a tape is open that knows one of the arguments."""
    return bool(state.recording) and any(type(a) is Tensor and a.node is not None for a in args)


def as_function_of(args, value, vjp):
    """The tensor `value`, of which tapes shall know nothing but that its gradients are vjp(g, value, *args).

    For results that depend on `args` by another way than the ops that made them; nothing of `value` may be on a tape yet.
    """
    if not _is_on_tape(args):
        return value
    fresh = Tensor(value.data)
    record(CustomVjp(vjp, keep="xy"), args, {}, fresh)
    return fresh


class GradientTape:
    """Notes what is computed inside its block, so that gradients can be asked for afterwards.

    Trainable variables are watched when they are read; other tensors with `watch`. Tapes nest: a gradient taken inside an outer
    tape's block is recorded there, which gives second derivatives.

    persistent: allow more than one call of `gradient`; what was noted is kept as long as the tape is.
    watch_accessed_variables: watch trainable variables of their own accord.

    >>> import mlkit
    >>> x = mlkit.ops.convert_to_tensor(3.0)
    >>> with mlkit.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x * x
    >>> float(tape.gradient(y, x))
    6.0
    """

    def __init__(self, persistent=False, watch_accessed_variables=True):
        self.persistent = persistent
        self.watch_accessed_variables = watch_accessed_variables
        self.records = {}  # number -> Record, or None for what is watched
        self._outer = None

    def __enter__(self):
        if self._outer is not None:
            raise RuntimeError("GradientTape: the tape is recording already.")
        self._outer = state.recording or ()
        state.recording = (*self._outer, self)
        return self

    def __exit__(self, *_):
        state.recording, self._outer = self._outer, None

    def watch(self, tensor):
        """Follow a tensor, a Variable, or a nested structure of them."""
        from mlkit.core.variable import Variable

        self._check_unused("watch")
        for t in tree.flatten(tensor):
            t = t.tracked_value() if isinstance(t, Variable) else t
            if type(t) is not Tensor:
                raise TypeError(f"GradientTape.watch: expected tensors or variables, but got {type(t).__name__}.")
            self._follow(t)

    def _follow(self, tensor):
        if tensor.node is None:
            tensor.node = new_node()
        self.records.setdefault(tensor.node)

    def _check_unused(self, what):
        if self.records is None:
            raise RuntimeError(
                f"GradientTape.{what}: this tape has given its gradient. Use GradientTape(persistent=True) for several."
            )

    def stop_recording(self):
        """A block inside the tape's block whose ops are not noted."""
        return swapped(recording=())

    def reset(self):
        """Forget what was noted."""
        self.records = {}

    def gradient(self, target, sources, output_gradients=None, unconnected_gradients="none"):
        """Gradient of the sum of `target` with respect to `sources`, in the structure of `sources`.

        target: tensor or structure of tensors. output_gradients: weights of the targets, in their structure (default: ones).
        unconnected_gradients: "none" or "zero", what stands for a source the target does not depend on.
        """
        from mlkit.core.op import OPS
        from mlkit.core.variable import Variable

        self._check_unused("gradient")
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(
                f'GradientTape: `unconnected_gradients` must be "none" or "zero", but got {unconnected_gradients!r}.'
            )
        targets = [t.tracked_value() if isinstance(t, Variable) else t for t in tree.flatten(target)]
        places = [s.tracked_value() if isinstance(s, Variable) else s for s in tree.flatten(sources)]
        if output_gradients is None:
            seeds = [OPS["full"](shape=t.shape, value=1, dtype=t.dtype) for t in targets]
        else:
            seeds = [_as_tensor(g) for g in tree.flatten(output_gradients)]
        records = self.records
        if not self.persistent:
            self.records = None
        with swapped(recording=tuple(t for t in state.recording or () if t.records is not None)):
            gs = backward(records, targets, seeds, places, consume=not self.persistent)
        if unconnected_gradients == "zero":
            gs = [OPS["full"](shape=p.shape, value=0, dtype=p.dtype) if g is None else g for g, p in zip(gs, places)]
        return tree.pack_sequence_as(sources, gs)


def watch_read(tensor):
    """The value of a trainable variable has been read: tapes follow it unless told not to."""
    for tape in state.recording:
        if tape.watch_accessed_variables:
            tape._follow(tensor)


def value_and_grad(fn, argnums=0, has_aux=False):
    """A function that returns (fn(*args), gradient of fn with respect to the arguments `argnums`).

    `fn` returns a scalar tensor, with has_aux=True a pair (scalar, anything). Arguments may be nested structures.

    >>> import mlkit
    >>> value, slope = mlkit.value_and_grad(lambda x: x ** 3)(mlkit.ops.convert_to_tensor(2.0))
    >>> float(value), float(slope)
    (8.0, 12.0)
    """

    def run(*args, **kwargs):
        single = isinstance(argnums, int)
        wanted = (argnums,) if single else tuple(argnums)
        args = list(args)
        for i in wanted:
            args[i] = tree.map_structure(lambda a: _alias(_as_tensor(a)), args[i])
        with GradientTape() as tape:
            tape.watch([args[i] for i in wanted])
            out = fn(*args, **kwargs)
        value = _as_tensor(out[0] if has_aux else out)
        if value.ndim:
            raise ValueError(
                f"grad: the function must return a scalar, but returned shape {value.shape}. Reduce it with ops.sum."
            )
        gs = tape.gradient(value, [args[i] for i in wanted], unconnected_gradients="zero")
        return out, gs[0] if single else tuple(gs)

    return run


def grad(fn, argnums=0, has_aux=False):
    """A function that returns the gradient of `fn`; see `value_and_grad`. With has_aux=True: (gradient, aux).

    >>> import mlkit
    >>> float(mlkit.grad(mlkit.grad(lambda x: x ** 3))(mlkit.ops.convert_to_tensor(2.0)))
    12.0
    """
    both = value_and_grad(fn, argnums, has_aux)

    def run(*args, **kwargs):
        out, gs = both(*args, **kwargs)
        return (gs, out[1]) if has_aux else gs

    return run


def custom_gradient(fn):
    """Give a function a gradient of your own.

    `fn(*args)` returns (outputs, grad_fn); `grad_fn(*output_gradients)` returns the gradient of each argument.

    >>> import mlkit
    >>> @mlkit.custom_gradient
    ... def clipped(x):
    ...     return x, lambda g: mlkit.ops.clip(g, -1.0, 1.0)
    >>> float(mlkit.grad(lambda x: clipped(x) * 5.0)(mlkit.ops.convert_to_tensor(1.0)))
    1.0
    """

    def run(*args, **kwargs):
        args = tuple(_as_tensor(a) for a in args)
        with swapped(recording=()):
            out, grad_fn = fn(*(Tensor(a.data) if type(a) is Tensor else a for a in args), **kwargs)
        if not _is_on_tape(args):
            return out

        def vjp(g, y, *xs):
            gs = g if type(g) is tuple else (g,)
            found = grad_fn(*gs)
            return tuple(found) if isinstance(found, (tuple, list)) else (found,)

        flat = tree.flatten(out)
        fresh = tuple(Tensor(t.data) for t in flat)
        record(CustomVjp(vjp), args, {}, fresh if len(fresh) > 1 else fresh[0])
        return tree.pack_sequence_as(out, list(fresh))

    return run


def _as_tensor(x):
    from mlkit.ops import convert_to_tensor

    return x if type(x) is Tensor else convert_to_tensor(x)
