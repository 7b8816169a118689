"""Recurrent cells: one step of SimpleRNN, LSTM and GRU, and cells on top of one another."""

from collections.abc import Sequence
from typing import Any

from mlkit import activations, ops, random
from mlkit.core import tree
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, Identifier, Structure
from mlkit.layers.argument_checks import within
from mlkit.layers.call_info import call_info
from mlkit.layers.layer import Layer
from mlkit.layers.weights import Weight, weights
from mlkit.objects.seed_generator import Seed


@weights(kernel="glorot_uniform", recurrent=Weight("orthogonal", "recurrent_kernel"), bias="zeros")
class Cell(Layer):
    """What cells share: weights for the inputs and for the state, dropout of both.

    Args:
        units: size of the output and of each state.
        activation: of the new state or candidate, a name or a function.
        use_bias: whether to add a bias.
        dropout, recurrent_dropout: shares of the inputs' and the state's elements dropped in training, from 0 to 1.
        seed: of the dropout, an int for a repeatable one.

    A cell is called on one step ``(batch, features)`` and a list of states ``(batch, units)``; it returns (output, new states).
    """

    gates = 1  # units of the kernels are gates * units

    def __init__(
        self,
        units: int,
        activation: Identifier = "tanh",
        use_bias: bool = True,
        *,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Seed = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not isinstance(units, int) or units <= 0:
            raise ValueError(f"{type(self).__name__}: `units` must be a positive integer, but got {units!r}.")
        self.units, self.use_bias, self.seed = units, use_bias, seed
        self.state_size = self.output_size = units  # attributes, which subclasses may set
        self.activation = activations.get(activation)
        self.dropout = within(self, 0, 1, dropout=dropout)
        self.recurrent_dropout = within(self, 0, 1, recurrent_dropout=recurrent_dropout)
        self.seed_generator = random.SeedGenerator(seed)  # without dropout too: files hold its state
        self._masks = None  # dropout masks of the sequence under way: (of the inputs, of the state)

    bias_rows = None  # a second axis of the bias

    def build(self, input_shape: Any) -> None:
        features = input_shape[-1]
        wide = self.gates * self.units
        self.kernel = self._make_weight("kernel", (features, wide))
        self.recurrent_kernel = self._make_weight("recurrent", (self.units, wide))
        self.bias = None
        if self.use_bias:
            shape = (wide,) if self.bias_rows is None else (self.bias_rows, wide)
            self.bias = self._make_weight("bias", shape, initializer=self.bias_start())

    def bias_start(self) -> Any:
        """The bias's initializer."""
        return self.bias_initializer

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Zeros for each state."""
        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [ops.zeros((batch_size, n), dtype=self.compute_dtype) for n in sizes]

    def begin_sequence(self, step: Any, state: Any, training: bool | None) -> None:
        """Draw the dropout masks that all steps of a sequence share."""
        self._masks = None
        if training and self.disturbs:
            self._masks = tuple(
                random.dropout(ops.ones_like(x), rate, seed=self.seed_generator) if rate else None
                for x, rate in ((step, self.dropout), (state, self.recurrent_dropout))
            )

    def end_sequence(self) -> None:
        self._masks = None

    def disturbed(self, inputs: Structure, state: Any, training: bool | None) -> Any:
        """Inputs and state with dropout applied."""
        alone = self._masks is None
        if alone:
            self.begin_sequence(inputs, state, training)
        for_inputs, for_state = self._masks or (None, None)
        if alone:
            self._masks = None
        return (inputs if for_inputs is None else inputs * for_inputs, state if for_state is None else state * for_state)

    def disturbed_sequence(self, sequences: Structure, state: Any) -> Any:
        """All steps with the dropout of inputs applied, which is one for all of them."""
        self.begin_sequence(sequences[:, 0], state, True)
        (for_inputs, _), self._masks = self._masks, None
        return sequences * ops.expand_dims(for_inputs, 1)

    @property
    def disturbs(self) -> bool:
        """Whether there is any dropout."""
        return bool(self.dropout or self.recurrent_dropout)


class SimpleRNNCell(Cell):
    """``activation(inputs @ kernel + state @ recurrent_kernel + bias)``.

    Elman, "Finding Structure in Time", Cognitive Science 14 (1990).
    """

    @property
    def is_standard(self) -> bool:
        """Whether the fused op has the activation."""
        return self.activation in (activations.tanh, activations.sigmoid, activations.relu)

    def call(self, sequence: Structure, states: Any, training: bool = False) -> Any:
        x, h = self.disturbed(sequence, states[0] if isinstance(states, (list, tuple)) else states, training)
        z = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent_kernel)
        out = self.activation(z if self.bias is None else z + self.bias)
        return out, [out] if isinstance(states, (list, tuple)) else out


class _GatedCell(Cell):
    """Cells with gates.

    Args:
        recurrent_activation: activation of the gates.
    """

    def __init__(
        self,
        units: int,
        activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid",
        use_bias: bool = True,
        *,
        implementation: int = 2,
        **kwargs: Any,
    ):
        if implementation not in (0, 1, 2):
            raise ValueError(
                f"{type(self).__name__}: `implementation` must be 0, 1 or 2 (all compute the same), but got {implementation!r}."
            )
        super().__init__(units, activation, use_bias, **kwargs)
        self.recurrent_activation = activations.get(recurrent_activation)

    @property
    def is_standard(self) -> bool:
        """Whether the cell computes what the fused op does."""
        return (self.activation, self.recurrent_activation) == (activations.tanh, activations.sigmoid)


@weights(
    kernel="glorot_uniform",
    recurrent=Weight("orthogonal", "recurrent_kernel"),
    bias="zeros",
    after={"unit_forget_bias": "bias_initializer"},
)
class LSTMCell(_GatedCell):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), with gates i, f, c, o. States: [h, c].

    Args:
        unit_forget_bias: start with a forget gate that is open: 1 is added to its bias.
    """

    gates = 4

    def __init__(
        self,
        units: int,
        activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid",
        use_bias: bool = True,
        *,
        unit_forget_bias: bool = True,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Seed = None,
        **kwargs: Any,
    ):
        kwargs = {"dropout": dropout, "recurrent_dropout": recurrent_dropout, "seed": seed, **kwargs}
        super().__init__(units, activation, recurrent_activation, use_bias, **kwargs)
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [units, units]

    def bias_start(self) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer
        n, start = self.units, self.bias_initializer

        def with_open_forget_gate(shape, dtype: DType | None = None):
            return ops.concatenate([start((n,), dtype=dtype), ops.ones((n,), dtype=dtype), start((2 * n,), dtype=dtype)])

        return with_open_forget_gate

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        x, h = self.disturbed(inputs, states[0], training)
        z = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent_kernel)
        i, f, c, o = ops.split(z if self.bias is None else z + self.bias, 4, axis=-1)
        gate = self.recurrent_activation
        c = gate(f) * states[1] + gate(i) * self.activation(c)
        h = gate(o) * self.activation(c)
        return h, [h, c]


@weights(kernel="glorot_uniform", recurrent=Weight("orthogonal", "recurrent_kernel"), bias="zeros")
class GRUCell(_GatedCell):
    """Gated recurrent unit (Cho et al., 2014), with gates z, r, h.

    Args:
        reset_after: apply the reset gate after the matrix product (as cuDNN does) and have two biases.
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid",
        use_bias: bool = True,
        *,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: Seed = None,
        **kwargs: Any,
    ):
        kwargs = {"dropout": dropout, "recurrent_dropout": recurrent_dropout, "seed": seed, **kwargs}
        super().__init__(units, activation, recurrent_activation, use_bias, **kwargs)
        self.reset_after = reset_after
        self.bias_rows = 2 if reset_after else None

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        alone = not isinstance(states, (list, tuple))
        old = states if alone else states[0]
        x, h = self.disturbed(inputs, old, training)
        bias, state_bias = (self.bias[0], self.bias[1]) if self.bias is not None and self.reset_after else (self.bias, None)
        xs = ops.matmul(x, self.kernel)
        xz, xr, xh = ops.split(xs if bias is None else xs + bias, 3, axis=-1)
        n, gate = self.units, self.recurrent_activation
        if self.reset_after:
            hs = ops.matmul(h, self.recurrent_kernel)
            hz, hr, hh = ops.split(hs if state_bias is None else hs + state_bias, 3, axis=-1)
            z, r = gate(xz + hz), gate(xr + hr)
            candidate = self.activation(xh + r * hh)
        else:
            hz, hr = ops.split(ops.matmul(h, self.recurrent_kernel[:, : 2 * n]), 2, axis=-1)
            z, r = gate(xz + hz), gate(xr + hr)
            candidate = self.activation(xh + ops.matmul(r * h, self.recurrent_kernel[:, 2 * n :]))
        out = z * old + (1 - z) * candidate
        return out, out if alone else [out]


def initial_state(cell: Any, batch_size: int | None, dtype: str) -> Any:
    """The states a cell begins a sequence with: what it says itself, else zeros of its `state_size`."""
    if hasattr(cell, "get_initial_state"):
        return cell.get_initial_state(batch_size=batch_size)
    zeros = [ops.zeros((batch_size, n), dtype=dtype) for n in tree.flatten(cell.state_size)]
    return zeros if isinstance(cell.state_size, (list, tuple)) else zeros[0]


class StackedRNNCells(Layer):
    """Several cells, the output of each the input of the next, as one cell. The states are a list, one entry a cell.

    Args:
        cells: list of the cells, from the input up.

    Input: (batch, features) of one step; output: (batch, units) of the last cell.
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any):
        super().__init__(**kwargs)
        for cell in cells:
            for name in ("call", "state_size"):
                if not hasattr(cell, name):
                    raise ValueError(f"StackedRNNCells: every cell must have `{name}`, but {cell!r} has not.")
        self.cells = list(cells)

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            if not getattr(cell, "built", True):
                cell.build(input_shape)
                cell.built = True
            size = getattr(cell, "output_size", None)
            size = size if size is not None else tree.flatten(cell.state_size)[0]
            input_shape = (input_shape[0], *((size,) if isinstance(size, int) else size))

    @property
    def state_size(self) -> Any:
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> Any:
        return getattr(self.cells[-1], "output_size", tree.flatten(self.cells[-1].state_size)[0])

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        return [initial_state(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def begin_sequence(self, step: Any, state: Any, training: bool | None) -> None:
        """Each cell draws masks at its own first step."""

    def end_sequence(self) -> None:
        """Nothing is kept between sequences."""

    def call(self, inputs: Any, states: Any, training: bool = False, **kwargs: Any) -> Any:
        new = []
        for cell, state in zip(self.cells, states):
            listed = isinstance(state, (list, tuple))
            options = {"training": training} if call_info(type(cell)).takes_training else {}
            inputs, state = cell(inputs, state if listed else [state], **options)
            new.append(state if listed or not isinstance(state, (list, tuple)) else state[0])
        return inputs, new
