"""Fully connected layers."""

from mlkit import activations, constraints, initializers, ops, regularizers
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.layer import Layer
from mlkit.layers.lora import LowRankMixin
from mlkit.layers.options import positive, refuse


class Dense(LowRankMixin, Layer):
    """``activation(inputs @ kernel + bias)`` along the last axis.

    units: size of the output's last axis. activation: name or function. use_bias: whether to add a bias. The initializers,
    regularizers and constraints are those of the kernel and the bias. lora_rank, lora_alpha: train a low-rank correction, see
    `enable_lora`.

    Input: (batch, ..., n). Output: (batch, ..., units).

    >>> import mlkit
    >>> mlkit.layers.Dense(3, activation="relu")(mlkit.ops.ones((2, 5))).shape
    (2, 3)
    """

    supports_masking = True

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        lora_rank=None,
        lora_alpha=None,
        quantization_config=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        refuse(self, quantization_config=quantization_config)
        self._set_low_rank(lora_rank, lora_alpha)
        self.units, self.use_bias = positive(self, units=units), use_bias
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape):
        size = input_shape[-1]
        if size is None:
            raise ValueError(
                f"Dense {self.path!r}: the last axis of the inputs must have a known size, but the shape is {input_shape}."
            )
        self._kernel = self.add_weight(
            (size, self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: size})
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def call(self, inputs, training=None):
        x = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return x if self.activation is None else self.activation(x)
