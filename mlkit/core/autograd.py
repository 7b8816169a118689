"""Reverse-mode differentiation: what a tape notes, the backward walk, and the public ways to ask for gradients.

Gradients are written in ops, so a tape that is open during a backward walk records it: second derivatives are the same walk.
Method: Griewank and Walther, Evaluating Derivatives, 2nd ed., SIAM 2008, chapter 3.
"""

import itertools

from mlkit.core import tree
from mlkit.core.spec import Spec
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor

_order = itertools.count()


class Node:
    """One recorded call. Holds of its arguments and outputs what `op.keep` asks for, of the others the specs.

    A leaf (a watched tensor) is a node without op.
    """

    __slots__ = ("op", "args", "params", "outs", "order", "multiple")

    def __init__(self, op, args, params, outs, multiple):
        self.op, self.args, self.params, self.outs, self.multiple = op, args, params, outs, multiple
        self.order = next(_order)


def record(op, args, params, out):
    """Note a call on the open tapes: link its outputs to a new node."""
    keep = op.keep
    if "x" not in keep:
        args = tuple(
            a if type(a) is not Tensor or str(i) in keep else Tensor(a.spec, a.node, a.slot) for i, a in enumerate(args)
        )
    multiple = type(out) is tuple
    outs = out if multiple else (out,)
    node = Node(op, args, params, [o.data if "y" in keep else o.spec for o in outs], multiple)
    for i, o in enumerate(outs):
        o.node, o.slot = node, i


def watch(tensor):
    """Make a tensor a place that gradients can be asked for."""
    if tensor.node is None:
        tensor.node = Node(None, (), {}, [tensor.spec], False)


def backward(targets, seeds, sources):
    """Gradients of sum(target * seed) over all targets, for each source tensor; None where nothing depends on it."""
    wanted = {s.node for s in sources if s.node is not None}
    grads = {}  # node -> list of gradients, one per output
    for t, g in zip(targets, seeds):
        if t.node is not None:
            _add(grads, t.node, t.slot, g)
    useful = _between(list(grads), wanted)
    found = {}
    for node in sorted(useful, key=lambda n: n.order, reverse=True):
        gs = grads.pop(node, None)
        if gs is None:
            continue
        if node in wanted:
            found[node] = gs
        if node.op is None:
            continue
        for a, g in zip(node.args, _vjp(node, gs)):
            if g is not None and type(a) is Tensor and a.node in useful:
                _add(grads, a.node, a.slot, g)
    return [found[s.node][s.slot] if s.node in found else None for s in sources]


def _add(grads, node, slot, g):
    gs = grads.get(node)
    if gs is None:
        gs = grads[node] = [None] * len(node.outs)
    gs[slot] = g if gs[slot] is None else gs[slot] + g


def _between(roots, wanted):
    """The nodes on paths from the roots back to wanted nodes."""
    useful, done = set(), set()
    stack = [(n, False) for n in roots]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            if node in wanted or any(type(a) is Tensor and a.node in useful for a in node.args):
                useful.add(node)
            continue
        if node in done:
            continue
        done.add(node)
        stack.append((node, True))
        stack.extend((a.node, False) for a in node.args if type(a) is Tensor and a.node is not None and a.node not in done)
    return useful


def _vjp(node, gs):
    op = node.op
    outs = tuple(Tensor(d, node, i) for i, d in enumerate(node.outs))
    g, out = (tuple(gs), outs) if node.multiple else (gs[0], outs[0])
    if op.vjp is not None:
        return op.vjp(g, out, *node.args, **node.params)
    if op.fallback is not None:
        return vjp_of(lambda *xs: op.fallback(*xs, **node.params), node.args, g)
    return (None,) * len(node.args)


def vjp_of(fn, args, g):
    """Gradients of a function of tensors at `args` by taping it anew; `g` is one gradient or a tuple of them."""
    with swapped(recording=state.recording + 1):
        inner = [_relink(a) for a in args]
        out = fn(*inner)
    outs, gs = (out, g) if type(out) is tuple else ((out,), (g,))
    pairs = [(o, h) for o, h in zip(outs, gs) if h is not None]
    sources = [a for a in inner if type(a) is Tensor]
    found = iter(backward([o for o, _ in pairs], [h for _, h in pairs], sources))
    return tuple(next(found) if type(a) is Tensor else None for a in inner)


def _relink(a):
    """A tensor that passes values and outer gradients on but is a place of its own on the tape."""
    if type(a) is not Tensor:
        return a
    t = Tensor(a.data)
    if a.node is None:
        watch(t)
    else:
        record(_ALIAS, (a,), {}, t)
    return t


class _Alias:
    """The identity, as a record that only tapes see."""

    name, keep, fallback = "alias", "", None

    @staticmethod
    def vjp(g, out, x):
        return (g,)


_ALIAS = _Alias()


class CustomVjp:
    """A record that only tapes see: its gradient is a function the user gave."""

    name, keep, fallback = "custom_gradient", "x", None

    def __init__(self, vjp):
        self.vjp = vjp


class GradientTape:
    """Notes what is computed inside its block, so that gradients can be asked for afterwards.

    Trainable variables are watched when they are read; other tensors with `watch`. Tapes nest: a gradient taken inside an outer
    tape's block is recorded there, which gives second derivatives.

    persistent: allow more than one call of `gradient`. watch_accessed_variables: watch variables of their own accord.

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
        self._used = False
        self._restore = None

    def __enter__(self):
        from mlkit.core import variable

        self._restore = (state.recording, variable.watching())
        state.recording += 1
        variable.set_watching(self.watch_accessed_variables)
        return self

    def __exit__(self, *_):
        from mlkit.core import variable

        if self._restore is not None:
            state.recording, watching = self._restore
            variable.set_watching(watching)
            self._restore = None

    def watch(self, tensor):
        """Follow a tensor, a Variable, or a nested structure of them."""
        from mlkit.core.variable import Variable

        for t in tree.flatten(tensor):
            watch(t.tracked_value() if isinstance(t, Variable) else t)

    def stop_recording(self):
        """A block inside the tape's block whose ops are not noted."""
        return swapped(recording=0)

    def gradient(self, target, sources, output_gradients=None, unconnected_gradients="none"):
        """Gradient of the sum of `target` with respect to `sources`, in the structure of `sources`.

        target: tensor or structure of tensors. output_gradients: weights of the targets, in the target's structure (default: ones).
        unconnected_gradients: "none" or "zero", what stands for a source the target does not depend on.
        """
        from mlkit.core.op import OPS
        from mlkit.core.variable import Variable

        if self._used and not self.persistent:
            raise RuntimeError(
                "GradientTape.gradient was called twice on a tape that is not persistent. Use GradientTape(persistent=True)."
            )
        self._used = True
        targets = [t.value if isinstance(t, Variable) else t for t in tree.flatten(target)]
        places = [s.tracked_value() if isinstance(s, Variable) else s for s in tree.flatten(sources)]
        if output_gradients is None:
            seeds = [OPS["full"](shape=t.shape, value=1, dtype=t.dtype) for t in targets]
        else:
            seeds = tree.flatten(output_gradients)
        if self.persistent or state.recording:
            gs = backward(targets, seeds, places)
        else:
            with swapped(recording=0):
                gs = backward(targets, seeds, places)
        if unconnected_gradients == "zero":
            gs = [OPS["full"](shape=p.shape, value=0, dtype=p.dtype) if g is None else g for g, p in zip(gs, places)]
        return tree.pack_sequence_as(sources, gs)


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
        with GradientTape() as tape:
            for i in wanted:
                args[i] = tree.map_structure(lambda a: _relink(_as_tensor(a)), args[i])
            out = fn(*args, **kwargs)
        value = out[0] if has_aux else out
        if value.ndim:
            raise ValueError(f"grad: the function must return a scalar, but the value has shape {value.shape}. Reduce it with ops.sum or ops.mean.")
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
        with swapped(recording=0):
            out, grad_fn = fn(*(Tensor(a.data) if type(a) is Tensor else a for a in args), **kwargs)
        if not state.recording or not any(type(a) is Tensor and a.node is not None for a in args):
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
