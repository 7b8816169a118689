"""JaxLayer and FlaxLayer: models written in JAX or Flax as layers. What runs is JAX's; variables, training and files are ours."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes, tree
from mlkit.core.deferred import Deferred
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure
from mlkit.layers.jax_function import JaxFunction, jax
from mlkit.layers.layer import Layer
from mlkit.objects.config_object import serialized
from mlkit.objects.seed_generator import SeedGenerator, draw_seed
from mlkit.objects.serialization import deserialize_keras_object
from mlkit.objects.variable import Variable
from mlkit.primitives.foreign import call_foreign

linen = Deferred("flax.linen", "FlaxLayer needs the package flax: pip install flax")


class JaxLayer(Layer):
    """A function of JAX as a layer.

    Args:
        call_fn: ``call_fn(params, state, rng, inputs, training)``, which may leave out any but `inputs`; the names are these.
            With `state` it returns (outputs, new state), else the outputs. It must be a function that `jax.jit` can compile.
        init_fn: ``init_fn(rng, inputs, training)`` makes params, or (params, state), for ones of the inputs' shape; the last
            argument and `rng` may be left out.
        params, state: trees of arrays to start with instead; all that is no array or number stays what it is.
        seed: of the keys that `rng` gets in training.
        native_serialization_platforms: kept for Keras's configs.

    A step of a compiled model calls JAX twice for each such layer, forward and for the gradient, which computes the layer anew.

    >>> import mlkit
    >>> import jax.numpy as jnp
    >>> def dense(params, inputs):
    ...     return jnp.tanh(inputs @ params["w"])
    >>> layer = mlkit.layers.JaxLayer(dense, params={"w": jnp.ones((3, 2))})
    >>> layer(mlkit.ops.ones((4, 3))).shape, len(layer.trainable_weights)
    ((4, 2), 1)
    """

    def __init__(
        self,
        call_fn: Callable[..., Any],
        init_fn: Callable[..., Any] | None = None,
        params: Structure = None,
        state: Structure = None,
        seed: int | None = None,
        native_serialization_platforms: Sequence[str] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.call_fn, self.init_fn = call_fn, init_fn
        self.native_serialization_platforms = native_serialization_platforms
        self._functions: dict[Any, _Call] = {}  # what differs between calls but for arrays -> what is called
        self.call_fn_arguments = _arguments(call_fn, "call_fn", ("params", "state", "rng", "inputs", "training"))
        self.init_fn_arguments = _arguments(init_fn, "init_fn", ("rng", "inputs", "training")) if init_fn else None
        takes_weights = not {"params", "state"}.isdisjoint(self.call_fn_arguments)
        if takes_weights and init_fn is None and params is None and state is None:
            raise ValueError(
                f"{type(self).__name__}: `init_fn`, `params` and `state` cannot all be None when `call_fn` takes `params` or `state`."
            )
        self._track(params, state)
        self.built = params is not None or state is not None
        self.seed_generator = SeedGenerator(seed) if "rng" in self.call_fn_arguments else None

    def _track(self, params, state):
        """Make variables of the arrays and numbers in these trees."""
        self.params, self.state = self._variables(params, trainable=True), self._variables(state, trainable=False)

    def _variables(self, values, trainable):
        def variable(value):
            if not isinstance(value, (np.ndarray, np.generic, jax.Array, Tensor, Variable, bool, int, float)):
                return value  # a setting of the model
            array = np.asarray(value)
            dtype = None if dtypes.is_float(dtypes.name_of(array.dtype)) else dtypes.name_of(array.dtype)
            if not hasattr(value, "dtype") and dtype == "int64":
                dtype = "int32"  # what a number of Python's is to Keras
            return self.add_weight(array.shape, array, dtype, trainable=trainable)

        return jax.tree_util.tree_map(variable, values)

    def _get_init_seed(self) -> Tensor:
        """A key of two uint32 for `init_fn`, a new one at each call."""
        return draw_seed(None)

    def _get_init_rng(self) -> Structure:
        """What `init_fn` gets as `rng`; a subclass may return another structure of keys."""
        return self._get_init_seed()

    def _get_call_seed(self) -> Tensor:
        """A key of two uint32 for `call_fn`, a new one at each call."""
        return self.seed_generator.next()

    def _get_call_rng(self, training: bool) -> Structure:
        """What `call_fn` gets as `rng`: a key in training, else None. A subclass may return another structure of keys."""
        return self._get_call_seed() if training else None

    def build(self, input_shape: Any) -> None:
        if self.params is not None or self.state is not None or self.init_fn is None:
            return
        ones = tree.map_shape_structure(lambda shape: jax.numpy.ones([n or 1 for n in shape]), input_shape)
        given = {"inputs": ones, "training": True}
        if "rng" in self.init_fn_arguments:
            given["rng"] = tree.map_structure(lambda key: jax.numpy.asarray(key.numpy()), self._get_init_rng())
        made = self.init_fn(*(given[name] for name in self.init_fn_arguments))
        self._track(*(made if "state" in self.call_fn_arguments else (made, None)))

    def call(self, inputs: Any, training: bool = False) -> Any:
        names = self.call_fn_arguments
        given = {"inputs": inputs}
        for name in ("params", "state"):
            if name in names:
                given[name] = jax.tree_util.tree_map(_value, getattr(self, name))
        if "rng" in names:
            given["rng"] = self._get_call_rng(training)
        leaves, form = jax.tree_util.tree_flatten(given)
        fixed = tuple(None if type(x) is Tensor else (type(x), x) for x in leaves)
        key = form, bool(training), fixed
        called = self._functions.get(key)
        if called is None:
            called = self._functions[key] = _Call(self.call_fn, names, form, bool(training), fixed)
        tensors = [x for x in leaves if type(x) is Tensor]
        results = called.packed(call_foreign(called.function, tensors))
        if "state" not in names:
            return results
        outputs, new = results
        self._assign_state(new)
        return outputs

    def _assign_state(self, new):
        old_leaves, old = jax.tree_util.tree_flatten(self.state)
        new_leaves, form = jax.tree_util.tree_flatten(new)
        if form != old:
            raise ValueError(f"{self.path}: `call_fn` returned a state of the structure {form}, but it was given {old}.")
        for variable, value in zip(old_leaves, new_leaves):
            if isinstance(variable, Variable):
                variable.assign(value)

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold: all but what JAX has compiled."""
        return {**self.__dict__, "_functions": {}}

    def get_config(self) -> dict[str, Any]:
        return {
            **self._common_config(),
            "call_fn": serialized(self.call_fn),
            "init_fn": serialized(self.init_fn),
            "native_serialization_platforms": serialized(self.native_serialization_platforms),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "JaxLayer":
        functions = {name: deserialize_keras_object(config[name]) for name in ("call_fn", "init_fn")}
        return super().from_config({**config, **functions})


class _Call:
    """A call of `call_fn` with all that is no tensor fixed, as a function of the tensors."""

    def __init__(self, call_fn, names, form, training, fixed):
        noted = self._noted = {}  # how what is returned is nested, once that is known

        def run(*arrays: Any) -> Sequence[Any]:
            rest = iter(arrays)
            given = jax.tree_util.tree_unflatten(form, [next(rest) if f is None else f[1] for f in fixed])
            given["training"] = training
            results, noted["form"] = jax.tree_util.tree_flatten(call_fn(*(given[name] for name in names)))
            return results

        run.__name__ = getattr(call_fn, "__name__", type(call_fn).__name__)
        self.function = JaxFunction(run)

    def packed(self, results: Sequence[Tensor]) -> Any:
        """The tensors nested as `call_fn` returns them."""
        return jax.tree_util.tree_unflatten(self._noted["form"], results)


def _value(variable):
    return variable.value if isinstance(variable, Variable) else variable


def _arguments(fn, what, allowed):
    """The names of the arguments of a function, in order."""
    names = list(inspect.signature(fn).parameters)
    if "inputs" not in names:
        raise ValueError(f"`{what}` has no argument `inputs`. It may take {', '.join(allowed)}.")
    for name in names:
        if name not in allowed:
            raise ValueError(f"`{what}` has an argument `{name}`, which no one gives it. It may take {', '.join(allowed)}.")
    return names


class FlaxLayer(JaxLayer):
    """A `flax.linen.Module` as a layer.

    Args:
        module: the module.
        method: the method to call instead of `__call__`, its name, or a function whose first argument is the module; it takes
            `inputs`, and may take `training`.
        variables: what `module.init` returned, to start with; else it is called when the layer is built. All collections but
            "params" are state that calls change. In training there is a key for "dropout".

    Inputs and outputs have the shapes of the module's.
    """

    def __init__(self, module: Any, method: Any = None, variables: Any = None, **kwargs: Any):
        self.module, self.method = module, method
        mutable = linen.DenyList(["params"])

        def apply_with(params, state, rng, inputs, **training):
            weights = {**(params or {}), **(state or {})}
            return module.apply(weights, inputs, rngs=rng, method=method, mutable=mutable, **training)

        def init_with(rng, inputs, **training):
            return _params_and_state(module.init(rng, inputs, method=method, **training))

        called = getattr(module, method) if isinstance(method, str) else method or module.__call__
        if "training" in inspect.signature(called).parameters:
            call_fn = lambda params, state, rng, inputs, training: apply_with(params, state, rng, inputs, training=training)
            init_fn = lambda rng, inputs, training: init_with(rng, inputs, training=training)
        else:
            call_fn = lambda params, state, rng, inputs: apply_with(params, state, rng, inputs)
            init_fn = lambda rng, inputs: init_with(rng, inputs)
        params, state = _params_and_state(variables)
        super().__init__(call_fn=call_fn, init_fn=init_fn, params=params, state=state, **kwargs)

    def _get_init_rng(self) -> Structure:
        return {"params": self._get_init_seed(), "dropout": self._get_init_seed()}

    def _get_call_rng(self, training: bool) -> Structure:
        return {"dropout": self._get_call_seed()} if training else {}

    def get_config(self) -> dict[str, Any]:
        is_bound = getattr(self.method, "__self__", None) is self.module
        return {
            **self._common_config(),
            "native_serialization_platforms": serialized(self.native_serialization_platforms),
            "module": serialized(self.module),
            "method": self.method.__name__ if is_bound else serialized(self.method),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FlaxLayer":
        module, method = deserialize_keras_object(config["module"]), config["method"]
        method = getattr(module, method) if isinstance(method, str) else deserialize_keras_object(method)
        return cls(**{**config, "module": module, "method": method})


def _params_and_state(variables):
    """Collections of Flax: those that are trained, and the others. None: there are none yet."""
    if variables is None:
        return None, None
    params = {name: value for name, value in variables.items() if name == "params"}
    return params, {name: value for name, value in variables.items() if name != "params"}
