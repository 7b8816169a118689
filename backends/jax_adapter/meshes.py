"""Arrays on several devices, by `jax.sharding`, and processes that compute together, by `jax.distributed`."""

import functools

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding

from mlkit.core.mesh import TensorLayout
from mlkit.core.state import state


def sharding_of(layout):
    """The NamedSharding of a TensorLayout; one of JAX's own is taken as it is."""
    if isinstance(layout, Sharding):
        return layout
    mesh = layout.mesh
    return NamedSharding(
        _mesh(tuple(mesh.devices.ravel()), tuple(mesh.shape), tuple(mesh.axis_names)), PartitionSpec(*layout.axes)
    )


def placed(array, layout, is_part=False):
    """A jax array laid out so, from one that lies otherwise or from an array of NumPy, which is copied. is_part: it is what this
    process has of the whole."""
    sharding = sharding_of(layout)
    if isinstance(array, jax.Array):
        if array.sharding == sharding:
            return array
        if not array.is_fully_addressable:  # of several processes, all of which come here
            return jax.jit(lambda x: x, out_shardings=sharding)(array)
    else:
        array = np.array(array)  # JAX may keep its memory
    if sharding.is_fully_addressable:
        return jax.device_put(array, sharding)
    host = np.asarray(array)
    if is_part:
        return jax.make_array_from_process_local_data(sharding, host)
    return jax.make_array_from_callback(host.shape, sharding, lambda part: host[part])  # which all processes have


def relayout(x, layout):
    """The row of the op: within a program a constraint that XLA fulfils, else the array is moved at once."""
    if isinstance(x, jax.core.Tracer):
        return jax.lax.with_sharding_constraint(x, sharding_of(layout))
    return placed(x, layout)


def over_all():
    """The sharding of a vector that is cut along all axes of the mesh in force; None where there is none of several devices."""
    mesh = None if state.distribution is None else state.distribution.device_mesh
    if mesh is None or mesh.devices.size == 1:
        return None
    return NamedSharding(sharding_of(TensorLayout((), mesh)).mesh, PartitionSpec(tuple(mesh.axis_names)))


def on_host(array):
    """The whole array as one of NumPy. Where other processes hold parts of it, all of them must ask."""
    if array.is_fully_addressable:
        return np.asarray(array)
    if array.is_fully_replicated:
        return np.asarray(array.addressable_data(0))
    return multihost_utils.process_allgather(array, tiled=True)


def parts(array):
    """(where it begins along each axis, a copy) of the parts that this process is the first to hold; None if it holds the whole."""
    if array.is_fully_addressable:
        return None
    held = [shard for shard in array.addressable_shards if shard.replica_id == 0]
    return [(tuple(s.start or 0 for s in shard.index), np.array(shard.data)) for shard in held]


def join(addresses, num_processes, process_id):
    """Join the processes that compute together. The first address is that of process 0, which the others come to."""
    jax.distributed.initialize(addresses.partition(",")[0] if addresses else None, num_processes, process_id)
    if num_processes is not None and jax.process_count() != num_processes:
        raise RuntimeError(
            f"initialize: {num_processes} processes were to compute together, but JAX sees {jax.process_count()} on "
            f"{jax.default_backend()}. (Where it computes on CPUs, JAX must not have been used before.)"
        )


def agreed(number):
    """The number that process 0 has, in all processes."""
    return int(multihost_utils.broadcast_one_to_all(np.uint32(number)))


@functools.lru_cache(maxsize=64)
def _mesh(names, shape, axis_names):
    known = {name_of(device): device for device in all_devices()}
    return Mesh(np.array([known[name] for name in names]).reshape(shape), axis_names)


def all_devices():
    """The devices of the default kind, and the CPU's behind them; those of all processes."""
    found = jax.devices()
    return found if found[0].platform == "cpu" else [*found, *jax.devices("cpu")]


def name_of(device):
    return f"{device.platform}:{device.id}"
