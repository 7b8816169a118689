"""Dense copies of what is transposed, sliced, turned round or repeated: kernels run on the host in several orders of their threads."""

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.core import dtypes
from mlkit.core.state import swapped
from tests.cuda import fake_cupy
from tests.cuda.double import DoubleOfGpu
from tests.cuda.host_compiler import COMPILER, HostModules
from tests.cuda.test_kernels import Collecting

pytestmark = pytest.mark.skipif(COMPILER is None, reason="these tests compile kernels with g++, which is not there")

WAYS = {
    "turned": lambda x: x.transpose(1, 0, 2),
    "last axis first": lambda x: x.transpose(2, 0, 1),
    "all axes": lambda x: x.transpose(2, 1, 0),
    "part": lambda x: x[:, 1:, ::2],
    "columns": lambda x: x[:, :, 4:12],
    "every second row": lambda x: x[::2],
    "backwards": lambda x: x[::-1, :, ::-1],
    "repeated": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "one number": lambda x: np.broadcast_to(x[:1, :1, :1], (2, *x.shape)),
    "dense": lambda x: x,
    "a part turned": lambda x: x[1:, :, 1:34].transpose(0, 2, 1),
    "five axes": lambda x: x.reshape(5, 2, -1, 2, 10, 4).transpose(5, 3, 0, 4, 1, 2)[:, :, :, :, :, 0],
}
KINDS = ("float32", "bfloat16", "int8", "float64", "complex128")


def array(dtype):
    return np.arange(5 * 12 * 40, dtype="float32").reshape(5, 12, 40).astype(dtypes.as_numpy(dtype))


def copied(device, view):
    """What a device makes of a view of NumPy's memory."""
    given = fake_cupy.ndarray.around(view)
    new = device.xp.empty(view.shape, view.dtype)
    device.copy_into(given, new)
    return new.get()


def kernels_of_copies():
    """All kernels that the copies need."""
    found = Collecting()
    for dtype in KINDS:
        for way in WAYS.values():
            copied(DoubleOfGpu(found), way(array(dtype)))
    return found.kernels


@pytest.fixture(scope="module", params=[0, 1, 5], ids=["in order", "backwards", "scattered"])
def device(request):
    modules = HostModules(request.param)
    modules.kernels = kernels_of_copies()
    return DoubleOfGpu(modules)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_a_copy_is_dense_and_the_same(way, dtype, device):
    view = WAYS[way](array(dtype))
    fake_cupy.counts.clear()
    np.testing.assert_array_equal(copied(device, view), view)
    assert fake_cupy.counts.launches == 1


def test_tiles_are_taken_where_neighbours_change():
    taken = {name for name in kernels_of_copies() if name.startswith("mlkit_turned_copy")}
    assert taken == {
        f"mlkit_turned_copy_{unit}"
        for unit in ("unsigned_char", "unsigned_short", "unsigned", "unsigned_long_long", "sixteen_bytes")
    }


def test_an_array_that_lies_in_too_many_ways_is_left_to_cupy(device):
    view = np.arange(3**6).reshape((3,) * 6).transpose(5, 3, 1, 0, 2, 4)
    np.testing.assert_array_equal(copied(device, view), view)


def test_reshape_of_what_is_turned_is_one_launch(gpu):
    def flattened(x):
        return ops.reshape(ops.transpose(x, (0, 2, 1)), (5, 480))

    with swapped(backend=gpu, kernels=gpu.kernels):
        x = ops.convert_to_tensor(array("float32"))
        for run, launches in ((flattened, 1), (mlkit.function(flattened), 2)):  # what is returned is copied out
            fake_cupy.counts.clear()
            y = run(x)
            assert fake_cupy.counts.launches == launches
            np.testing.assert_array_equal(y.numpy(), array("float32").transpose(0, 2, 1).reshape(5, 480))
        fake_cupy.counts.clear()
        assert ops.reshape(x, (60, 40)).shape == (60, 40)
        assert not fake_cupy.counts.launches
