"""Layers that join several inputs to one, and the same as functions."""

import functools
from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.core.spec import size_of
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axes, Structure
from mlkit.layers.argument_checks import require_axes
from mlkit.layers.layer import Layer
from mlkit.layers.masks import mask_of


class Merge(Layer):
    """Several tensors combined element by element. Inputs: list of tensors whose shapes broadcast; lower ranks get axes after
    the batch."""

    supports_masking = True
    exact: int | None = None  # number of inputs, where not any will do

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape, (list, tuple)) or not input_shape or not isinstance(input_shape[0], (list, tuple)):
            raise ValueError(
                f"A {type(self).__name__} layer should be called on a list of tensors, but got an input of shape {input_shape}."
            )
        n = len(input_shape)
        if self.exact not in (None, n):
            raise ValueError(f"A {type(self).__name__} layer should be called on exactly {self.exact} inputs, but got {n}.")
        batches = {s[0] for s in input_shape if s} - {None}
        if len(batches) > 1:
            raise ValueError(
                f"{type(self).__name__} {self.path!r}: inputs have different batch sizes: shapes {list(input_shape)}."
            )

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)):
            raise ValueError(f"A {type(self).__name__} layer should be called on a list of tensors, but got {inputs!r}.")
        rank = max(x.ndim for x in inputs)
        xs = [_with_rank(x, rank) for x in inputs]
        return self.merge_all(xs, [_present(x) for x in xs])

    def merge_all(self, xs: Sequence[Tensor], masks: Any) -> Any:
        """All inputs combined; `masks` say which elements of each are present, None: all."""
        return functools.reduce(self.merge, xs)

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        """Two of the inputs combined."""
        raise NotImplementedError(f"{type(self).__name__} does not define `merge(a, b)`.")

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        masks = _checked_masks(inputs, previous_mask)
        if not masks or any(m is None for m in masks):
            return None  # an input without mask is valid everywhere
        return functools.reduce(ops.logical_or, masks)


def _checked_masks(inputs: Structure, masks: Tensor):
    """The list of masks, one (or None) for each of the inputs; [] where there are none."""
    if masks is None:
        return []
    for name, value in (("mask", masks), ("inputs", inputs)):
        if not isinstance(value, (tuple, list)):
            raise ValueError(f"compute_mask: `{name}` should be a list, but got {value!r}.")
    if len(masks) != len(inputs):
        raise ValueError(
            f"compute_mask: `inputs` and `mask` should have the same length, but have {len(inputs)} and {len(masks)}."
        )
    return list(masks)


def _present(x):
    """The mask on a tensor, with axes that broadcast with its own."""
    mask = mask_of(x)
    return None if mask is None else ops.reshape(mask, (*mask.shape, *(1,) * (x.ndim - mask.ndim)))


def _with_rank(x, rank):
    return ops.reshape(x, (x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:])) if x.ndim < rank else x


class Add(Merge):
    """The sum of the inputs.

    Inputs: a list of tensors whose shapes broadcast, such as (batch, ..., n); the output has the shape that they broadcast to.
    """

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.add(a, b)


class Subtract(Merge):
    """The first of two inputs less the second.

    Inputs: a list of two tensors whose shapes broadcast, such as (batch, ..., n); the output has the shape that they broadcast
    to.
    """

    exact = 2

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.subtract(a, b)


class Multiply(Merge):
    """The product of the inputs. What a mask leaves out counts as 1, and gives 0 where all inputs leave it out.

    Inputs: a list of tensors whose shapes broadcast, such as (batch, ..., n); the output has the shape that they broadcast to.
    """

    def merge_all(self, xs: Sequence[Tensor], masks: Any) -> Any:
        out = super().merge_all([x if m is None else ops.where(m, x, 1) for x, m in zip(xs, masks)], masks)
        if any(m is None for m in masks):
            return out
        return ops.where(functools.reduce(ops.logical_or, masks), out, 0)

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.multiply(a, b)


class Average(Merge):
    """The mean of the inputs.

    Inputs: a list of tensors whose shapes broadcast, such as (batch, ..., n); the output has the shape that they broadcast to.
    """

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.add(a, b)

    def call(self, inputs: Any) -> Any:
        return super().call(inputs) / len(inputs)


class _Extremum(Merge):
    """One of the inputs element by element. What a mask leaves out counts as the other inputs' choice so far."""

    def merge_all(self, xs: Sequence[Tensor], masks: Any) -> Any:
        out, present = xs[0], masks[0]
        for x, m in zip(xs[1:], masks[1:]):
            if m is not None:
                x = ops.where(m, x, out)
            if present is not None:
                out = ops.where(present, out, x)
            present = None if m is None or present is None else ops.logical_or(present, m)
            out = self.merge(out, x)
        return out


class Maximum(_Extremum):
    """The largest of the inputs.

    Inputs: a list of tensors whose shapes broadcast, such as (batch, ..., n); the output has the shape that they broadcast to.
    """

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.maximum(a, b)


class Minimum(_Extremum):
    """The smallest of the inputs.

    Inputs: a list of tensors whose shapes broadcast, such as (batch, ..., n); the output has the shape that they broadcast to.
    """

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.minimum(a, b)


class Concatenate(Merge):
    """The inputs one after the other along `axis`; their other axes have equal sizes.

    Args:
        axis: the axis they are joined along; the batch is axis 0.
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        if len(input_shape) < 1 or not isinstance(input_shape[0], (tuple, list)):
            raise ValueError(
                f"A Concatenate layer should be called on a list of tensors, but got an input of shape {input_shape}."
            )
        rank = len(input_shape[0])
        kept = [i for i in range(rank) if i != self.axis % rank]
        for shape in input_shape[1:]:
            if len(shape) != rank or any(
                None not in (shape[i], input_shape[0][i]) and shape[i] != input_shape[0][i] for i in kept
            ):
                raise ValueError(
                    f"Concatenate {self.path!r}: inputs must have equal shapes except along axis {self.axis}, but have shapes "
                    f"{list(input_shape)}."
                )

    def call(self, inputs: Any) -> Any:
        return ops.concatenate(list(inputs), axis=self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        given = _checked_masks(inputs, previous_mask)
        if all(m is None for m in given):
            return None
        masks = []
        for x, m in zip(inputs, given):
            m = ops.ones_like(x, dtype="bool") if m is None else m
            masks.append(ops.logical_or(ops.expand_dims(m, -1), ops.zeros_like(x, dtype="bool")) if m.ndim < x.ndim else m)
        return ops.any(ops.concatenate(masks, axis=self.axis), axis=-1)


class Dot(Merge):
    """Products of two inputs summed along one axis of each: `axes`, an int or a pair. normalize: of unit vectors (cosine).

    Args:
        axes: an int, or a pair with the axis of each input.
        normalize: whether to take unit vectors (cosine similarity).
    """

    exact = 2

    def __init__(self, axes: Axes, normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(axes, int) and (
            not isinstance(axes, (list, tuple)) or len(axes) != 2 or not all(isinstance(a, int) for a in axes)
        ):
            raise TypeError(f"Dot: `axes` must be an integer or a pair of integers, but got {axes!r}.")
        self.axes, self.normalize = axes, normalize

    def build(self, input_shape: Any) -> None:
        super_build = Merge.build.__wrapped__
        super_build(self, input_shape)
        a, b = input_shape
        for axis, shape in zip((self.axes, self.axes) if isinstance(self.axes, int) else self.axes, input_shape):
            require_axes(self, axis, shape, name="axes")
        i, j = self._axes_for(len(a), len(b))
        if None not in (a[i], b[j]) and a[i] != b[j]:
            raise ValueError(f"Dot {self.path!r}: axis {i} of shape {a} and axis {j} of shape {b} must have equal sizes.")

    def _axes_for(self, n, m):
        i, j = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        return i % n, j % m

    def call(self, inputs: Any) -> Any:
        x, y = inputs
        i, j = self._axes_for(x.ndim, y.ndim)
        if self.normalize:
            x, y = ops.normalize(x, axis=i), ops.normalize(y, axis=j)
        return _batch_dot(x, y, i, j)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None


def _batch_dot(x, y, i, j):
    """Per sample the products along axis i of x and j of y: (batch, *rest of x, *rest of y); (batch, 1) if nothing is left."""
    batch = x.shape[0]
    rest_x = [a for a in range(1, x.ndim) if a != i]
    rest_y = [a for a in range(1, y.ndim) if a != j]
    sizes_x, sizes_y = [x.shape[a] for a in rest_x], [y.shape[a] for a in rest_y]
    x = ops.reshape(ops.transpose(x, (0, *rest_x, i)), (batch, size_of(sizes_x), x.shape[i]))
    y = ops.reshape(ops.transpose(y, (0, j, *rest_y)), (batch, y.shape[j], size_of(sizes_y)))
    return ops.reshape(ops.matmul(x, y), (batch, *(sizes_x + sizes_y or [1])))


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The sum of a list of tensors, as the layer `Add`."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The first of two tensors less the second, as the layer `Subtract`."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The product of a list of tensors, as the layer `Multiply`."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The mean of a list of tensors, as the layer `Average`."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The largest of a list of tensors, as the layer `Maximum`."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The smallest of a list of tensors, as the layer `Minimum`."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """A list of tensors one after the other, as the layer `Concatenate`.

    Args:
        axis: the axis they are joined along; the batch is axis 0.
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: Axes = -1, **kwargs: Any) -> Any:
    """Products of two tensors summed along an axis, as the layer `Dot`.

    Args:
        axes: an int, or a pair with the axis of each.
    """
    return Dot(axes=axes, **kwargs)(inputs)
