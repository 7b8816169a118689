"""Layer: options in `__init__`, weights in `build`, mathematics in `call`."""

import functools
from collections.abc import Callable
from typing import Any

from mlkit import activations, constraints, initializers, regularizers
from mlkit.core import dtypes, locks, tree
from mlkit.core.interpreter import Shapes, outside_trace
from mlkit.core.messages import add_place
from mlkit.core.spec import Spec, show
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, Identifier, Shape, Structure
from mlkit.dtype_policies import DTypeOrPolicy, DTypePolicyMap
from mlkit.dtype_policies import get as get_policy
from mlkit.layers import in_tensorflow
from mlkit.layers.call_info import build_parameters, build_shapes, call_info, described, in_inference, stated_outputs
from mlkit.layers.input_spec import check_inputs
from mlkit.layers.masks import fill_masks, record_masks, set_masks
from mlkit.layers.stateful import Stateful
from mlkit.layers.weights import by_position
from mlkit.objects.config_object import init_arguments, is_own, serialized
from mlkit.objects.keras_tensor import Node, has_symbol, infer, refuse_strings, symbol
from mlkit.objects.variable import Variable
from mlkit.primitives.convert import ForeignSymbol


class Layer(Stateful):
    """A piece of a model: a function of tensors together with its state.

    Subclasses store their options in `__init__` under the arguments' names, create weights in `build(input_shape)` with
    `add_weight`, and compute in `call(inputs, ...)`. Output shapes need not be stated: they are found by running `call`
    on shapes, unless the class has a `compute_output_shape` (or `compute_output_spec`) of its own, which is believed. `call`
    may take `training` and `mask`, which are passed on from the outer call.

    Args:
        activity_regularizer: penalty on the outputs.
        trainable: whether training changes the weights; may be set at any time and holds from the next step.
        dtype: dtype name or DTypePolicy.
        autocast: whether float inputs are cast to the compute dtype.

    >>> import mlkit
    >>> class Scale(mlkit.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones")
    ...     def call(self, x):
    ...         return x * self.factor
    >>> Scale()(mlkit.ops.ones((2, 3))).shape
    (2, 3)
    """

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _prepared(cls.build)
        if "compute_mask" in vars(cls) and "supports_masking" not in vars(cls):
            cls.supports_masking = True

    _runs_on_host = False  # whether no op does what it does with numbers, so that a model runs it before its program
    _takes_strings = False  # whether it can be called on strings
    _reads: str | None = None  # the dtype of its inputs, where that is no float
    _remat = None  # the RematScope it was made in
    supports_masking = False  # whether outputs get masks, by `compute_mask`
    _passes_training = False  # whether a `call` with **kwargs wants `training` in them
    _augments = False  # whether it only changes images in training: nothing in it is learned, nothing frozen
    _declared_weights, _weight_options = {}, {}  # see `weights.weights`
    _needs_no_build = False  # True for layers without weights: they are built from the start, unless a subclass has a `build`

    def __init__(
        self,
        *,
        activity_regularizer: Identifier = None,
        trainable: bool = True,
        dtype: DTypeOrPolicy = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        input_shape = kwargs.pop("input_shape", None)
        if "input_dim" in kwargs:
            input_shape = (kwargs.pop("input_dim"),)
        for option, (get, default) in self._weight_options.items():
            if option in kwargs or option not in vars(self):  # a layer with two bases may come here twice, once without them
                value = kwargs.pop(option, default)
                setattr(self, option, value if value is None else get(value))
        if kwargs:
            raise ValueError(f"{type(self).__name__}: unrecognized keyword arguments {sorted(kwargs)}.")
        Stateful.__init__(self, name, trainable)
        self.built = self._needs_no_build and type(self).build is Layer.build
        self._scope = None  # path of names, fixed when first built or called
        self._dtype_policy = get_policy(dtype)
        self.autocast = bool(autocast)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.input_spec = None
        self._input_shape_arg = tuple(input_shape) if input_shape is not None else None
        if state.remat is not None:
            self._remat = state.remat

    # ---- for subclasses ------------------------------------------------------------------------------------------

    def build(self, *args: Any, **kwargs: Any) -> None:
        """Create the weights for inputs of the given shape (tuples with None for unknown sizes)."""
        self._open_scope()
        if type(self).build is Layer.build:  # else a subclass is about to make weights
            self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"Layer {type(self).__name__} has no `call` method. Define call(self, inputs).")

    def add_weight(
        self,
        *args: Any,
        shape: Shape | int | None = None,
        initializer: Identifier = None,
        dtype: DType | None = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Identifier = None,
        constraint: Identifier = None,
        aggregation: str | None = "none",
        overwrite_with_gradient: bool = False,
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Create a variable that belongs to this layer.

        Args:
            shape: tuple of sizes, () by default.
            initializer: name, object or callable; glorot_uniform for floats and zeros otherwise.
            dtype: the layer's variable dtype by default.

        The other arguments are those of `Variable`. Returns the Variable.
        """
        if args:
            shape, initializer, dtype = by_position(args, shape, initializer, dtype)
        if self.built and state.call.autocast is not None:  # autocast is on in `call` only
            raise ValueError(
                f"add_weight: layer {self.path!r} cannot add new elements of state in `call`, which runs many times. Make "
                "weights in `build`."
            )
        if (policy := self.dtype_policy).quantization_mode is not None:
            raise NotImplementedError(
                f"{type(self).__name__} {self.path!r}: quantized layers are not supported: it can have no weights by the policy "
                f"{policy.name!r}. Use 'float16', 'bfloat16' or a 'mixed_' policy."
            )
        dtype = dtypes.standardize_dtype(dtype) if dtype is not None else self.variable_dtype
        shape = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        if initializer is None:
            initializer = "glorot_uniform" if dtypes.is_float(dtype) else "zeros"
        with outside_trace(), self._scoped():
            v = Variable(
                initializers.get(initializer), shape, dtype, trainable, autocast, aggregation, name=name, layout=layout
            )
        v.regularizer = regularizers.get(regularizer)
        v.constraint = constraints.get(constraint)
        v.overwrite_with_gradient = overwrite_with_gradient
        if not self._trainable:
            v.trainable = False
        self._own_weights.append(v)
        return v

    add_variable = add_weight  # its older name

    def _make_weight(self, declared, shape, **options):
        """The weight that the class declares under this name, with the layer's options for it."""
        weight = self._declared_weights[declared]
        chosen = {option: getattr(self, f"{declared}_{option}") for option in weight.options}
        chosen.update(name=weight.name or declared, trainable=weight.trainable, autocast=weight.autocast)
        return self.add_weight(shape, **{**chosen, **options})

    def add_loss(self, loss: Any) -> None:
        """Add a scalar tensor (or several) computed in `call` to the training loss."""
        for x in tree.flatten(loss):
            if getattr(x, "shape", None) not in ((), None):
                raise ValueError(
                    f"add_loss: a loss must be a scalar tensor, but has shape {show(x.shape)} in layer {self.path!r}."
                )
            if type(state.top) is not Shapes and type(getattr(x, "data", None)) is not Spec:  # a run on shapes has no losses
                state.call.losses.setdefault(self, []).append(x)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Mask of the outputs; by default the inputs' mask passes on."""
        return previous_mask

    # ---- calling -------------------------------------------------------------------------------------------------

    autograph_info__: Any = {}  # by this name TensorFlow's AutoGraph knows that it is not to rewrite the code of calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if has_symbol(args) or has_symbol(kwargs.values()):
            return self.symbolic_call(*args, **kwargs)
        info = call_info(type(self))
        try:
            outer = state.call
            state.call = inner = outer.enter(self._open_scope())
        except AttributeError:
            self._check_initialized()
            raise
        try:
            args, kwargs = self._converted(args, kwargs)
            first = args[0] if args else kwargs.get(info.names[0]) if info.names else None
            if not self.built:
                if self.input_spec is not None:
                    check_inputs(self.input_spec, first, self.path)  # before weights are made for what does not fit
                self._build_for(info, args, kwargs)
            if self.input_spec is not None:
                check_inputs(self.input_spec, first, self.path)
            mask = fill_masks(info, args, kwargs)
            if self._frozen:
                args, kwargs = in_inference(info, args, kwargs)
            info.fill_training(inner, args, kwargs, self._passes_training)
            inner.autocast = self.compute_dtype if self.autocast else None
            if info.stated is not None and any(type(getattr(t, "data", None)) is Spec for t in tree.flatten((args, kwargs))):
                out = stated_outputs(self, info, args, kwargs)
            else:
                out = self.call(*args, **kwargs) if self._remat is None else self._remat.run(self, self.call, args, kwargs)
            inner.autocast = outer.autocast
            if state.distribution is not None:
                out = state.distribution.place_outputs(self.path, out)
            if mask is not None or type(self).compute_mask is not Layer.compute_mask:
                set_masks(self, first, out, mask)
            if self.activity_regularizer is not None:
                self._penalize(out)
            return out
        except ForeignSymbol as error:
            return in_tensorflow.called(self, args, kwargs, error)
        except Exception as error:
            add_place(error, self.path, described(args, kwargs))
            raise
        finally:
            state.call = outer
            if inner.losses is not outer.losses and (inner.losses or outer.losses):
                self._hand_out_losses(inner.losses)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """A call on KerasTensors: noted as a node of a functional model. Returns KerasTensors."""
        if not self._takes_strings:
            refuse_strings(f"{type(self).__name__} {self.path!r}", args, kwargs)
        outputs = tree.map_structure(symbol, infer(self.__call__, args, kwargs))
        Node(self, args, record_masks(self, args, kwargs, outputs), outputs)
        return outputs

    def _notes_masks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the node of such a call holds the masks that ride on its arguments: in Keras where it converts none."""
        return not kwargs and len(args) == 1 and getattr(args[0], "dtype", None) == self.compute_dtype

    def _converted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """Arrays as tensors, float ones in the compute dtype."""
        return tuple(map(self._converted_input, args)), {k: self._converted_input(v) for k, v in kwargs.items()}

    def _converted_input(self, x: Any) -> Any:
        dtype, autocast = self.compute_dtype, self.autocast
        if type(x) is Tensor and (x.dtype == dtype or not autocast):
            return x
        if tree.is_nested(x):
            return tree.map_structure(self._converted_input, x)
        if dtypes.is_string(x):
            if is_own(type(self)) and not self._takes_strings:
                raise TypeError(f"{type(self).__name__} {self.path!r}: expected numbers, but got strings: {dtypes.NO_STRINGS}")
            return x  # for layers within
        mask = getattr(x, "_keras_mask", None)
        y = self._dtype_policy.convert_input(x, autocast, dtype)
        if mask is not None:
            y._keras_mask = mask
        return y

    def _penalize(self, outputs: Structure):
        """Add the activity regularizer's penalty, per sample."""
        for x in tree.flatten(outputs):
            if type(x) is Tensor:
                penalty = self.activity_regularizer(x)
                self.add_loss(penalty / (x.shape[0] or 1) if x.ndim and type(x.data) is not Spec else penalty)

    # ---- building ------------------------------------------------------------------------------------------------

    def _build_for(self, info, args: Any, kwargs):
        """Build for the shapes of these call arguments, in one thread."""
        shapes, named_shapes = build_shapes(type(self), info, args, kwargs)
        with locks.making:
            if not self.built:
                self.build(*shapes, **named_shapes)
                self.built = True

    def _open_scope(self) -> None:
        if self._scope is None:
            self._scope = (*state.call.path, self.name)
        return self._scope

    def _scoped(self):
        """A block in which what is made belongs to this layer."""
        return swapped(call=state.call.at(self._open_scope()))

    def _check_initialized(self) -> None:
        if "_scope" not in vars(self):
            raise RuntimeError(
                f"Layer {type(self).__name__} was not initialized: call super().__init__() at the start of its __init__()."
            )

    @property
    def path(self) -> str:
        """Names of the enclosing layers and its own, joined by "/"."""
        return "/".join(self._scope or (self.name,))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """KerasTensor (or structure) that the layer returns for these KerasTensors. Found by running `call` on shapes."""
        return tree.map_structure(symbol, infer(self.__call__, args, kwargs))

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Shape of the outputs for inputs of a shape (tuples with None)."""
        symbols, named = call_info(type(self)).symbols_for(self.compute_dtype, args, kwargs)
        return tree.map_structure(lambda t: t.shape, self.compute_output_spec(*symbols, **named))

    # ---- dtype ---------------------------------------------------------------------------------------------------

    @property
    def dtype_policy(self) -> Any:
        policy = self._dtype_policy
        return policy[self.path] if isinstance(policy, DTypePolicyMap) else policy

    @dtype_policy.setter
    def dtype_policy(self, value: DTypeOrPolicy) -> None:
        self._dtype_policy = get_policy(value)

    @property
    def dtype(self) -> str:
        """Dtype of the weights, as `variable_dtype`."""
        return self.variable_dtype

    @property
    def compute_dtype(self) -> str:
        return self.dtype_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        return self.dtype_policy.variable_dtype

    @property
    def input_dtype(self) -> str:
        """Dtype float inputs are cast to."""
        return self.compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        return self.dtype_policy.quantization_mode

    # ---- config ----------------------------------------------------------------------------------------------------

    _omitted_when_none = ("activity_regularizer",)  # as in Keras's configs

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`, with name, trainable and dtype, as plain values."""
        config = self._common_config()
        for key, value in init_arguments(self).items():
            if key in config or (value is None and key in self._omitted_when_none) or (key == "autocast" and value):
                continue
            is_function = callable(value) and not hasattr(value, "get_config")
            config[key] = activations.serialize(value) if is_function and "activation" in key else serialized(value)
        return config

    def _common_config(self) -> dict[str, Any]:
        """What the config of every layer holds."""
        config = {"name": self.name, "trainable": self._trainable, "dtype": serialized(self._dtype_policy)}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = serialized(self.activity_regularizer)
        return config

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    def rematerialized_call(self, layer_call: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """`layer_call`, a method of the layer, as its RematScope has it run; as it is where there is none."""
        if self._remat is None:
            return layer_call
        return lambda *args, **kwargs: self._remat.run(self, layer_call, args, kwargs)

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("Layer.quantize: quantization is not supported.")


def _prepared(build):
    """`build` run outside any trace, in the layer's name scope, and noted."""

    @functools.wraps(build)
    def run(self, *args: Any, **kwargs: Any):
        self._check_initialized()
        with locks.making, outside_trace(), self._scoped():
            result = build(self, *args, **kwargs)
        names_ = build_parameters(build) or []
        self._build_shapes = {**dict(zip(names_, args)), **kwargs}
        if type(self).build is run:  # else it was called by the `build` of a subclass, which is not done
            self.built = True
        if not self._trainable:
            self.trainable = False
        return result

    return run
