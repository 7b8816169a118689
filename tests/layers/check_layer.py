"""What holds for every layer: config round trip, one shape logic, gradients, saving; and the same numbers as Keras."""

import copy
import dataclasses
import json
import pickle

import numpy as np

import mlkit
from mlkit.core.function import function
from mlkit.ops.gradients import GradientTape

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda x: pickle.loads(pickle.dumps(x))}


def make(sample, layers):
    """The sample's layer, in the given library's `layers`."""
    options = {k: v(layers) if callable(v) else v for k, v in sample.options.items()}
    return getattr(layers, sample.name)(**options, name="sample")


def arrays(sample, seed=0):
    """Input arrays."""
    rng = np.random.default_rng(seed)
    if sample.ints:
        return [rng.integers(0, sample.ints, shape).astype("int32") for shape in sample.shapes]
    return [rng.normal(size=shape).astype("float32") for shape in sample.shapes]


def call(sample, layer, inputs, **keywords):
    """The layer called the way its sample says."""
    arguments = {"single": inputs[:1], "list": [list(inputs)], "separate": inputs}[sample.inputs]
    return layer(*arguments, **{**sample.call, **keywords})


def flat(outputs):
    return [np.asarray(mlkit.ops.convert_to_numpy(y)) for y in mlkit.tree.flatten(outputs)]


def set_equal_weights(ours, theirs):
    """The same drawn weights for a layer of each library."""
    rng = np.random.default_rng(7)
    values = [rng.normal(size=w.shape) * 0.5 for w in ours.weights]
    values = [np.abs(v) + 0.5 if "variance" in w.name or "stddev" in w.name else v for v, w in zip(values, ours.weights)]
    ours.set_weights(values)
    theirs.set_weights(values)


def as_data(config):
    """A config as it is in a file, without the shapes that layers within were built for."""
    return json.loads(
        json.dumps(config, default=str), object_hook=lambda d: {k: v for k, v in d.items() if k != "build_config"}
    )


def check_layer(sample):
    layer = make(sample, mlkit.layers)
    inputs = arrays(sample)
    outputs = flat(call(sample, layer, inputs))
    check_config(sample, layer)
    check_shapes(sample, inputs, outputs)
    check_traced(sample, layer, inputs, outputs)
    check_saving(sample, layer, inputs, outputs)
    check_copies(sample, layer, inputs, outputs)
    check_training(sample, layer, inputs)


def check_config(sample, layer):
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert as_data(again.get_config()) == as_data(layer.get_config())


def check_shapes(sample, inputs, outputs):
    """The shapes found symbolically, with the batch size unknown and known, are those of the values."""
    for batch in (None, inputs[0].shape[0]):
        symbols = [mlkit.KerasTensor((batch, *x.shape[1:]), x.dtype.name) for x in inputs]
        found = mlkit.tree.flatten(call(sample, make(sample, mlkit.layers), symbols))
        assert [t.shape for t in found] == [(batch, *y.shape[1:]) for y in outputs]
        assert [t.dtype for t in found] == [y.dtype.name for y in outputs]


def check_traced(sample, layer, inputs, outputs):
    """A compiled call gives what the eager one gave."""
    compiled = function(lambda tensors: call(sample, layer, tensors))
    for y, z in zip(flat(compiled([mlkit.ops.convert_to_tensor(x) for x in inputs])), outputs, strict=True):
        np.testing.assert_allclose(y, z, atol=1e-5, rtol=1e-5)


def check_precision(sample, policy, dtype):
    """Outputs have the policy's compute dtype (or are integers), symbolically too, and gradients are finite."""
    sample = dataclasses.replace(sample, options={**sample.options, "dtype": policy})
    layer, inputs = make(sample, mlkit.layers), arrays(sample)
    outputs = flat(call(sample, layer, inputs))
    assert {y.dtype.name for y in outputs} <= {dtype, "int32"}
    check_shapes(sample, inputs, outputs)
    check_training(sample, layer, inputs)


def check_saving(sample, layer, inputs, outputs):
    """`save_own_variables` of a layer and of those within, loaded into a fresh one, give the same outputs."""
    fresh = type(layer).from_config(layer.get_config())
    call(sample, fresh, arrays(sample, seed=1))
    for old, new in zip(layer._flatten_layers(), fresh._flatten_layers(), strict=True):
        store = {}
        old.save_own_variables(store)
        new.load_own_variables(store)
    for y, z in zip(flat(call(sample, fresh, inputs)), outputs, strict=True):
        np.testing.assert_array_equal(y, z)


def check_copies(sample, layer, inputs, outputs):
    """Copies and pickles of a layer that has run have its weights, and variables of their own."""
    for copied in COPIES.values():
        again = copied(layer)
        for y, z in zip(flat(call(sample, again, inputs)), outputs, strict=True):
            np.testing.assert_array_equal(y, z)
        assert [v.path for v in again.variables] == [v.path for v in layer.variables]
        assert not set(map(id, again.variables)) & set(map(id, layer.variables))
        assert as_data(again.get_config()) == as_data(layer.get_config())


def check_training(sample, layer, inputs):
    """Each trainable weight gets a finite gradient in a training call, which keeps the outputs' shapes."""
    weights = layer.trainable_weights
    training = {"training": True} if "training" in mlkit.layers.call_info.call_info(type(layer)).names else {}
    with GradientTape() as tape:
        outputs = mlkit.tree.flatten(call(sample, layer, inputs, **training))
        loss = sum(mlkit.ops.sum(mlkit.ops.sin(mlkit.ops.cast(y, "float32"))) for y in outputs)
    assert all(np.isfinite(y).all() for y in flat(outputs))
    for v, g in zip(weights, tape.gradient(loss, weights)):
        assert g is not None, f"no gradient for {v.path}"
        assert g.shape == v.shape, v.path
        assert np.isfinite(g.numpy()).all(), v.path
