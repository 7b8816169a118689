"""Ops whose results may be their first argument's memory, looked at in another way."""

from mlkit.compiler import layout


def _reshaped(v, offset, strides, shape):
    new = layout.reshape(v.shape, strides, shape)
    return None if new is None else (offset, new)


def _sliced(v, offset, strides, starts, stops, strides_of):
    more, new = layout.take_slice(strides, starts, strides_of)
    return offset + more, new


def _flipped(v, offset, strides, axes):
    more = sum((v.shape[a] - 1) * strides[a] for a in axes)
    return offset + more, tuple(-s if i in axes else s for i, s in enumerate(strides))


# op name -> (value, offset, strides, **params) -> (offset, strides), or None where the elements must be moved
VIEWS = {
    "reshape": _reshaped,
    "transpose": lambda v, offset, strides, perm: (offset, layout.transpose(strides, perm)),
    "broadcast_to": lambda v, offset, strides, shape: (offset, layout.broadcast(v.shape, strides, shape)),
    "slice": lambda v, offset, s, starts, stops, strides: _sliced(v, offset, s, starts, stops, strides),
    "flip": _flipped,
    "stop_gradient": lambda v, offset, strides: (offset, strides),
}
