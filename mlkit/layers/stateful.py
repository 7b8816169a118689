"""The state of a layer as its users see it: lists of variables, freezing, losses, weights as arrays, saving hooks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit import dtype_policies
from mlkit.core.interpreter import Shapes
from mlkit.core.messages import explained
from mlkit.core.state import layers_changed, state
from mlkit.core.typing import TensorLike
from mlkit.layers.tracking import own_variables, owned, trainable_first, unique
from mlkit.metrics import Metric
from mlkit.objects.config_object import deserialized_values
from mlkit.objects.operation import Operation
from mlkit.objects.registry import CustomObjectScope
from mlkit.objects.stateless import StatelessScope
from mlkit.objects.variable import Variable
from mlkit.random import SeedGenerator


class Stateful(Operation):
    """An operation with state: variables of its own and, within it, operations that have theirs. The base of layers."""

    # attributes that refer to what is no part of the object (`layers/tracking.py`), and those of classes of mlkit's own that only
    # repeat what stands elsewhere (`models/saving/walk.py`); any other name is a user's to choose
    _not_owned = frozenset(("_init_call", "_inbound_nodes", "_dtype_policy", "_build_shapes", "_scope"))
    _repeats: frozenset[str] = frozenset()

    _frozen = False  # by Model.freeze: not trainable, and as in inference whatever the caller says

    def __init__(self, name: str | None = None, trainable: bool = True):
        Operation.__init__(self, name)  # by its name: a model has other bases, which take other arguments
        self.built = False
        self._trainable = bool(trainable)
        self._own_weights = []  # made by add_weight, in that order
        self._build_shapes = None

    @property
    def _layers(self):
        """The layers within, in the order they were set."""
        return owned(self, Stateful)[0]

    def _flatten_layers(self, recursive=True, include_self=True):
        found = [self] if include_self else []
        for layer in self._layers:
            found += layer._flatten_layers() if recursive else [layer]
        return unique(found)

    # ---- lists of variables --------------------------------------------------------------------------------------

    @property
    def _trainable_variables(self):
        return [v for v in own_variables(self) if v.made_trainable]

    @property
    def _non_trainable_variables(self):
        return [v for v in own_variables(self) if not v.made_trainable]

    @property
    def _seed_generators(self):
        return owned(self, SeedGenerator)[0]

    @property
    def _metrics(self):
        return owned(self, Metric)[0]

    @property
    def variables(self) -> list[Variable]:
        """All state: the weights and the states of seed generators, own first, then those of layers within."""
        own, generators = owned(self, Variable, SeedGenerator)
        found = trainable_first(own) + [g.state for g in generators]
        for layer in self._layers:
            found += layer.variables
        return unique(found)

    @property
    def weights(self) -> list[Variable]:
        """The variables without states of seed generators."""
        found = own_variables(self)
        for layer in self._layers:
            found += layer.weights
        return unique(found)

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that training changes; none if the layer is frozen."""
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    @property
    def trainable_weights(self) -> list[Variable]:
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    @property
    def metrics(self) -> list[Metric]:
        """Metrics of this layer and of layers within."""
        return unique(self._metrics + [m for layer in self._layers for m in layer.metrics])

    @property
    def metrics_variables(self) -> list[Variable]:
        return [v for m in self.metrics for v in m.variables]

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights. Setting it sets it for all layers within."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = bool(value)
        self._trainable = value
        if value:
            self._frozen = False
        layers_changed()
        for v in self._trainable_variables:
            v.trainable = value
        for layer in self._layers:
            layer.trainable = value

    # ---- losses --------------------------------------------------------------------------------------------------

    @property
    def losses(self) -> list[Any]:
        """Scalars added to the training loss: by `add_loss` in the last call that this thread made, and by weight regularizers."""
        return self._own_losses() + [
            v.regularizer(v.tracked_value()) for v in self.trainable_weights if v.regularizer is not None
        ]

    def _own_losses(self):
        added = state.call.losses
        return [x for layer in self._flatten_layers() for x in added.get(layer, ())] if added else []

    def _clear_losses(self):
        added = state.call.losses
        for layer in self._flatten_layers() if added else ():
            added.pop(layer, None)

    def _hand_out_losses(self, losses):
        """Leave what was added in an outermost call where it can be asked for, in place of what earlier ones left."""
        if type(state.top) is not Shapes:
            self._clear_losses()
            state.call.losses.update(losses)

    def stateless_call(
        self,
        trainable_variables: Sequence[TensorLike],
        non_trainable_variables: Sequence[TensorLike],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Call the layer with these values of its variables, and change none of them.

        Args:
            trainable_variables, non_trainable_variables: values in the order of the properties of these names.

        Returns (outputs, values of the non-trainable variables afterwards), with return_losses=True also the list of losses.
        """
        if not self.built:
            raise ValueError(f"stateless_call: layer {self.name!r} is not built. Call it once, or build(input_shape), before.")
        pairs = []
        for kind, variables, values in (
            ("trainable", self.trainable_variables, trainable_variables),
            ("non-trainable", self.non_trainable_variables, non_trainable_variables),
        ):
            if len(variables) != len(values):
                raise ValueError(
                    f"stateless_call: layer {self.name!r} has {len(variables)} {kind} variables, but {len(values)} values were "
                    "given."
                )
            pairs += zip(variables, values)
        with StatelessScope(pairs) as scope:
            outputs = self(*args, **kwargs)
            losses = self.losses if return_losses else None
        after = [scope.get_current_value(v) for v in self.non_trainable_variables]
        return (outputs, after, losses) if return_losses else (outputs, after)

    # ---- weights as arrays ---------------------------------------------------------------------------------------

    def count_params(self) -> int:
        """Number of scalars in the weights."""
        if not self.built:
            raise ValueError(
                f"count_params: layer {self.name!r} is not built, so its weights do not exist yet. Call it on data or call "
                "build(input_shape)."
            )
        return sum(int(np.prod(v.shape)) for v in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """The weights as a list of NumPy arrays."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Sequence[TensorLike]) -> None:
        """Set the weights from a list of arrays in the order of `get_weights`. All shapes are checked before any is set."""
        own = self.weights
        if len(own) != len(weights):
            raise ValueError(f"set_weights: layer {self.name!r} has {len(own)} weights, but {len(weights)} arrays were given.")
        for v, w in zip(own, weights):
            if tuple(np.shape(w)) != v.shape:
                raise explained(
                    ValueError(
                        f"set_weights: {v.path!r} has shape {v.shape}, but the array given for it has shape {np.shape(w)}."
                    ),
                    "set-weights-has-shape-but-the-array-given-for-it-has-shape",
                )
        for v, w in zip(own, weights):
            v.assign(w)

    @property
    def _saved_variables(self):
        """Name in files -> variable: what `save_own_variables` writes and `load_own_variables` sets."""
        return {str(i): v for i, v in enumerate(own_variables(self))}

    def save_own_variables(self, store: Any) -> None:
        """Write the layer's own variables (not those of layers within) into a dict of arrays."""
        for name, v in self._saved_variables.items():
            store[name] = v.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Set the layer's own variables from what `save_own_variables` wrote."""
        own = self._saved_variables
        if len(store.keys()) != len(own):
            hint = "" if self.built else " The layer is not built: build it or call it once before loading."
            raise ValueError(f"Layer {self.name!r} has {len(own)} variables, but {len(store.keys())} were saved for it.{hint}")
        for name, v in own.items():
            v.assign(np.asarray(store[name]))

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes the layer was built for, or None."""
        if not self._build_shapes:
            return None
        if len(self._build_shapes) == 1:
            return {"input_shape": next(iter(self._build_shapes.values()))}
        return {"shapes_dict": dict(self._build_shapes)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build for the shapes `get_build_config` returned."""
        if not config or self.built:
            return
        if "shapes_dict" in config:
            self.build(**config["shapes_dict"])
        elif "input_shape" in config:
            self.build(config["input_shape"])
        self.built = True

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """A layer made from what `get_config` returned. Users' constructors get a dtype by its name, and other policies as objects.

        Args:
            custom_objects: classes and functions by the names that the config has for them.
        """
        dtype = config.get("dtype")
        if isinstance(dtype, dict):
            policy = dtype_policies.get(dtype)
            config = {**config, "dtype": policy.name if type(policy) is dtype_policies.DTypePolicy else policy}
        with CustomObjectScope(custom_objects):
            return super().from_config(deserialized_values(config) if cls._config_holds_objects else config)

    _config_holds_objects = False  # whether users' constructors get objects for the configs within, not the configs
