"""Meshes of devices, and how tensors lie on them: each axis whole on every device, or cut along an axis of the mesh."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core.spec import show
from mlkit.core.state import state


class DeviceMesh:
    """Devices in a grid whose axes have names.

    Args:
        shape: Sizes of the grid: ``(8,)``, or ``(4, 2)`` for four parts of the batch and two of the model.
        axis_names: A name for each axis. Layouts name them.
        devices: Names of the devices, as `mlkit.distribution.list_devices` has them, which are all of the backend's by default.

    Raises:
        ValueError: There are no axes, they have not one name each, or the grid has more or fewer places than there are devices.

    >>> import mlkit
    >>> mlkit.distribution.DeviceMesh((1,), ["batch"], ["cpu:0"])
    <DeviceMesh shape=(1,), axis_names=['batch']>
    """

    def __init__(self, shape: Sequence[int], axis_names: Sequence[str], devices: Any = None):
        if not shape or not axis_names or len(shape) != len(axis_names):
            raise ValueError(
                "DeviceMesh: each axis needs a size and a name, and there must be at least one, but got "
                f"shape={shape}, axis_names={axis_names}."
            )
        if len(set(axis_names)) != len(axis_names):
            raise ValueError(f"DeviceMesh: the names of the axes must differ, but are {axis_names}.")
        there = state.backend.devices()
        names = np.array([_device_name(d) for d in (default_devices() if devices is None else np.ravel(np.array(devices)))])
        if missing := [str(name) for name in names if name not in there]:
            raise ValueError(
                f"DeviceMesh: there is no {', '.join(missing)} on backend {state.backend.name!r}, which has {len(there)} "
                f"device(s): {', '.join(there)}."
            )
        if math.prod(shape) != names.size:
            fewer = "; pass those that it is to have as `devices`" if math.prod(shape) < names.size else ""
            raise ValueError(
                f"DeviceMesh: a mesh of shape {tuple(shape)} has {math.prod(shape)} places, but there are {names.size} "
                f"device(s){fewer}: {', '.join(names)}."
            )
        self._shape, self._axis_names, self._devices = shape, axis_names, names.reshape(shape)

    @property
    def shape(self) -> Sequence[int]:
        return self._shape

    @property
    def axis_names(self) -> Sequence[str]:
        return self._axis_names

    @property
    def devices(self) -> np.ndarray:
        """Names of the devices, an array of the mesh's shape."""
        return self._devices

    @property
    def backend_mesh(self) -> Any:
        """What the backend itself has for it: a `jax.sharding.Mesh`."""
        return TensorLayout((), self).backend_layout.mesh

    def size_of(self, axis: str | None) -> int:
        """How many parts an axis of a tensor has that lies along one of the mesh; None: one."""
        return 1 if axis is None else int(self._shape[list(self._axis_names).index(axis)])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} shape={self.shape}, axis_names={self.axis_names}>"


class TensorLayout:
    """How a tensor lies on a mesh.

    Args:
        axes: For each axis of the tensor the name of the mesh's axis along which it is cut, or None where it is whole.
        device_mesh: The mesh. A `LayoutMap` gives its own to layouts that have none.

    Raises:
        ValueError: A name is none of the mesh's axes, or stands there twice.

    >>> import mlkit
    >>> mesh = mlkit.distribution.DeviceMesh((1,), ["batch"], ["cpu:0"])
    >>> mlkit.distribution.TensorLayout((None, "batch"), mesh).axes
    (None, 'batch')
    """

    def __init__(self, axes: Sequence[str | None], device_mesh: DeviceMesh | None = None):
        self._axes, self._device_mesh = tuple(axes), device_mesh
        self._check_axes()

    @property
    def axes(self) -> tuple[str | None, ...]:
        return self._axes

    @property
    def device_mesh(self) -> DeviceMesh | None:
        return self._device_mesh

    @device_mesh.setter
    def device_mesh(self, device_mesh: DeviceMesh) -> None:
        if self._device_mesh is not None:
            raise ValueError(f"TensorLayout: it has a mesh, {self._device_mesh}, which cannot be replaced by another one.")
        self._device_mesh = device_mesh
        self._check_axes()

    @property
    def backend_layout(self) -> Any:
        """What the backend itself has for it: a `jax.sharding.NamedSharding`."""
        return state.backend.sharding(self)

    @property
    def num_shards(self) -> int:
        """How many different parts there are."""
        return math.prod(map(self.mesh.size_of, self._axes))

    @property
    def mesh(self) -> DeviceMesh:
        """The mesh; ValueError if there is none yet."""
        if self._device_mesh is None:
            raise ValueError(f"{self} has no mesh: pass `device_mesh`, or put it into a LayoutMap.")
        return self._device_mesh

    def whole(self, ndim: int) -> "TensorLayout":
        """The layout of a tensor that lies whole on each device of the same mesh."""
        return TensorLayout((None,) * ndim, self.mesh)

    def check(self, shape: Sequence[Any], what: str) -> None:
        """Raise ValueError unless a tensor of this shape can lie so. what: the tensor, as messages name it."""
        sizes = [self.mesh.size_of(axis) for axis in self._axes]  # asks for a mesh first
        if len(sizes) > len(shape):
            raise ValueError(
                f"{what} has shape {show(shape)}, {len(shape)} axes, but its layout {self._axes} is one for {len(sizes)}."
            )
        for n, (size, parts) in enumerate(zip(shape, sizes)):
            if isinstance(size, int) and size % parts:
                raise ValueError(
                    f"{what} has shape {show(shape)}: its axis {n}, of size {size}, cannot be cut into {parts} equal parts along "
                    f"{self._axes[n]!r} of the mesh {dict(zip(self.mesh.axis_names, self.mesh.shape))}. Choose another axis "
                    "or mesh, or leave it whole (None)."
                )

    def _check_axes(self):
        if self._device_mesh is None:
            return
        named = [axis for axis in self._axes if axis is not None]
        unknown = [axis for axis in named if axis not in self._device_mesh.axis_names]
        if unknown or len(set(named)) != len(named):
            raise ValueError(
                f"TensorLayout: {self._axes} must name axes of the mesh, each once at most, or None. The mesh has "
                f"{list(self._device_mesh.axis_names)}" + (f", and no {', '.join(map(repr, unknown))}." if unknown else ".")
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} axes={self.axes}, device_mesh={self.device_mesh}>"


def default_devices(kind: str | None = None) -> list[str]:
    """Names of the backend's devices of one kind: that of the accelerators, if there are any, unless one is asked for."""
    there = state.backend.devices()
    if kind is None:
        kind = next((name.partition(":")[0] for name in there if not name.startswith("cpu:")), "cpu")
    kinds = (kind, "cuda") if kind == "gpu" else (kind,)
    return [name for name in there if name.partition(":")[0] in kinds]


def _device_name(device: Any) -> str:
    """Its name; what the backend itself has for a device is taken too."""
    if hasattr(device, "platform"):
        return f"{device.platform}:{device.id}"
    name = str(device)
    return name if ":" in name else f"{name}:0"
