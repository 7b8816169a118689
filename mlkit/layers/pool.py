"""Pooling layers: the largest or the mean value of windows, or of whole images."""

from typing import Any

from mlkit import ops
from mlkit.core.dtypes import single_of
from mlkit.core.typing import IntOrSequence
from mlkit.layers.argument_checks import as_tuple, layout, padding_name
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.layer import Layer


class _Pooling(Layer):
    """A statistic of windows. Subclasses fix `rank` and `statistic`.

    Args:
        pool_size: size of the windows, an int or one per spatial axis.
        strides: steps between windows, an int or one per spatial axis; pool_size by default.
        padding: "valid" (whole windows only) or "same" (output size = input size / stride, rounded up).
    """

    rank, statistic = None, None
    _needs_no_build = True

    def __init__(
        self,
        pool_size: IntOrSequence = 2,
        strides=None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.pool_size = as_tuple(pool_size, self.rank, "pool_size")
        self.strides = self.pool_size if strides is None else as_tuple(strides, self.rank, "strides")
        self.padding, self.data_format = padding_name(padding), layout(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        pool = ops.max_pool if self.statistic == "max" else ops.average_pool
        return pool(inputs, pool_size=self.pool_size, strides=self.strides, padding=self.padding, data_format=self.data_format)


class _GlobalPooling(Layer):
    """A statistic over all spatial axes. A mask (for sequences) leaves steps out of the mean.

    Args:
        keepdims: whether the spatial axes stay, with size 1.
    """

    rank, statistic = None, None
    _needs_no_build = True

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format, self.keepdims = layout(data_format), keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def axes(self):
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def call(self, inputs: Any) -> Any:
        reduce = ops.max if self.statistic == "max" else ops.mean
        return reduce(inputs, axis=self.axes, keepdims=self.keepdims)


def _define(base, rank, statistic, name, doc):
    return type(name, (base,), {"rank": rank, "statistic": statistic, "__doc__": doc, "__module__": __name__})


_INPUTS = {1: "(batch, steps, channels)", 2: "(batch, height, width, channels)", 3: "(batch, depth, height, width, channels)"}


def _family(statistic, word):
    kind = "largest value" if statistic == "max" else "mean"
    local = {
        r: _define(_Pooling, r, statistic, f"{word}Pooling{r}D", f"The {kind} of each window of {_INPUTS[r]}.")
        for r in (1, 2, 3)
    }
    whole = {
        r: _define(
            _GlobalPooling,
            r,
            statistic,
            f"Global{word}Pooling{r}D",
            f"The {kind} over all positions of {_INPUTS[r]}: (batch, channels).",
        )
        for r in (1, 2, 3)
    }
    return local, whole


_max, _global_max = _family("max", "Max")
_mean, _global_mean = _family("average", "Average")

MaxPooling1D, MaxPooling2D, MaxPooling3D = MaxPool1D, MaxPool2D, MaxPool3D = _max.values()
AveragePooling1D, AveragePooling2D, AveragePooling3D = AvgPool1D, AvgPool2D, AvgPool3D = _mean.values()
GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D = _global_max.values()
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = _global_max.values()
_GlobalAverage1D, GlobalAveragePooling2D, GlobalAveragePooling3D = _global_mean.values()


class GlobalAveragePooling1D(_GlobalAverage1D):
    """The mean over all steps of (batch, steps, channels): (batch, channels). Masked steps do not count.

    Lin, Chen and Yan, "Network In Network", ICLR 2014 (arXiv:1312.4400).
    """

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(data_format=data_format, keepdims=keepdims, **kwargs)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return super().call(inputs)
        axis = self.axes[0]
        wide = ops.cast(inputs, single_of(inputs.dtype))  # sums overflow half floats
        present = ops.expand_dims(ops.cast(mask, "bool"), 2 if axis == 1 else 1)
        counted = ops.where(present, wide, 0), ops.cast(present, wide.dtype)
        total, count = (ops.sum(v, axis=axis, keepdims=self.keepdims) for v in counted)
        return ops.cast(total / count, inputs.dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None


GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D = GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D
