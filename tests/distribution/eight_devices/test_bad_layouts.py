"""What cannot be, or would not do what it says, is refused with what is needed to put it right."""

import numpy as np
import pytest

import mlkit
from mlkit import distribution, layers
from tests.distribution.eight_devices import nets


def parallel(**layouts):
    mesh = distribution.DeviceMesh((2, 4), ["batch", "model"])
    layout_map = distribution.LayoutMap(mesh)
    for key, axes in layouts.items():
        layout_map[f".*{key.replace('_', '/')}"] = axes
    distribution.set_distribution(distribution.ModelParallel(layout_map=layout_map))
    return layout_map


def train(model):
    model.fit(*nets.data(16, "float32"), batch_size=16, verbose=0)


def test_a_key_that_matches_nothing():
    layout_map = parallel(hiden_kernel=(None, "model"))
    model = nets.dense(mlkit)
    before = model.get_weights()
    for use in (
        train,
        lambda m: m.evaluate(*nets.data(16, "float32"), verbose=0),
        lambda m: m.predict(nets.data(16)[0], verbose=0),
    ):
        with pytest.raises(ValueError, match=r"'\.\*hiden/kernel' matches no variable.*nearest paths are 'net/hidden/kernel'"):
            use(model)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert "matches no variable; nearest: ['net/hidden/kernel'" in str(layout_map.explain(model))


def test_two_keys_that_match_one_variable():
    parallel(hidden_kernel=(None, "model"), kernel=("model", None))
    with pytest.raises(ValueError, match="'net/hidden/kernel' matches 2 keys"):
        nets.dense(mlkit)


def test_an_axis_that_cannot_be_divided():
    parallel(head_kernel=(None, "model"))
    with pytest.raises(
        ValueError, match=r"'net/head/kernel' has shape \(12, 3\): its axis 1, of size 3.*4 equal parts.*'model': 4"
    ):
        mlkit.Sequential([mlkit.Input((12,)), layers.Dense(3, name="head")], name="net")


def test_a_layout_of_more_axes():
    parallel(head_bias=(None, "model"))
    with pytest.raises(ValueError, match=r"'net/head/bias' has shape \(4,\), 1 axes, but its layout"):
        mlkit.Sequential([mlkit.Input((12,)), layers.Dense(4, name="head")], name="net")


def test_axes_that_the_mesh_does_not_have():
    with pytest.raises(ValueError, match=r"\['batch', 'model'\], and no 'modle'"):
        parallel(head_kernel=(None, "modle"))
    with pytest.raises(ValueError, match="each once at most"):
        parallel(head_kernel=("model", "model"))
    mesh = distribution.DeviceMesh((8,), ["data"])
    with pytest.raises(ValueError, match="and no 'batch'"):
        distribution.LayoutMap.shard_largest_axis(mesh, "batch")
    with pytest.raises(ValueError, match="and no 'batch'"):
        distribution.ModelParallel(layout_map=distribution.LayoutMap(mesh), batch_dim_name="batch")


def test_devices_that_are_not_there():
    with pytest.raises(ValueError, match=r"there is no cpu:8 on backend 'jax', which has 8 device"):
        distribution.DeviceMesh((9,), ["a"], [f"cpu:{n}" for n in range(9)])
    with pytest.raises(ValueError, match=r"\(16,\) has 16 places, but there are 8 device"):
        distribution.DeviceMesh((16,), ["a"])
    with pytest.raises(ValueError, match="must be one of cpu, gpu"):
        distribution.list_devices("toaster")
    with pytest.raises(ValueError, match="must differ"):
        distribution.DeviceMesh((4, 2), ["a", "a"])


def test_keys_that_are_no_regular_expressions():
    with pytest.raises(ValueError, match="must be a regular expression"):
        distribution.LayoutMap(distribution.DeviceMesh((8,), ["a"]))["*kernel"] = ("a", None)


@pytest.mark.parametrize("use", ["fit", "evaluate", "predict"])
def test_a_model_that_was_made_before(use):
    model, (x, y) = nets.dense(mlkit), nets.data(16, "float32")
    distribution.set_distribution(distribution.DataParallel())
    with pytest.raises(ValueError, match=r"was made before this distribution.*set_distribution\(\.\.\.\) first"):
        getattr(model, use)(*((x,) if use == "predict" else (x, y)), verbose=0)


def test_a_model_of_another_mesh():
    distribution.set_distribution(distribution.DataParallel())
    model = nets.dense(mlkit)
    train(model)
    distribution.set_distribution(distribution.DataParallel(devices=["cpu:0", "cpu:1"]))
    with pytest.raises(ValueError, match="was made before this distribution"):
        train(model)


def test_what_is_no_layout_or_distribution():
    with pytest.raises(TypeError, match="`layout` must be a mlkit.distribution.TensorLayout"):
        mlkit.Variable([1.0], layout=("a",))
    with pytest.raises(TypeError, match="must be a TensorLayout"):
        distribution.distribute_tensor([1.0], ("a",))
    with pytest.raises(TypeError, match="expected a Distribution or None"):
        distribution.set_distribution("data_parallel")
    with pytest.raises(ValueError, match="has no mesh"):
        mlkit.Variable([1.0], layout=distribution.TensorLayout(("a",)))
    mesh = distribution.DeviceMesh((8,), ["a"])
    with pytest.raises(ValueError, match=r"shape \(4,\): its axis 0"):
        distribution.distribute_tensor(np.zeros(4), distribution.TensorLayout(("a",), mesh))
