"""How variables and batches are spread over the devices of a mesh: DataParallel and ModelParallel."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes, tree
from mlkit.core.mesh import DeviceMesh, TensorLayout, default_devices
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor
from mlkit.distribution.layout_map import LayoutMap
from mlkit.distribution.replicas import Replicas
from mlkit.objects import seed_generator
from mlkit.primitives.placement import relayout

_BATCH = "batch"  # the name of the axis of meshes that are made here


class Distribution:
    """Base class of what `set_distribution` takes.

    Args:
        device_mesh: The mesh.
        batch_dim_name: The axis of the mesh along which batches are cut.
        auto_shard_dataset: Where several processes compute together: whether each has all the data and is to take its part of each
            batch. False: what a process has is its part.
    """

    def __init__(self, device_mesh: DeviceMesh, batch_dim_name: str | None = None, auto_shard_dataset: bool = True):
        self._device_mesh, self._batch_dim_name, self._auto_shard_dataset = device_mesh, batch_dim_name, auto_shard_dataset
        self._num_processes, self._process_id = state.backend.processes()
        self._warned = False
        #: the processes that each have a copy of the model; None where there is one process, or the backend sees to them itself
        self.replicas = None if state.communicator is None else Replicas(state.communicator, auto_shard_dataset)

    # ---- what is where -----------------------------------------------------------------------------------------------

    def get_data_layout(self, data_shape: Sequence[int]) -> TensorLayout:
        """The layout of data of this shape: cut at its first axis."""
        return TensorLayout([self.batch_dim_name, *[None] * (len(data_shape) - 1)][: len(data_shape)], self.device_mesh)

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        """The layout of a variable: its own, if it has one, else whole on each device."""
        if variable._layout is not None:
            return variable._layout
        return TensorLayout([None] * len(variable.shape), self.device_mesh)

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        """The layout that the output of a layer is to have, by the layer's path and "/output"; None where XLA may choose."""
        return None

    def distribute_dataset(self, dataset: Any) -> Any:
        """The dataset itself: batches are cut where they are laid out, whatever they come from."""
        return dataset

    # ---- what layers and models ask for ------------------------------------------------------------------------------

    def place_outputs(self, path: str, outputs: Any) -> Any:
        """What the layer of that path returns, laid out."""
        layout = self.get_tensor_layout(f"{path}/output")
        if layout is None:
            return outputs
        return tree.map_structure(lambda t: relayout(t, layout=layout) if type(t) is Tensor else t, outputs)

    def place_batch(self, batch: Any) -> Any:
        """A batch, a structure of arrays, laid out. One that cannot be cut into equal parts lies whole on each device, which changes no
        result; the first batch that does is warned of."""
        if self.replicas is not None:
            return self.replicas.part(batch)
        return batch if self.device_mesh.devices.size == 1 else tree.map_structure(self._placed, batch)

    def _placed(self, x: Any) -> Any:
        if x is None or dtypes.is_string(x) or not hasattr(x, "shape"):
            return x
        array = x.data if type(x) is Tensor else x
        is_part = self._num_processes > 1 and not self._auto_shard_dataset
        layout = self.get_data_layout(array.shape)
        parts = layout.num_shards // (self._num_processes if is_part else 1)
        if parts > 1 and array.shape[0] % parts:
            if is_part:
                raise ValueError(
                    f"A process has {array.shape[0]} samples of a batch for its {parts} devices. With auto_shard_dataset=False each "
                    "must have a multiple of their number."
                )
            self._warn_of_idle(array.shape[0], parts)
            layout = layout.whole(len(array.shape))
        self._warned = True
        return Tensor(state.backend.place(array, layout, is_part))

    def _warn_of_idle(self, samples, parts):
        if not self._warned:
            warnings.warn(
                f"A batch of {samples} samples cannot be cut into {parts} equal parts: each device computes all of it, so "
                f"{(parts - 1) / parts:.0%} of the work is done more than once. Choose a batch_size that {parts} divides.",
                stacklevel=2,
            )

    def check(self, model: Any) -> None:
        """Raise ValueError unless all variables of a model lie on the mesh."""
        if self.replicas is not None:
            self.replicas.check(model)
        if self.device_mesh.devices.size == 1:
            return
        optimizer = model.optimizer.variables if model.optimizer is not None else []
        for variable in (*model.variables, *optimizer, *model.metrics_variables):
            if variable._layout is None or variable._layout.device_mesh is not self.device_mesh:
                raise ValueError(
                    f"Variable {variable.path!r} was made before this distribution was put in force and does not lie on its devices. "
                    "Call mlkit.distribution.set_distribution(...) first, or open `with distribution.scope():`, and make and compile "
                    "the model then; its weights can be carried over by get_weights and set_weights."
                )

    # ---- in force ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """A block in which the distribution is in force in this thread."""
        try:
            with swapped(distribution=self):
                seed_generator.lay_out_again()
                yield
        finally:
            seed_generator.lay_out_again()

    @property
    def device_mesh(self) -> DeviceMesh:
        return self._device_mesh

    @property
    def batch_dim_name(self) -> str | None:
        return self._batch_dim_name

    @property
    def num_processes(self) -> int:
        """How many processes compute together."""
        return self._num_processes

    @property
    def num_model_replicas(self) -> int:
        """How many copies of the model there are, each of which works on its own part of the batch."""
        return self.device_mesh.size_of(self.batch_dim_name)

    @property
    def data_shard_id(self) -> int:
        """Number of the part of the data that this process works on."""
        replicas = self.num_model_replicas
        return self._process_id if replicas >= self._num_processes else self._process_id // (self._num_processes // replicas)

    @property
    def auto_shard_dataset(self) -> bool:
        return self._auto_shard_dataset

    @auto_shard_dataset.setter
    def auto_shard_dataset(self, value: bool) -> None:
        self._auto_shard_dataset = value
        if self.replicas is not None:
            self.replicas.shards = value

    def __repr__(self) -> str:
        return f"<{type(self).__name__} device_mesh={self.device_mesh}>"


class DataParallel(Distribution):
    """Each device has the whole model and works on its part of each batch.

    Args:
        device_mesh: The mesh; of several axes the first is that of the batch, with a warning.
        devices: Names of devices, instead of a mesh. By default all of `list_devices()`; where several processes each have a copy of the
            model, that which this one computes on.
        auto_shard_dataset: see `Distribution`.

    Raises:
        ValueError: `device_mesh` is no DeviceMesh, or a device is not there.

    >>> import mlkit
    >>> with DataParallel().scope():
    ...     model = mlkit.Sequential([mlkit.Input((2,)), mlkit.layers.Dense(1)])
    """

    def __init__(self, device_mesh: DeviceMesh | None = None, devices: Any = None, auto_shard_dataset: bool = True):
        if device_mesh is None:
            devices = np.ravel(np.array(devices if devices is not None and len(devices) else _own_devices()))
            device_mesh = DeviceMesh(devices.shape, [_BATCH], devices)
        elif not isinstance(device_mesh, DeviceMesh):
            raise ValueError(f"DataParallel: `device_mesh` must be a DeviceMesh, but got {device_mesh!r}.")
        super().__init__(device_mesh, device_mesh.axis_names[0], auto_shard_dataset)
        if device_mesh.devices.ndim != 1:
            warnings.warn(
                f"DataParallel: the mesh has {device_mesh.devices.ndim} axes, of which only the first, {self.batch_dim_name!r}, is that "
                "of the batch; along the others devices do the same work.",
                stacklevel=2,
            )

    @property
    def num_model_replicas(self) -> int:
        each = int(self.device_mesh.devices.size)
        return each if self.replicas is None else each * self.replicas.size  # the mesh is that of one process then


def _own_devices():
    return default_devices() if state.communicator is None else [state.backend.device_name]


class ModelParallel(Distribution):
    """Variables are cut as a `LayoutMap` says, batches along one axis of the mesh.

    Args:
        layout_map: The map. Variables without a match lie whole on each device.
        batch_dim_name: Axis of the mesh along which batches are cut; its first by default.
        auto_shard_dataset: see `Distribution`.

    Raises:
        ValueError: There is no map, the axis is none of the mesh's, or the processes are no multiple of the model's copies.
        NotImplementedError: The backend keeps each variable on one device.
    """

    def __init__(
        self,
        *,
        layout_map: LayoutMap | None = None,
        batch_dim_name: str | None = None,
        auto_shard_dataset: bool = True,
        **kwargs: Any,
    ):
        kwargs.pop("device_mesh", None)  # that of the map counts
        if kwargs:
            raise TypeError(f"ModelParallel: unknown arguments {sorted(kwargs)}.")
        if not isinstance(layout_map, LayoutMap):
            raise ValueError(f"ModelParallel: `layout_map` must be a LayoutMap, but got {layout_map!r}.")
        mesh = layout_map.device_mesh
        super().__init__(mesh, batch_dim_name or mesh.axis_names[0], auto_shard_dataset)
        self._layout_map = layout_map
        state.backend.sharding(TensorLayout((self.batch_dim_name,), mesh))  # says so where the backend has none
        replicas = self.num_model_replicas
        if self._num_processes > replicas and self._num_processes % replicas:
            raise ValueError(
                f"ModelParallel: {self._num_processes} processes cannot be divided among {replicas} copies of the model, the size of "
                f"{self.batch_dim_name!r}."
            )

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        """The layout of a variable: its own, that of the key that matches its path, or whole on each device."""
        found = None if variable._layout is not None else self._layout_map.layout_of(variable.path, variable.shape)
        return found or super().get_variable_layout(variable)

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        return self._layout_map.layout_of(path)

    def check(self, model: Any) -> None:
        super().check(model)
        self._layout_map.check([v.path for v in model.variables])
