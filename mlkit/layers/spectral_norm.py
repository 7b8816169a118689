"""SpectralNormalization: a wrapper that limits how much a layer can stretch its inputs."""

from typing import Any

from mlkit import initializers, ops
from mlkit.core.dtypes import single_of
from mlkit.layers.argument_checks import positive
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.layer import Layer
from mlkit.layers.wrappers import Wrapper
from mlkit.objects.variable import AutocastScope


class SpectralNormalization(Wrapper):
    """Divides a layer's kernel (or embeddings) by its largest singular value at each training call (Miyato et al., 2018).

    Args:
        layer: the layer, with a weight `kernel` or `embeddings`.
        power_iterations: steps of the power method that finds the value.

    Input and output: the shapes of the layer within.

    >>> import mlkit
    >>> mlkit.layers.SpectralNormalization(mlkit.layers.Dense(3))(mlkit.ops.ones((2, 4))).shape
    (2, 3)
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any):
        super().__init__(layer, **kwargs)
        self.power_iterations = positive(self, power_iterations=power_iterations)

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
        self.kernel = self._weight_within()
        self.vector_u = self.add_weight(
            (1, self.kernel.shape[-1]),
            initializers.TruncatedNormal(stddev=0.02),
            dtype=self.kernel.dtype,
            trainable=False,
            name="vector_u",
        )
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})

    def _weight_within(self):
        for name in ("kernel", "embeddings"):
            if hasattr(self.layer, name):
                return getattr(self.layer, name)
        raise ValueError(
            f"SpectralNormalization: layer {self.layer.name!r} has neither `kernel` nor `embeddings` to normalize."
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            self._normalize()
        return ops.cast(self.layer(inputs), inputs.dtype)

    def _normalize(self):
        with AutocastScope(None):  # the weight itself, not what the layer reads in half floats
            weight, u = self.kernel, ops.cast(self.vector_u, single_of(self.kernel.dtype))
            w = ops.stop_gradient(ops.reshape(ops.cast(weight, u.dtype), (-1, weight.shape[-1])))
            before = u
            for _ in range(self.power_iterations):
                v = _unit(ops.matmul(u, ops.transpose(w)))
                u = _unit(ops.matmul(v, w))
            sigma = ops.sum(ops.matmul(v, w) * u)
            nonzero = ops.any(w != 0)  # a weight of zeros stays as it is
            self.vector_u.assign(ops.where(nonzero, u, before))
            w = ops.reshape(w, weight.shape)
            weight.assign(ops.where(nonzero, w / ops.where(nonzero, sigma, 1.0), w))


def _unit(x):
    norm = ops.sqrt(ops.sum(ops.square(x)))
    return x / ops.where(norm == 0, ops.cast(1, norm.dtype), norm)
