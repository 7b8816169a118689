"""Variables with layouts of their own, tensors laid out by hand, and models that move between meshes through files and copies."""

import copy
import pickle

import numpy as np
import pytest

import mlkit
from mlkit import distribution, layers, ops
from tests.distribution.eight_devices import nets


def mesh():
    return distribution.DeviceMesh((4, 2), ["batch", "model"])


def spec(t):
    return tuple(t.data.sharding.spec)


def test_variables():
    """A layout holds for all values that a variable has, whoever assigns them."""
    layout = distribution.TensorLayout((None, "model"), mesh())
    v = mlkit.Variable("ones", shape=(3, 4), layout=layout)
    assert spec(v.value) == (None, "model")
    v.assign(np.full((3, 4), 2.0))
    assert spec(v.value) == (None, "model")
    v.assign_add(v)
    assert spec(v.value) == (None, "model")
    mlkit.function(lambda: v.assign(v * 0.5).value)()
    assert spec(v.value) == (None, "model")
    np.testing.assert_array_equal(v.numpy(), np.full((3, 4), 2.0))


def test_weights_of_layers_and_optimizers():
    layout = distribution.TensorLayout(("model", None), mesh())
    layer = layers.Layer()
    weight = layer.add_weight(shape=(4, 3), layout=layout, name="own")
    optimizer = mlkit.optimizers.Adafactor()
    optimizer.build([weight])
    like = optimizer.add_variable_from_reference(weight, "copy")
    assert spec(weight.value) == spec(like.value) == ("model", None)
    assert all(len(v.value.data.sharding.device_set) == 8 for v in optimizer.variables if "own" in v.path)
    alone = optimizer.add_variable((2,), layout=distribution.TensorLayout(("model",), mesh()))
    assert spec(alone.value) == ("model",)


def test_tensors_in_programs_and_gradients():
    layout = distribution.TensorLayout(("batch", None), mesh())
    x = ops.reshape(ops.arange(16.0), (8, 2))
    f = lambda t: ops.sum(distribution.distribute_tensor(t * t, layout))
    for g in (mlkit.grad(f), mlkit.function(mlkit.grad(f))):
        np.testing.assert_array_equal(g(x).numpy(), 2 * x.numpy())
    out = mlkit.function(lambda t: distribution.distribute_tensor(t + 1, layout))(x)
    assert spec(out)[0] == "batch"
    rows = mlkit.vmap(lambda t: distribution.distribute_tensor(t, distribution.TensorLayout(("model",), mesh())))(x)
    np.testing.assert_array_equal(rows.numpy(), x.numpy())
    own = distribution.TensorLayout((None, "model"), mesh()).backend_layout
    assert spec(distribution.distribute_tensor(x, own)) == (None, "model")


def test_the_outputs_of_a_layer_in_a_model():
    layout_map = distribution.LayoutMap(mesh())
    layout_map[".*/hidden/output"] = ("batch", "model")
    distribution.set_distribution(distribution.ModelParallel(layout_map=layout_map))
    model = nets.dense(mlkit)
    model.fit(*nets.data(16, "float32"), batch_size=16, verbose=0)
    (program,) = model._training.programs["train"].programs.values()
    assert "relayout" in [call.op.name for call in program[0].graph.calls]


@pytest.mark.parametrize(
    "kind, ways",
    [
        ("model.keras", [nets.on_two_axes]),
        *(pytest.param(kind, [None, *nets.WAYS], marks=pytest.mark.slow) for kind in ("model.keras", "model.weights.h5")),
    ],
)
def test_files_hold_whole_arrays(kind, ways, tmp_path):
    distribution.set_distribution(nets.in_all_parts(mlkit))
    (x, y), model = nets.data(16, "float32"), nets.dense(mlkit)
    model.fit(x, y, batch_size=16, verbose=0)
    path = tmp_path / kind
    (model.save_weights if "weights" in kind else model.save)(path)
    predictions = model.predict(x, verbose=0)
    for way in ways:
        distribution.set_distribution(way and way(mlkit))
        if "weights" in kind:
            other = nets.dense(mlkit)
            other.load_weights(path)
        else:
            other = mlkit.saving.load_model(path)
            for v, w in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
                np.testing.assert_array_equal(v.numpy(), w.numpy())
        np.testing.assert_allclose(other.predict(x, verbose=0), predictions, atol=1e-6)
        kernel = other.get_layer("hidden").kernel.value.data
        assert len(kernel.sharding.device_set) == (8 if way else 1)
        if len(ways) > 1:
            other.fit(x, y, batch_size=16, verbose=0)


@pytest.mark.slow
def test_backups_go_on_on_another_mesh(tmp_path):
    """Three epochs on one mesh, the rest on another, as six on one."""
    x, y = nets.data(32, "float32")

    def run(way, epochs, folder):
        mlkit.utils.clear_session()
        mlkit.utils.set_random_seed(2)
        distribution.set_distribution(way(mlkit))
        model = nets.dense(mlkit, dropout=0.2)
        backup = mlkit.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
        return model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, callbacks=[backup]).history["loss"]

    whole = run(nets.on_one_axis, 4, tmp_path / "a")
    run(nets.on_one_axis, 2, tmp_path / "b")
    np.testing.assert_allclose(run(nets.in_all_parts, 4, tmp_path / "b"), whole, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_lie_as_the_distribution_in_force_says(copied):
    distribution.set_distribution(nets.on_two_axes(mlkit))
    model = nets.dense(mlkit)
    assert spec(copied(model).get_layer("hidden").kernel.value) == (None, "model")
    distribution.set_distribution(None)
    other = copied(model)
    np.testing.assert_array_equal(other.get_layer("hidden").kernel.numpy(), model.get_layer("hidden").kernel.numpy())
    assert other.get_layer("hidden").kernel._layout is None


def test_explain_and_the_largest_axis():
    layout_map = distribution.LayoutMap.shard_largest_axis(distribution.DeviceMesh((8,), ["data"]), "data", min_size=64)
    layout_map[".*/head/kernel"] = (None, None)
    distribution.set_distribution(distribution.ModelParallel(layout_map=layout_map))
    model = nets.dense(mlkit)
    explained = layout_map.explain(model)
    rows = {path: row for path, *row in explained.rows}
    assert rows["net/hidden/kernel"] == [(12, 16), "(largest axis)", (None, "data"), 8, 12 * 16 * 4 // 8]
    assert rows["net/head/kernel"] == [(16, 4), ".*/head/kernel", (None, None), 1, 16 * 4 * 4]
    assert rows["net/hidden/bias"] == [(16,), "(none)", (None,), 1, 64]
    for v in model.variables:  # what it says is what is
        held = v.value.data.addressable_shards[0].data
        assert held.nbytes == rows[v.path][-1]
    assert explained.bytes_per_device == sum(row[-1] for row in rows.values())


def test_the_device_of_a_tensor_and_computing_elsewhere():
    distribution.set_distribution(distribution.DataParallel())
    v = mlkit.Variable([1.0, 2.0])
    assert v.value.device == "cpu:0"
    with mlkit.device("cpu:5"):
        assert ops.ones(2).device == "cpu:5"
    distribution.set_distribution(None)
    assert float(ops.sum(v + 1)) == 5.0


def test_a_batch_is_copied():
    """Who gave it may write into it while the step runs."""
    distribution.set_distribution(distribution.DataParallel())
    batch = np.zeros((1024, 64), "float32")
    placed = distribution.distribution().place_batch(batch)
    batch[:] = 1
    np.testing.assert_array_equal(placed, np.zeros((1024, 64)))


def test_what_is_no_array_of_numbers_stays():
    distribution.set_distribution(distribution.DataParallel())
    words = np.array(["a", "b"] * 4)
    x, w, none, scalar = distribution.distribution().place_batch((np.zeros((0, 3)), words, None, np.float32(2)))
    assert w is words
    assert none is None
    assert (x.shape, float(scalar)) == ((0, 3), 2.0)
