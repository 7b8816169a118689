"""Convolutional LSTMs: the matrix products of an LSTM replaced by convolutions."""

from typing import TYPE_CHECKING, Any

from mlkit import ops
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Identifier, IntOrSequence
from mlkit.layers.argument_checks import as_tuple, layout, padding_name, positive
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.recurrent import _CellRNN
from mlkit.layers.recurrent_cells import LSTMCell
from mlkit.layers.weights import Weight, weights
from mlkit.objects.keras_tensor import KerasTensor
from mlkit.objects.seed_generator import Seed


@weights(
    kernel="glorot_uniform",
    recurrent=Weight("orthogonal", "recurrent_kernel"),
    bias="zeros",
    after={"unit_forget_bias": "bias_initializer"},
)
class ConvLSTMCell(LSTMCell):
    """One step of a convolutional LSTM (Shi et al., 2015): (batch, *spatial, channels) and states [h, c] of the outputs'
    shape."""

    rank = None

    def __init__(
        self,
        filters: int,
        kernel_size: IntOrSequence,
        strides: IntOrSequence = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: IntOrSequence = 1,
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
        filters = positive(self, filters=filters)
        super().__init__(filters, activation, recurrent_activation, use_bias, unit_forget_bias=unit_forget_bias, **kwargs)
        self.filters = filters
        self.kernel_size = as_tuple(kernel_size, self.rank, "kernel_size")
        self.strides = as_tuple(strides, self.rank, "strides")
        self.dilation_rate = as_tuple(dilation_rate, self.rank, "dilation_rate")
        self.padding, self.data_format = padding_name(padding), layout(data_format)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(f"ConvLSTM: strides {self.strides} and dilation {self.dilation_rate} cannot both be above 1.")

    def build(self, input_shape: Any) -> None:
        last = self.data_format == "channels_last"
        channels, spatial = (input_shape[-1], input_shape[1:-1]) if last else (input_shape[1], input_shape[2:])
        if channels is None or None in spatial:
            raise ValueError(
                f"ConvLSTM {self.path!r}: the channels and the spatial sizes of the inputs must be known, but a step has shape "
                f"{input_shape}."
            )
        wide = 4 * self.filters
        self.kernel = self._make_weight("kernel", (*self.kernel_size, channels, wide))
        self.recurrent_kernel = self._make_weight("recurrent", (*self.kernel_size, self.filters, wide))
        self.bias = self._make_weight("bias", (wide,), initializer=self.bias_start()) if self.use_bias else None
        per_gate = KerasTensor((*self.kernel_size, channels, self.filters))
        self._state_shape = self._convolved(KerasTensor((None, *input_shape[1:])), per_gate).shape[1:]

    def _convolved(self, x, kernel):
        options = {"data_format": self.data_format, "dilation_rate": self.dilation_rate}
        return ops.conv(x, kernel, strides=self.strides, padding=self.padding, **options)

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Zeros for h and c."""
        return [ops.zeros((batch_size, *self._state_shape), dtype=self.compute_dtype) for _ in "hc"]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        x, h = self.disturbed(inputs, states[0], training)
        channels = -1 if self.data_format == "channels_last" else 1
        z = self._convolved(x, self.kernel)
        if self.bias is not None:
            z = z + (self.bias if channels == -1 else ops.reshape(self.bias, (-1, *(1,) * self.rank)))
        z = z + ops.conv(h, self.recurrent_kernel, padding="same", data_format=self.data_format)
        i, f, c, o = ops.split(z, 4, axis=channels)
        gate = self.recurrent_activation
        c = gate(f) * states[1] + gate(i) * self.activation(c)
        h = gate(o) * self.activation(c)
        return h, [h, c]


class _ConvLSTM(_CellRNN):
    """Base of the convolutional LSTMs of 1 to 3 spatial axes."""

    cell_name = "conv_lstm_cell"
    last_arguments = ("seed", "return_sequences", "return_state", "go_backwards", "stateful")

    if TYPE_CHECKING:  # first those of the cell, as it takes them; the others by position too

        def __init__(self, filters: int, kernel_size: IntOrSequence, *args: Any, **kwargs: Any): ...

    else:

        def __init__(self, **kwargs: Any):
            super().__init__(**kwargs)
            self.input_spec = InputSpec(ndim=self.cell_class.rank + 3)


class ConvLSTM1DCell(ConvLSTMCell):
    rank = 1


class ConvLSTM2DCell(ConvLSTMCell):
    rank = 2


class ConvLSTM3DCell(ConvLSTMCell):
    rank = 3


class ConvLSTM1D(_ConvLSTM):
    """Convolutional LSTM over (batch, time, steps, channels): the state is a series of `filters` channels.

    Shi et al., "Convolutional LSTM Network", NeurIPS 2015 (arXiv:1506.04214).

    Arguments: filters and kernel_size, strides, padding, data_format, dilation_rate of the convolution of the inputs, as in
    Conv1D; those of LSTM otherwise. The state is convolved with stride 1 and padding "same".
    """

    cell_class = ConvLSTM1DCell


class ConvLSTM2D(_ConvLSTM):
    """Convolutional LSTM over (batch, time, height, width, channels), for videos. Arguments as in ConvLSTM1D.

    Shi et al., "Convolutional LSTM Network", NeurIPS 2015 (arXiv:1506.04214).

    >>> import mlkit
    >>> mlkit.layers.ConvLSTM2D(4, 3)(mlkit.ops.ones((2, 5, 8, 8, 3))).shape
    (2, 6, 6, 4)
    """

    cell_class = ConvLSTM2DCell


class ConvLSTM3D(_ConvLSTM):
    """Convolutional LSTM over (batch, time, depth, height, width, channels). Arguments as in ConvLSTM1D.

    Shi et al., "Convolutional LSTM Network", NeurIPS 2015 (arXiv:1506.04214).
    """

    cell_class = ConvLSTM3DCell
