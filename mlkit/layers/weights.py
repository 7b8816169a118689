"""What a layer class declares of its weights: the options that its constructor takes for them, and how they are made."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from mlkit import constraints, initializers, regularizers
from mlkit.objects.signatures import argument, with_common

L = TypeVar("L", bound=type)


class Weight(NamedTuple):
    """One weight of a layer class.

    initializer: the default one. name: of the variable, where that is not what its options begin with. trainable: False for
    statistics, which have neither regularizer nor constraint. autocast: whether it is read in the compute dtype.
    """

    initializer: object
    name: str | None = None
    trainable: bool = True
    autocast: bool = True

    @property
    def options(self):
        """What a layer's constructor takes for it."""
        return ("initializer", "regularizer", "constraint") if self.trainable else ("initializer",)


def weights(
    activity_regularizer: bool = False, after: dict[str, str] | None = None, **declared: Weight | str
) -> Callable[[L], L]:
    """Class decorator: the layer has these weights, and takes for each, say `kernel`, the options `kernel_initializer`,
    `kernel_regularizer` and `kernel_constraint`, which it keeps under these names.

    Its `__init__` shows them in its signature, in Keras's order, after its positional arguments and before its keyword-only
    ones, and passes them on in its `kwargs`; `Layer.__init__` takes them from there. `build` makes the weight by
    ``self._make_weight("kernel", shape)``. Subclasses inherit all of that, or declare anew.

    declared: a `Weight` by its name, or its default initializer alone. activity_regularizer: whether this option of all layers
    is shown after the other regularizers. after: {keyword-only argument: the option that it follows}.

    >>> import inspect, mlkit
    >>> @weights(scale="ones")
    ... class Scale(mlkit.Layer):
    ...     def __init__(self, axis=-1, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.axis = axis
    ...     def build(self, input_shape):
    ...         self.scale = self._make_weight("scale", (input_shape[self.axis],))
    ...     def call(self, x):
    ...         return x * self.scale
    >>> str(inspect.signature(Scale))
    "(axis=-1, scale_initializer='ones', scale_regularizer=None, scale_constraint=None, **kwargs)"
    >>> Scale(scale_initializer="zeros")(mlkit.ops.ones((1, 2))).numpy()
    array([[0., 0.]], dtype=float32)
    """
    declared = {n: w if isinstance(w, Weight) else Weight(w) for n, w in declared.items()}
    trained = [n for n, w in declared.items() if w.trainable]
    options = {f"{n}_initializer": (initializers.get, w.initializer) for n, w in declared.items()}
    options |= {f"{n}_regularizer": (regularizers.get, None) for n in trained}
    shown = [*options, *(["activity_regularizer"] if activity_regularizer else [])]
    options |= {f"{n}_constraint": (constraints.get, None) for n in trained}
    shown += [f"{n}_constraint" for n in trained]
    common = [argument(n, options[n][1] if n in options else None) for n in shown]

    def declare(cls: L) -> L:
        cls._declared_weights, cls._weight_options = declared, options
        if "__init__" in vars(cls):
            cls.__init__ = with_common(cls.__init__, common, after)
        return cls

    return declare


def by_position(args, *named):
    """Shape, initializer and dtype of `add_weight`: the first ones may be positional. A name there comes from old code: say
    so."""
    if isinstance(args[0], str):
        raise ValueError(f"add_weight: the name must be given as a keyword argument: `name={args[0]!r}`.")
    if len(args) > len(named):
        raise TypeError(f"add_weight: takes at most 3 positional arguments (shape, initializer, dtype), but got {len(args)}.")
    for word, value in zip(("shape", "initializer", "dtype"), named[: len(args)]):
        if value is not None:
            raise ValueError(f"add_weight: `{word}` was passed both positionally and as a keyword argument.")
    return (*args, *named[len(args) :])
