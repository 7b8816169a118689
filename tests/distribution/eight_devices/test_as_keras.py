"""Names, numbers, layouts and errors are those of Keras on JAX."""

import keras
import numpy as np
import pytest

import mlkit
from tests.distribution.eight_devices import nets


@pytest.fixture(autouse=True)
def _keras_alone():
    yield
    keras.distribution.set_distribution(None)


def trained(k, way, weights=None):
    k.utils.clear_session()
    k.utils.set_random_seed(0)
    k.distribution.set_distribution(way(k))
    model, (x, y) = nets.dense(k), nets.data(48, "float32")
    if weights is not None:
        model.set_weights(weights)
    start = model.get_weights()
    history = model.fit(x, y, batch_size=16, epochs=2, verbose=0, shuffle=False).history
    return model, start, history, model.evaluate(x, y, batch_size=16, verbose=0), model.predict(x, batch_size=16, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("way", [nets.on_one_axis, nets.on_two_axes])
def test_numbers_and_layouts(way):
    theirs, weights, *expected = trained(keras, way)
    ours, _, *found = trained(mlkit, way, weights)
    assert found[0].keys() == expected[0].keys()
    for name in expected[0]:
        np.testing.assert_allclose(found[0][name], expected[0][name], rtol=1e-4)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4)
    np.testing.assert_allclose(found[2], expected[2], atol=1e-4)
    for v, w in zip(ours.weights, theirs.weights, strict=True):
        assert v.path == w.path
        assert v.value.data.sharding.is_equivalent_to(w.value.sharding, v.ndim), v.path
    slots = {v.path: v for v in theirs.optimizer.variables}
    for v in ours.optimizer.variables:
        assert v.value.data.sharding.is_equivalent_to(slots[v.path].value.sharding, v.ndim), v.path


def test_devices_and_meshes():
    for k in (keras, mlkit):
        d = k.distribution
        assert d.list_devices() == d.list_devices("cpu") == d.list_devices("CPU") == [f"cpu:{n}" for n in range(8)]
        assert d.get_device_count() == d.get_device_count("cpu") == 8
        mesh = d.DeviceMesh((4, 2), ["a", "b"])
        assert (mesh.shape, mesh.axis_names) == ((4, 2), ["a", "b"])
        assert mesh.devices.tolist() == [[f"cpu:{2 * n}", f"cpu:{2 * n + 1}"] for n in range(4)]
        assert repr(mesh) == "<DeviceMesh shape=(4, 2), axis_names=['a', 'b']>"
        assert mesh.backend_mesh.axis_names == ("a", "b")
        layout = d.TensorLayout((None, "b"), mesh)
        assert layout.axes == (None, "b")
        assert tuple(layout.backend_layout.spec) == (None, "b")
        half = d.DataParallel(devices=["cpu:0", "cpu:3"])
        assert (half.num_model_replicas, half.batch_dim_name, half.device_mesh.axis_names) == (2, "batch", ["batch"])
        assert half.get_data_layout((8, 3)).axes == ("batch", None)
        assert half.get_tensor_layout("any") is None
        parallel = d.ModelParallel(layout_map=d.LayoutMap(mesh), batch_dim_name="b")
        assert (parallel.num_model_replicas, parallel.num_processes, parallel.data_shard_id) == (2, 1, 0)
        with parallel.scope():
            assert d.distribution() is parallel
        assert d.distribution() is None


def test_of_a_mesh_of_two_axes_the_first_is_the_batchs():
    """In Keras the warning itself fails."""
    mesh = mlkit.distribution.DeviceMesh((4, 2), ["a", "b"])
    with pytest.warns(UserWarning, match="only the first, 'a', is that of the batch"):
        assert mlkit.distribution.DataParallel(mesh).batch_dim_name == "a"


def test_layout_maps():
    for k in (keras, mlkit):
        d = k.distribution
        mesh = d.DeviceMesh((8,), ["a"])
        layouts = d.LayoutMap(mesh)
        layouts["dense/kernel"] = d.TensorLayout((None, "a"))
        layouts[".*conv.*"] = ("a",)
        assert layouts["dense/kernel"].device_mesh is mesh
        assert layouts["my/conv_1/bias"].axes == ("a",)
        assert layouts["dense"] is None
        assert list(layouts) == ["dense/kernel", ".*conv.*"]
        assert len(layouts) == 2
        del layouts["dense/kernel"]
        assert list(layouts) == [".*conv.*"]


REFUSED = {
    "no axes": lambda d, mesh: d.DeviceMesh((), []),
    "a name too few": lambda d, mesh: d.DeviceMesh((4, 2), ["a"]),
    "larger than the devices": lambda d, mesh: d.DeviceMesh((4, 4), ["a", "b"]),
    "smaller than the devices": lambda d, mesh: d.DeviceMesh((2, 2), ["a", "b"]),
    "an axis that is not there": lambda d, mesh: d.TensorLayout(("c",), mesh),
    "another mesh": lambda d, mesh: setattr(d.TensorLayout(("a",), mesh), "device_mesh", mesh),
    "no mesh": lambda d, mesh: d.TensorLayout(("a",)).backend_layout,
    "no map": lambda d, mesh: d.ModelParallel(),
    "a mesh for a map": lambda d, mesh: d.ModelParallel(layout_map=mesh),
    "a string for a mesh": lambda d, mesh: d.DataParallel("cpu"),
    "a key twice": lambda d, mesh: _twice(d, mesh),
    "no layout": lambda d, mesh: d.LayoutMap(mesh).__setitem__("k", 3),
    "two matches": lambda d, mesh: _two_matches(d, mesh),
}


def _twice(d, mesh):
    layouts = d.LayoutMap(mesh)
    layouts["k"] = layouts["k"] = ("a",)


def _two_matches(d, mesh):
    layouts = d.LayoutMap(mesh)
    layouts["k.*"], layouts[".*l"] = ("a",), ("b",)
    return layouts["kernel"]


@pytest.mark.parametrize("what", REFUSED)
def test_both_refuse(what):
    for k in (keras, mlkit):
        mesh = k.distribution.DeviceMesh((4, 2), ["a", "b"])
        with pytest.raises(ValueError):
            REFUSED[what](k.distribution, mesh)


def test_distribute_tensor():
    for k in (keras, mlkit):
        mesh = k.distribution.DeviceMesh((4, 2), ["a", "b"])
        layout = k.distribution.TensorLayout(("a", None), mesh)
        x = k.ops.reshape(k.ops.arange(16.0), (8, 2))
        moved = k.distribution.distribute_tensor(x, layout)
        np.testing.assert_array_equal(np.asarray(moved), np.asarray(x))
        assert (moved.data if k is mlkit else moved).sharding == layout.backend_layout
        symbol = k.Input((2,))
        assert k.distribution.distribute_tensor(symbol, layout) is symbol


def test_layouts_of_the_outputs_of_layers():
    """As in Keras, by the layer's path and "/output"."""
    for k in (keras, mlkit):
        k.utils.clear_session()
        mesh = k.distribution.DeviceMesh((4, 2), ["batch", "model"])
        layouts = k.distribution.LayoutMap(mesh)
        layouts[".*hidden/output"] = ("batch", "model")
        k.distribution.set_distribution(k.distribution.ModelParallel(layout_map=layouts))
        hidden = k.layers.Dense(4, name="hidden")
        out = hidden(np.ones((8, 3), "float32"))
        assert tuple((out.data if k is mlkit else out).sharding.spec) == ("batch", "model")
