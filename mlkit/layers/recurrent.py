"""Recurrent layers: a cell over the steps of a sequence. SimpleRNN, LSTM and GRU run as one fused op where they can."""

from typing import TYPE_CHECKING, Any

from mlkit import ops
from mlkit.core import tree
from mlkit.core.dtypes import is_float
from mlkit.core.spec import Dim, compatible, show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Identifier, Structure
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.layer import Layer
from mlkit.layers.recurrent_cells import GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells, initial_state
from mlkit.layers.recurrent_steps import run_steps
from mlkit.objects.config_object import init_signature, serialized
from mlkit.objects.signatures import argument, with_common
from mlkit.objects.variable import Variable
from mlkit.primitives import fused

_SEQUENCE_OPTIONS = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
_LAYER_OPTIONS = ("activity_regularizer", "name", "trainable", "autocast", "input_shape", "input_dim")


class RNN(Layer):
    """A cell applied to each step of (batch, time, ...): (batch, units), or with `return_sequences` (batch, time, units).

    Args:
        cell: a layer called as ``cell(step, states) -> (output, new_states)`` with `state_size`; a list of them is stacked.
        return_state: also return the last states.
        go_backwards: run from the last step to the first.
        stateful: begin each batch with the states the last one ended with.
        unroll: compiled functions have calls of their own for each step, not a loop, and an initial state of one sequence holds
            for all.
        zero_output_for_mask: masked steps give 0 instead of the last output.
        return_sequences: return the output of each step, not of the last alone.

    Masked steps leave the states as they are.
    """

    _not_owned = Layer._not_owned | {"_states_kept"}

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        if not hasattr(cell, "call") or not hasattr(cell, "state_size"):
            raise ValueError(f"RNN: `cell` must have `call` and `state_size`, but got {cell!r}.")
        self.cell = cell
        self.state_size = list(cell.state_size) if isinstance(cell.state_size, (list, tuple)) else [cell.state_size]
        self.return_sequences, self.return_state, self.go_backwards = return_sequences, return_state, go_backwards
        self.stateful, self.unroll, self.zero_output_for_mask = stateful, unroll, zero_output_for_mask
        self.supports_masking = True
        self._states_kept = None
        self.input_spec = InputSpec(min_ndim=3)

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        step = (sequences_shape[0], *sequences_shape[2:])
        if not self.cell.built:
            if isinstance(self.cell, Layer):
                self.cell.build(step)
                self.cell.built = True
        if self.stateful and self.states is None:
            self._create_states(sequences_shape[0])

    def _create_states(self, batch: Any):
        if batch is None:
            raise ValueError(
                f"{type(self).__name__} {self.path!r}: stateful=True needs a known batch size: Input(batch_shape=(batch, time, "
                "...))."
            )
        zeros = self.get_initial_state(batch)
        self._states_kept = tree.map_structure(lambda z: Variable(z, trainable=False, name="rnn_state"), zeros)

    def get_initial_state(self, batch_size: Any) -> list[Tensor]:
        """The states a sequence begins with: what the cell gives, by default zeros. A list (nested for stacked cells)."""
        states = initial_state(self.cell, batch_size, self.compute_dtype)
        return list(states) if isinstance(states, (list, tuple)) else [states]

    @property
    def states(self) -> Any:
        """The Variables in which a stateful layer keeps its states; they are no weights of it. None before it is built."""
        return self._states_kept

    def reset_states(self) -> None:
        """Set the states of a stateful layer back to zero."""
        if self.states is not None:
            for v in tree.flatten(self.states):
                v.assign(ops.zeros_like(v.value))

    reset_state = reset_states

    def call(self, sequences: Structure, initial_state: Structure = None, mask: Any = None, training: bool = False) -> Any:
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        mask = None if mask is None else self._checked_mask(mask, sequences)
        if initial_state is None:
            if self.stateful:
                initial_state = tree.map_structure(lambda v: v.value, self.states)
            else:
                initial_state = self.get_initial_state(sequences.shape[0])
        initial_state = self._checked_states(initial_state, sequences)
        last, outputs, states = tree.map_structure(
            lambda t: ops.cast(t, self.compute_dtype), tuple(self.run(sequences, initial_state, mask, training))
        )
        if self.stateful:
            for v, s in zip(tree.flatten(self.states), tree.flatten(states)):
                v.assign(s)
        out = outputs if self.return_sequences else last
        return (out, *states) if self.return_state else out

    def _checked_states(self, given, sequences: Structure):
        """The states to begin with, as the cell orders them, if they are as many and as large as those it begins with itself."""
        own = self.get_initial_state(sequences.shape[0])
        found = [ops.cast(s, self.compute_dtype) for s in tree.flatten(given)]
        wanted = [s.shape for s in tree.flatten(own)]
        if self.unroll and len(found) == len(wanted):  # the state of one sequence may stand for all of them, as in Keras
            found = [ops.broadcast_to(s, n) if s.shape == (1, *n[1:]) and n[0] else s for s, n in zip(found, wanted)]
        if len(found) != len(wanted) or not all(compatible(s.shape, n) for s, n in zip(found, wanted)):
            raise ValueError(
                f"{type(self).__name__} {self.path!r}: sequences of shape {show(sequences.shape)} need states of shape "
                f"{' and '.join(str(show(n)) for n in wanted)}, but `initial_state` (or what a stateful layer has kept) has "
                f"{' and '.join(str(show(s.shape)) for s in found) or 'none'}."
            )
        return tree.pack_sequence_as(own, found)

    def _checked_mask(self, mask, sequences: Structure):
        """A truth value for each sample and step. Those of one sample hold for all."""
        mask, wanted = ops.convert_to_tensor(mask), sequences.shape[:2]
        if mask.shape[:1] == (1,):
            mask = ops.broadcast_to(mask, (wanted[0], *mask.shape[1:]))
        if not compatible(mask.shape[:2], wanted):
            raise ValueError(
                f"{type(self).__name__} {self.path!r}: the mask of shape {show(mask.shape)} does not fit the sequences of shape "
                f"{show(sequences.shape)}: it needs one truth value for each sample and step, {show(wanted)}."
            )
        return mask

    def run(self, sequences: Structure, states: Any, mask: Any, training: bool | None) -> Any:
        """(last output, outputs of all steps, last states), of any dtype."""
        if sequences.shape[1] == 0:
            raise ValueError(
                f"{type(self).__name__} {self.path!r}: the sequences of shape {show(sequences.shape)} have no steps (axis 1)."
            )
        if hasattr(self.cell, "begin_sequence"):
            self.cell.begin_sequence(sequences[:, 0], tree.flatten(states)[0], training)
        try:
            return run_steps(self, sequences, list(states), mask, training)
        finally:
            if hasattr(self.cell, "end_sequence"):
                self.cell.end_sequence()

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = tree.flatten(mask)[0]
        out = mask if self.return_sequences else None
        if self.return_state:
            return [out, *[None] * len(tree.flatten(self.cell.state_size))]
        return out

    def get_config(self) -> dict[str, Any]:
        return {**self._common_config(), **{n: getattr(self, n) for n in _SEQUENCE_OPTIONS}, "cell": serialized(self.cell)}


class _CellRNN(RNN):
    """An RNN that makes its cell from its own arguments; they are read back from the cell."""

    cell_class = None
    cell_name = None  # the same in all layers of a class: it is part of the weights' paths
    last_arguments = ("seed", *_SEQUENCE_OPTIONS[:5])  # in Keras's order

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "cell_class" in vars(cls) and "__init__" not in vars(cls):
            cls.__init__ = with_common(cls.__init__, _arguments(cls))

    def __init__(self, **kwargs: Any):
        sequence = {k: kwargs.pop(k) for k in _SEQUENCE_OPTIONS if k in kwargs}
        layer = {k: kwargs.pop(k) for k in _LAYER_OPTIONS if k in kwargs}
        dtype = kwargs.pop("dtype", None)
        inner = {"name": self.cell_name, "dtype": dtype, "trainable": layer.get("trainable", True)}
        cell = self.cell_class(**inner, **kwargs)
        super().__init__(cell, dtype=dtype, **sequence, **layer)
        self.input_spec = InputSpec(ndim=3)

    def __getattr__(self, name):
        # options such as `units` and `dropout` live in the cell
        if not name.startswith("_") and "cell" in self.__dict__ and name in _cell_options(self.cell_class):
            return getattr(self.cell, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def get_config(self) -> dict[str, Any]:
        config = RNN.get_config(self)
        del config["cell"]
        own = {k: v for k, v in self.cell.get_config().items() if k not in ("name", "trainable", "dtype")}
        return {**config, **own, "activity_regularizer": serialized(self.activity_regularizer)}

    _config_holds_objects = True


def _cell_options(cls):
    return init_signature(cls).parameters


def _arguments(cls):
    """The parameters of a layer over a cell: the cell's, the penalty of activities after the cell's own, those of the sequence."""
    first = [p for p in list(_cell_options(cls.cell_class).values())[1:-1] if p.name not in cls.last_arguments]
    place = max(i for i, p in enumerate(first) if p.name.endswith("_regularizer")) + 1
    known = {**init_signature(RNN).parameters, **_cell_options(cls.cell_class)}
    last = [known[n] for n in cls.last_arguments]
    return [*first[:place], argument("activity_regularizer", None), *first[place:], *last]


class _FusedRNN(_CellRNN):
    """A recurrent layer whose whole sequence is one fused op, where recurrent dropout and activations allow."""

    def run_fused(self, *args: Any, reverse: bool) -> Any:
        """(x, *states, kernel, recurrent kernel, bias) -> outputs of all times, *last states"""
        raise NotImplementedError

    def run(self, sequences: Structure, states: Any, mask, training: bool | None):
        cell = self.cell
        if not is_float(sequences.dtype):
            sequences = ops.cast(sequences, self.compute_dtype)
        if not self._can_fuse(sequences, training) or (mask is not None and type(sequences.shape[1]) is Dim):
            return super().run(sequences, states, mask, training)
        if training and cell.disturbs:
            sequences = cell.disturbed_sequence(sequences, states[0])
        if sequences.dtype == "bfloat16":  # in float32, which is more exact and faster than steps in bfloat16
            sequences, *states = (ops.cast(t, "float32") for t in (sequences, *states))
        weights = [None if w is None else ops.cast(w, sequences.dtype) for w in (cell.kernel, cell.recurrent_kernel, cell.bias)]
        if mask is not None:
            last, outputs, states = self._run_present(sequences, states, weights, mask)
        else:
            outputs, *states = self.run_fused(sequences, *states, *weights, reverse=self.go_backwards)
            last, outputs = states[0], ops.flip(outputs, axis=1) if self.go_backwards else outputs  # in the order of the steps
        return last, outputs, states

    def _can_fuse(self, sequences: Structure, training: bool | None):
        cell = self.cell
        if not cell.is_standard or (training and cell.recurrent_dropout):
            return False
        return sequences.dtype != "float16"

    def _run_present(self, sequences: Structure, states: Any, weights, mask):
        """`run` where some steps are left out. The others come first, so that what these give cannot depend on them."""
        mask = ops.cast(mask, "bool")
        mask = ops.flip(mask, axis=1) if self.go_backwards else mask
        order = ops.argsort(ops.cast(ops.logical_not(mask), "int32"), axis=1)
        sequences = _at(sequences, mask.shape[1] - 1 - order if self.go_backwards else order)
        count = ops.cumsum(ops.cast(mask, "int32"), axis=1)  # of steps present so far
        total = count[:, -1:]
        if len(states) > 1 and (self.return_state or self.stateful):
            sequences, weights[0] = self._holding(sequences, ops.arange(mask.shape[1]) >= total, weights[0])
        outputs, *ends = self.run_fused(sequences, *states, *weights, reverse=False)
        last = _after(outputs, total)[:, 0]
        ends[0] = ops.where(total > 0, last, states[0])
        outputs = _after(outputs, ops.where(mask, count, 0) if self.zero_output_for_mask else count)
        return outputs[:, -1] if self.zero_output_for_mask else last, outputs, ends

    def _holding(self, sequences: Structure, absent, kernel):
        """Sequences and kernel with one more feature, by which steps left out hold the LSTM's second state: it closes the input
        gate and opens the forget gate."""
        gates = ops.repeat(ops.convert_to_tensor([[-1e4, 1e4, 0.0, 0.0]], dtype=kernel.dtype), self.cell.units, axis=1)
        absent = ops.expand_dims(absent, 2)
        sequences = [ops.where(absent, 0, sequences), ops.cast(absent, sequences.dtype)]
        return ops.concatenate(sequences, axis=2), ops.concatenate([kernel, gates], axis=0)


def _at(x, times):
    """x[b, times[b, j]] for all b and j. x: (batch, time, ...); times: (batch, any)."""
    batch, time, *rest = x.shape
    rows = ops.expand_dims(ops.arange(batch, dtype="int32") * time, 1) + times
    return ops.take(ops.reshape(x, (batch * time, *rest)), rows, axis=0)


def _after(outputs: Structure, count):
    """The outputs after so many steps, 0 after none. count: (batch, any)."""
    return ops.where(ops.expand_dims(count > 0, 2), _at(outputs, ops.maximum(count - 1, 0)), 0)


class SimpleRNN(_FusedRNN):
    """``activation(inputs @ kernel + state @ recurrent_kernel + bias)`` step by step. Arguments: those of SimpleRNNCell and
    RNN."""

    cell_class, cell_name = SimpleRNNCell, "simple_rnn_cell"

    if TYPE_CHECKING:  # first those of the cell, as it takes them; the others by position too

        def __init__(self, units: int, activation: Identifier = "tanh", use_bias: bool = True, *args: Any, **kwargs: Any): ...

    last_arguments = (*_SEQUENCE_OPTIONS[:5], "seed")

    def run_fused(self, *args: Any, reverse: bool) -> Any:
        return fused.rnn(*args, activation=self.cell.activation.__name__, reverse=reverse)


class _GatedRNN(_FusedRNN):
    """One that may be told to run step by step."""

    def __init__(self, *, use_cudnn: str = "auto", **kwargs: Any):
        if use_cudnn not in ("auto", True, False):
            raise ValueError(f"{type(self).__name__}: `use_cudnn` must be 'auto', True or False, but got {use_cudnn!r}.")
        super().__init__(**kwargs)
        self.use_cudnn = use_cudnn

    def _can_fuse(self, sequences: Structure, training: bool | None):
        return bool(self.use_cudnn) and super()._can_fuse(sequences, training)


class LSTM(_GatedRNN):
    """Long short-term memory over (batch, time, features). Arguments: those of LSTMCell and RNN. use_cudnn: True and "auto" run
    the sequence as one fused operation where that is possible; False runs it step by step.

    Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997).

    Args:
        use_cudnn: "auto" or True: one fused operation where that is possible, on any device; False: step by step.

    >>> import mlkit
    >>> mlkit.layers.LSTM(4)(mlkit.ops.ones((2, 5, 3))).shape
    (2, 4)
    """

    cell_class, cell_name = LSTMCell, "lstm_cell"

    if TYPE_CHECKING:  # first those of the cell, as it takes them; the others by position too

        def __init__(
            self,
            units: int,
            activation: Identifier = "tanh",
            recurrent_activation: Identifier = "sigmoid",
            *args: Any,
            **kwargs: Any,
        ): ...

    def run_fused(self, *args: Any, reverse: bool) -> Any:
        return fused.lstm(*args, reverse=reverse)


class GRU(_GatedRNN):
    """Gated recurrent unit over (batch, time, features). Arguments: those of GRUCell and RNN; use_cudnn as in LSTM.

    Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014 (arXiv:1406.1078).

    Args:
        use_cudnn: "auto" or True: one fused operation where that is possible, on any device; False: step by step.
    """

    cell_class, cell_name = GRUCell, "gru_cell"
    last_arguments = (*_CellRNN.last_arguments, "reset_after")

    if TYPE_CHECKING:  # first those of the cell, as it takes them; the others by position too

        def __init__(
            self,
            units: int,
            activation: Identifier = "tanh",
            recurrent_activation: Identifier = "sigmoid",
            *args: Any,
            **kwargs: Any,
        ): ...

    def run_fused(self, *args: Any, reverse: bool) -> Any:
        return fused.gru(*args, reset_after=self.cell.reset_after, reverse=reverse)
