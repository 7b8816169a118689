"""Normalization layers."""

from mlkit import constraints, initializers, ops, regularizers
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.layer import Layer
from mlkit.layers.options import refuse

__all__ = ["BatchNormalization"]


class BatchNormalization(Layer):
    """Each channel shifted and scaled to mean 0 and variance 1, then by learned `beta` and `gamma` (Ioffe and Szegedy, 2015).

    In training the batch's statistics are used and the moving ones updated with `momentum`; in inference, and whenever the layer is
    frozen (trainable=False), the moving ones are used. axis: the channel axis. center, scale: whether there are beta and gamma.
    A mask leaves steps out of the statistics.
    """

    supports_masking = True

    def __init__(
        self,
        axis=-1,
        momentum=0.99,
        epsilon=1e-3,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        moving_mean_initializer="zeros",
        moving_variance_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        renorm=False,
        renorm_clipping=None,
        renorm_momentum=0.99,
        synchronized=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        refuse(self, synchronized=synchronized, renorm=renorm, renorm_clipping=renorm_clipping)
        self.axis, self.momentum, self.epsilon = int(axis), float(momentum), float(epsilon)
        self.center, self.scale, self.synchronized = center, scale, synchronized
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer, self.gamma_regularizer = regularizers.get(beta_regularizer), regularizers.get(gamma_regularizer)
        self.beta_constraint, self.gamma_constraint = constraints.get(beta_constraint), constraints.get(gamma_constraint)

    def build(self, input_shape):
        size = input_shape[self.axis]
        if size is None:
            raise ValueError(f"BatchNormalization {self.path!r}: axis {self.axis} must have a known size, but the shape is {input_shape}.")
        shape = (size,)
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                shape, self.gamma_initializer, regularizer=self.gamma_regularizer, constraint=self.gamma_constraint, autocast=False, name="gamma"
            )
        if self.center:
            self.beta = self.add_weight(
                shape, self.beta_initializer, regularizer=self.beta_regularizer, constraint=self.beta_constraint, autocast=False, name="beta"
            )
        self.moving_mean = self.add_weight(shape, self.moving_mean_initializer, trainable=False, autocast=False, name="moving_mean")
        self.moving_variance = self.add_weight(
            shape, self.moving_variance_initializer, trainable=False, autocast=False, name="moving_variance"
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def call(self, inputs, training=None, mask=None):
        dtype = inputs.dtype
        x = ops.cast(inputs, "float32") if dtype in ("float16", "bfloat16") else inputs
        axis = self.axis % x.ndim
        if training and self.trainable:
            mean, variance = self._moments(x, [a for a in range(x.ndim) if a != axis], mask)
            for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + ops.stop_gradient(ops.cast(now, moving.dtype)) * (1.0 - self.momentum))
        else:
            mean, variance = self.moving_mean, self.moving_variance
        y = ops.batch_normalization(x, mean, variance, axis, offset=self.beta, scale=self.gamma, epsilon=self.epsilon)
        return ops.cast(y, dtype)

    def _moments(self, x, axes, mask):
        if mask is None:
            return ops.moments(x, axes=axes)
        weight = ops.broadcast_to(ops.expand_dims(ops.cast(mask, x.dtype), -1), x.shape)
        count = ops.sum(weight, axis=axes, keepdims=True) + 1e-7
        mean = ops.sum(x * weight, axis=axes, keepdims=True) / count
        variance = ops.sum(weight * ops.square(x - mean), axis=axes, keepdims=True) / count
        return ops.squeeze(mean, axes), ops.squeeze(variance, axes)
