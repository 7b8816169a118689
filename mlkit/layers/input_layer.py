"""Input: where a functional model begins."""

import operator
import warnings
from typing import Any

from mlkit.core import dtypes
from mlkit.core.typing import DType, Shape
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.layers.layer import Layer
from mlkit.objects.keras_tensor import KerasTensor, Node


class InputLayer(Layer):
    """The layer behind `Input`; it only holds the KerasTensor.

    Args:
        shape, batch_size, batch_shape, input_tensor, optional: as in `Input`, where `input_tensor` is called `tensor`.
    """

    def __init__(
        self,
        shape=None,
        batch_size: int | None = None,
        dtype: DTypeOrPolicy = None,
        sparse=None,
        ragged=None,
        batch_shape=None,
        input_tensor=None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        if sparse or ragged:
            raise NotImplementedError("Input: `sparse` and `ragged` inputs are not supported.")
        if "input_shape" in kwargs:
            warnings.warn("Input: argument `input_shape` is deprecated; use `shape`.", stacklevel=2)
            shape = kwargs.pop("input_shape")
        if "batch_input_shape" in kwargs:
            batch_shape = kwargs.pop("batch_input_shape")
        if kwargs:
            raise ValueError(f"Input: unrecognized keyword arguments {sorted(kwargs)}.")
        if input_tensor is not None:
            if not isinstance(input_tensor, KerasTensor):
                raise ValueError(f"Input: `tensor` must be a KerasTensor, but got {input_tensor!r}.")
            batch_shape, dtype = input_tensor.shape, dtype or input_tensor.dtype
        elif (shape is None) == (batch_shape is None):
            raise ValueError("Input: pass either `shape` (without the batch axis) or `batch_shape`.")
        if batch_shape is None:
            batch_shape = (batch_size, *((shape,) if hasattr(shape, "__index__") else shape))
        elif batch_size is not None and shape is None and input_tensor is None:
            raise ValueError("Input: `batch_size` goes with `shape`, not with `batch_shape`.")
        super().__init__(name=name, dtype=None)
        self.batch_shape = tuple(None if s is None else operator.index(s) for s in batch_shape)
        self._dtype = dtype if dtype == dtypes.STRING else dtypes.standardize_dtype(dtype)
        self.sparse = self.ragged = False
        self.optional = optional
        self.built = True
        symbol = input_tensor if input_tensor is not None else KerasTensor(self.batch_shape, self._dtype, name=self.name)
        Node(self, (), {}, symbol)

    @property
    def dtype(self) -> str:
        return self._dtype

    @property
    def batch_size(self) -> int | None:
        return self.batch_shape[0]

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("An InputLayer stands for data and is not called.")

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            "optional": self.optional,
        }


def Input(
    shape: Shape | None = None,
    batch_size: int | None = None,
    dtype: DType | None = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Shape | None = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> KerasTensor:
    """A KerasTensor that stands for the data of a model.

    Args:
        shape: sizes without the batch axis, None where unknown.
        batch_size: the batch axis, unknown by default.
        batch_shape: both together.
        dtype: floatx by default; "string" for texts, which layers such as TextVectorization turn into numbers in front of the
            model's program.
        tensor: an existing KerasTensor to start from.
        optional: None may be fed.

    >>> import mlkit
    >>> mlkit.Input((28, 28, 1)).shape
    (None, 28, 28, 1)
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        input_tensor=tensor,
        optional=optional,
        name=name,
    )
    return layer.output
