"""TorchModuleWrapper: PyTorch computes and differentiates, the rest is ours. Needs PyTorch."""

import concurrent.futures
import copy
import time

import numpy as np
import pytest

import mlkit
from mlkit import layers

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn = torch.nn

X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
Y = np.random.default_rng(1).normal(size=(32, 3)).astype("float32")


def module(dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Dropout(dropout), nn.Linear(8, 3))


def trained_by_torch(net, epochs=3, batch=8, rate=0.05):
    net.train()
    optimizer, losses = torch.optim.SGD(net.parameters(), rate), []
    for _ in range(epochs):
        for i in range(0, len(X), batch):
            optimizer.zero_grad()
            loss = ((net(torch.tensor(X[i : i + batch])) - torch.tensor(Y[i : i + batch])) ** 2).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    net.eval()
    return np.reshape(losses, (epochs, -1)).mean(1), net(torch.tensor(X)).detach().numpy()


def wrapped(net, **options):
    model = mlkit.Sequential([mlkit.Input((6,)), layers.TorchModuleWrapper(net, name="net")])
    model.compile(mlkit.optimizers.SGD(0.05), "mse", **options)
    return model


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}, {"jit_compile": False}], ids=str)
def test_training_gives_what_torch_gives(options):
    losses, predictions = trained_by_torch(module())
    model = wrapped(module(), **options)
    assert model.output_shape == (None, 3)
    history = model.fit(X, Y, 8, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-4)
    np.testing.assert_allclose(model.predict(X, verbose=0), predictions, rtol=1e-3, atol=1e-5)
    assert [v.shape for v in model.trainable_weights] == [(8, 6), (8,), (8,), (8,), (3, 8), (3,)]
    assert int(model.non_trainable_weights[-1]) == 12  # steps that batch normalization has seen


def test_the_module_comes_back_with_the_weights():
    net = module()
    before = copy.deepcopy(net.state_dict())
    model = wrapped(net)
    model.fit(X, Y, 8, epochs=1, verbose=0)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items()) or net is model.layers[0]._module
    after = model.get_layer("net").module
    after.eval()
    np.testing.assert_allclose(after(torch.tensor(X)).detach().numpy(), model.predict(X, verbose=0), rtol=1e-4, atol=1e-5)
    assert len(list(model.get_layer("net").parameters())) == 6


def test_inputs_are_not_changed():
    layer, x = layers.TorchModuleWrapper(nn.ReLU(inplace=True)), mlkit.ops.convert_to_tensor([-1.0, 2.0])
    assert layer(x, training=False).numpy().tolist() == [0.0, 2.0]
    assert x.numpy().tolist() == [-1.0, 2.0]
    found = mlkit.function(lambda a: (layer(a + 1), a + 1))(x)
    assert [t.numpy().tolist() for t in found] == [[0.0, 3.0], [0.0, 3.0]]
    assert mlkit.grad(lambda a: mlkit.ops.sum(layer(a)))(x).numpy().tolist() == [0.0, 1.0]


def test_gradients_of_gradients():
    class Cube(nn.Module):
        def forward(self, x, scale=1.0):
            return scale * x**3

    layer = layers.TorchModuleWrapper(Cube())
    x = mlkit.ops.convert_to_tensor([1.0, 2.0])
    for wrap in (lambda f: f, mlkit.function):
        first = wrap(mlkit.grad(lambda a: mlkit.ops.sum(layer(a, scale=2.0))))
        second = wrap(mlkit.grad(lambda a: mlkit.ops.sum(mlkit.grad(lambda b: mlkit.ops.sum(layer(b, scale=2.0)))(a))))
        assert first(x).numpy().tolist() == [6.0, 24.0]
        assert second(x).numpy().tolist() == [12.0, 24.0]


def test_dropout_follows_our_seed_and_leaves_torch_alone():
    def run():
        mlkit.utils.set_random_seed(7)
        model = wrapped(module(dropout=0.5))
        return model.fit(X, Y, 8, epochs=2, verbose=0).history["loss"]

    torch.manual_seed(11)
    expected = torch.rand(3)
    first = run()
    assert run() == first
    layer = layers.TorchModuleWrapper(nn.Dropout(0.5))
    torch.manual_seed(11)
    masks = [layer(mlkit.ops.ones((50,)), training=True).numpy() for _ in range(2)]
    assert torch.equal(torch.rand(3), expected)
    assert (masks[0] != masks[1]).any()
    assert set(np.unique(masks)) == {0.0, 2.0}
    tape_x = mlkit.Variable(np.ones(50, "float32"))
    with mlkit.GradientTape() as tape:
        y = layer(tape_x.value, training=True)
    np.testing.assert_array_equal(tape.gradient(y, tape_x).numpy(), y.numpy())  # the same mask again


def test_structures():
    class Pair(nn.Module):
        def forward(self, a, b, add=None):
            total = a["x"] + b if add is None else a["x"] + b + add
            return {"sum": total, "nothing": None, "parts": (a["x"].argmax(-1), b)}

    layer = layers.TorchModuleWrapper(Pair())
    a, b = mlkit.Input((4,)), mlkit.Input((4,))
    model = mlkit.Model([a, b], layer({"x": a}, b, add=b)["parts"][0])
    assert (model.output_shape, model.output.dtype) == ((None,), "int64")
    assert model.predict([np.eye(4), np.zeros((4, 4))], verbose=0).tolist() == [0, 1, 2, 3]
    found = layer({"x": np.ones(2, "float32")}, np.ones(2, "float32"))
    assert found["nothing"] is None
    assert found["sum"].numpy().tolist() == [2.0, 2.0]


def test_recurrent_and_frozen_parameters():
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 4, batch_first=True)
    lstm.bias_hh_l0.requires_grad_(False)
    layer = layers.TorchModuleWrapper(lstm)
    assert [v.trainable for v in layer.weights] == [True, True, True, False]
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    with mlkit.GradientTape() as tape:
        y, (h, _c) = layer(x)
        loss = mlkit.ops.sum(y * y)
    found = tape.gradient(loss, layer.trainable_weights)
    out, (expected_h, _) = lstm(torch.tensor(x))
    (out * out).sum().backward()
    np.testing.assert_allclose(h.numpy(), expected_h.detach(), rtol=1e-5)
    for g, p in zip(found, [lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0]):
        np.testing.assert_allclose(g.numpy(), p.grad, rtol=1e-4, atol=1e-6)


def test_unknown_sizes():
    net = nn.Sequential(nn.Conv2d(3, 4, 5, stride=2), nn.ReLU())
    image = mlkit.Input((3, None, None))
    model = mlkit.Model(image, layers.TorchModuleWrapper(net)(image))
    assert model.output_shape == (None, 4, None, None)
    assert model.predict(np.zeros((2, 3, 32, 21), "float32"), verbose=0).shape == (2, 4, 14, 9)

    class Looks(nn.Module):  # at values, and holds a tensor that is no buffer
        def __init__(self):
            super().__init__()
            self.one = torch.ones(1)

        def forward(self, x):
            return x + self.one if float(x.sum()) >= 0 else x

    flat = mlkit.Input((3,))
    assert layers.TorchModuleWrapper(Looks())(flat).shape == (None, 3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_half_floats(policy):
    mlkit.config.set_dtype_policy(policy)
    net = module() if policy == "mixed_bfloat16" else module().to(torch.bfloat16)
    model = mlkit.Sequential([mlkit.Input((6,)), layers.TorchModuleWrapper(net)])
    assert {v.dtype for v in model.trainable_weights} == {"float32" if policy == "mixed_bfloat16" else "bfloat16"}
    model.compile(mlkit.optimizers.SGD(0.05), "mse")
    losses, _ = trained_by_torch(module())
    found = model.fit(X, Y, 8, epochs=3, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(found, losses, rtol=0.05)
    assert model(X).dtype == "bfloat16"


def test_files(tmp_path):
    model = wrapped(module())
    model.fit(X, Y, 8, epochs=1, verbose=0)
    path, expected = tmp_path / "m.keras", model.predict(X, verbose=0)
    model.save(path)
    again = mlkit.saving.load_model(path)  # this process wrote the pickle itself
    np.testing.assert_array_equal(again.predict(X, verbose=0), expected)
    from mlkit.layers import torch_module

    torch_module._own_pickles.clear()
    with pytest.raises(ValueError, match="custom_objects={'net': module}"):
        mlkit.saving.load_model(path)
    again = mlkit.saving.load_model(path, custom_objects={"net": module()})
    np.testing.assert_array_equal(again.predict(X, verbose=0), expected)
    fresh = wrapped(module())
    model.save_weights(tmp_path / "m.weights.h5")
    fresh.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(fresh.predict(X, verbose=0), expected)
    other = mlkit.Sequential([mlkit.Input((6,)), layers.TorchModuleWrapper(nn.Linear(6, 3), name="net")])
    with pytest.raises(ValueError, match="has 2 variables, but received 9"):
        other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(copy.deepcopy(model).predict(X, verbose=0), expected)


def test_threads_share_a_module():
    class Slow(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.ones(()))

        def forward(self, x):
            time.sleep(0.002)
            return x * self.factor

    net = Slow()
    wrappers = [layers.TorchModuleWrapper(net) for _ in range(3)]
    for i, layer in enumerate(wrappers):
        layer.set_weights([np.float32(i)])
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda i: float(wrappers[i % 3](mlkit.ops.ones(()), training=False)), range(30)))
    assert found == [float(i % 3) for i in range(30)]


def test_refused():
    with pytest.raises(ValueError, match="lazy"):
        layers.TorchModuleWrapper(nn.LazyLinear(3))
    layer = layers.TorchModuleWrapper(nn.Linear(4, 3), name="linear")
    with pytest.raises(RuntimeError, match="linear"):
        layer(np.ones((2, 5), "float32"))


def test_on_jax():
    pytest.importorskip("jax", reason="JAX is not installed")
    losses, predictions = trained_by_torch(module())
    mlkit.config.set_backend("jax")
    model = wrapped(module())
    history = model.fit(X, Y, 8, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-4)
    np.testing.assert_allclose(model.predict(X, verbose=0), predictions, rtol=1e-3, atol=1e-5)


def test_verify():
    pytest.importorskip("jax", reason="JAX is not installed")
    model = wrapped(module())
    assert mlkit.verify(model, X, Y).ok
