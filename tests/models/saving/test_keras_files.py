"""Files go both ways between mlkit and Keras 3, with equal predictions: every layer, models of all kinds, optimizers too."""

import io
import json
import os
import zipfile

import numpy as np
import pytest

import mlkit
from mlkit.models.saving.hdf5_reader import TensorFile

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")

IMAGE, SERIES, VOLUME = (6, 8, 3), (7, 4), (4, 5, 6, 2)


def of(name, *args, **kwargs):
    """A sample that calls one layer on the input."""
    return lambda k, x: getattr(k.layers, name)(*args, **kwargs)(x)


def merged(name, **kwargs):
    """A sample that merges the input with what a Dense layer makes of it."""
    return lambda k, x: getattr(k.layers, name)(**kwargs)([x, k.layers.Dense(4)(x)])


def wrapped(name, inner, *args, **kwargs):
    """A sample of a layer around a layer."""
    return lambda k, x: getattr(k.layers, name)(inner(k), *args, **kwargs)(x)


def normalized(k, x):
    return k.layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 9.0, 0.5])(x)


def adapted(k, x):
    layer = k.layers.Normalization()
    layer.adapt(np.arange(40, dtype="float32").reshape(10, 4) ** 1.5)
    return layer(x)


SAMPLES = {  # name: (shape of a sample, function (library, input) -> output)
    "Dense": ((4,), of("Dense", 3, activation="relu", kernel_regularizer="l2", bias_constraint="non_neg")),
    "Dense without bias": ((4,), of("Dense", 3, use_bias=False)),
    "Dense bfloat16": ((4,), of("Dense", 3, dtype="mixed_bfloat16")),
    "Dense float16": ((4,), of("Dense", 3, dtype="mixed_float16")),
    "Dense frozen": ((4,), of("Dense", 3, trainable=False)),
    "Activation": ((4,), of("Activation", "tanh")),
    "ReLU": ((4,), of("ReLU", max_value=1.0, negative_slope=0.1)),
    "LeakyReLU": ((4,), of("LeakyReLU", 0.2)),
    "ELU": ((4,), of("ELU", 0.5)),
    "Softmax": ((4,), of("Softmax")),
    "Identity": ((4,), of("Identity")),
    "Conv1D": (SERIES, of("Conv1D", 5, 3, padding="causal", dilation_rate=2)),
    "Conv2D": (IMAGE, of("Conv2D", 6, (3, 2), strides=2, padding="same", groups=3)),
    "Conv3D": (VOLUME, of("Conv3D", 3, 2)),
    "Conv2DTranspose": (IMAGE, of("Conv2DTranspose", 2, 3, strides=2, padding="same")),
    "DepthwiseConv2D": (IMAGE, of("DepthwiseConv2D", 3, depth_multiplier=2)),
    "SeparableConv2D": (IMAGE, of("SeparableConv2D", 4, 3)),
    "MaxPooling1D": (SERIES, of("MaxPooling1D", 2)),
    "MaxPooling2D": (IMAGE, of("MaxPooling2D", (2, 3), strides=1, padding="same")),
    "MaxPooling3D": (VOLUME, of("MaxPooling3D", 2)),
    "AveragePooling1D": (SERIES, of("AveragePooling1D", 2, padding="same")),
    "AveragePooling2D": (IMAGE, of("AveragePooling2D", 2)),
    "AveragePooling3D": (VOLUME, of("AveragePooling3D", 2)),
    "GlobalMaxPooling1D": (SERIES, of("GlobalMaxPooling1D")),
    "GlobalMaxPooling2D": (IMAGE, of("GlobalMaxPooling2D", keepdims=True)),
    "GlobalMaxPooling3D": (VOLUME, of("GlobalMaxPooling3D")),
    "GlobalAveragePooling1D": (SERIES, of("GlobalAveragePooling1D")),
    "GlobalAveragePooling2D": (IMAGE, of("GlobalAveragePooling2D")),
    "GlobalAveragePooling3D": (VOLUME, of("GlobalAveragePooling3D")),
    "BatchNormalization": (IMAGE, of("BatchNormalization", momentum=0.9)),
    "LayerNormalization": (SERIES, of("LayerNormalization", axis=(1, 2))),
    "Dropout": ((4,), of("Dropout", 0.5, seed=1)),
    "SpatialDropout2D": (IMAGE, of("SpatialDropout2D", 0.5)),
    "Flatten": (IMAGE, of("Flatten")),
    "Reshape": (IMAGE, of("Reshape", (-1, 6))),
    "Permute": (IMAGE, of("Permute", (3, 1, 2))),
    "ZeroPadding2D": (IMAGE, of("ZeroPadding2D", ((1, 2), (0, 1)))),
    "UpSampling2D": (IMAGE, of("UpSampling2D", (2, 1), interpolation="nearest")),
    "Add": ((4,), merged("Add")),
    "Subtract": ((4,), merged("Subtract")),
    "Multiply": ((4,), merged("Multiply")),
    "Average": ((4,), merged("Average")),
    "Maximum": ((4,), merged("Maximum")),
    "Minimum": ((4,), merged("Minimum")),
    "Concatenate": ((4,), merged("Concatenate", axis=-1)),
    "Dot": ((4,), merged("Dot", axes=1, normalize=True)),
    "Embedding": ((5,), lambda k, x: k.layers.Embedding(7, 3)(k.ops.cast(k.ops.abs(x * 3), "int32"))),
    "LSTM": (SERIES, of("LSTM", 3, return_sequences=True, dropout=0.1)),
    "GRU": (SERIES, of("GRU", 3, go_backwards=True)),
    "GRU reset before": (SERIES, of("GRU", 3, reset_after=False)),
    "SimpleRNN": (SERIES, of("SimpleRNN", 3)),
    "RNN of cells": (SERIES, lambda k, x: k.layers.RNN([k.layers.LSTMCell(3), k.layers.GRUCell(2)])(x)),
    "Bidirectional": (SERIES, wrapped("Bidirectional", lambda k: k.layers.LSTM(3, return_sequences=True), merge_mode="sum")),
    "TimeDistributed": (SERIES, wrapped("TimeDistributed", lambda k: k.layers.Dense(2))),
    "MultiHeadAttention": (SERIES, lambda k, x: k.layers.MultiHeadAttention(2, 3, value_dim=5, dropout=0.1)(x, x)),
    "MultiHeadAttention gated": (SERIES, lambda k, x: k.layers.MultiHeadAttention(2, 3, use_gate=True, sliding_window=2)(x, x)),
    "GroupQueryAttention": (SERIES, lambda k, x: k.layers.GroupQueryAttention(3, 4, 2, use_gate=True)(x, x)),
    "Attention": (SERIES, lambda k, x: k.layers.Attention(use_scale=True, score_mode="concat")([x, x])),
    "AdditiveAttention": (SERIES, lambda k, x: k.layers.AdditiveAttention()([x, x])),
    "Rescaling": (IMAGE, of("Rescaling", 1 / 255, offset=-0.5)),
    "Normalization given": ((4,), normalized),
    "Normalization adapted": ((4,), adapted),
    "Resizing": (IMAGE, of("Resizing", 3, 4)),
    "RandomFlip": (IMAGE, of("RandomFlip", "horizontal", seed=3)),
    "RandomRotation": (IMAGE, of("RandomRotation", 0.2)),
    "RandomZoom": (IMAGE, of("RandomZoom", 0.2)),
}  # fmt: skip


def functional(k, name):
    shape, call = SAMPLES[name]
    x = k.Input(shape)
    return k.Model(x, call(k, x))


def randomized(model, seed=0):
    """The model with weights that no initializer makes; variances stay positive."""
    rng = np.random.default_rng(seed)
    for v in model.weights:
        values = np.abs(rng.normal(0.5, 0.3, v.shape)) + 0.05
        if str(v.dtype).startswith("float") or str(v.dtype) == "bfloat16":
            v.assign(np.asarray(values, "float32"))
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return model


def inputs_for(model, seed=0):
    rng = np.random.default_rng(seed)
    made = [rng.normal(size=(3, *t.shape[1:])).astype("float32") for t in model.inputs]
    return made if len(made) > 1 else made[0]


def flat(outputs):
    """The outputs as a list of float32 arrays."""
    if isinstance(outputs, dict):
        outputs = [outputs[k] for k in sorted(outputs)]
    return [np.asarray(o, "float32") for o in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


def check_equal(model, other, x, tolerance=1e-5):
    mine, others = flat(model.predict(x, verbose=0)), flat(other.predict(x, verbose=0))
    assert len(mine) == len(others)
    for a, b in zip(mine, others):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def stored(path):
    """Names and shapes of the tensors in a `.keras` file."""
    with zipfile.ZipFile(path) as z:
        tensors = TensorFile(io.BytesIO(z.read("model.weights.h5")), str(path))
    return {name: (t.shape, t.dtype) for name, t in tensors.tensors.items()}


def both_ways(make, tmp_path, tolerance=1e-5):
    """Save with each library, load with the other; `make(library)` gives a built model."""
    theirs = randomized(make(keras))
    x = inputs_for(theirs)
    theirs.save(tmp_path / "theirs.keras")
    check_equal(mlkit.saving.load_model(tmp_path / "theirs.keras"), theirs, x, tolerance)
    ours = randomized(make(mlkit), seed=1)
    ours.save(tmp_path / "ours.keras")
    check_equal(keras.saving.load_model(tmp_path / "ours.keras"), ours, x, tolerance)
    check_equal(mlkit.saving.load_model(tmp_path / "ours.keras"), ours, x, tolerance)
    assert stored(tmp_path / "ours.keras") == stored(tmp_path / "theirs.keras")


@pytest.mark.parametrize("name", SAMPLES)
def test_layers(name, tmp_path):
    both_ways(lambda k: functional(k, name), tmp_path, 2e-2 if "float16" in name else 1e-5)
    ours, theirs = (json.loads(zipfile.ZipFile(tmp_path / f).read("config.json")) for f in ("ours.keras", "theirs.keras"))
    assert list(differences(ours, theirs)) == []


VARYING = ("name", "shared_object_id", "keras_history", "input_layers", "output_layers", "build_input_shape")
# of no effect: shapes of layers without weights, and arguments that a call had by default
VARYING += ("build_config", "mask", "training")
# Keras forgets the seed of a SimpleRNN, and writes down the axes that attention has by default once it is built
VARYING += ("seed", "attention_axes")


def differences(ours, theirs, place=""):
    """Where two configs differ, apart from what is not the same in every session; floats count to six digits."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(set(ours) | set(theirs)):
            if key not in VARYING:
                yield from differences(ours.get(key, "nothing"), theirs.get(key, "nothing"), f"{place}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for i, (a, b) in enumerate(zip(ours, theirs)):
            yield from differences(a, b, f"{place}[{i}]")
    elif isinstance(ours, float) and isinstance(theirs, float):
        if f"{ours:.6g}" != f"{theirs:.6g}":
            yield place, ours, theirs
    elif ours != theirs:
        yield place, ours, theirs


# ---- models --------------------------------------------------------------------------------------------------------------


def branched(k):
    """Branches whose layers a depth-first walk and the distance from the outputs order differently."""
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    left = k.layers.Dense(4, name="left")(a)
    right = k.layers.Dense(4, name="right2")(k.layers.Dense(4, name="right1")(b))
    both = k.layers.Add(name="both")([left, right])
    return k.Model([b, a], [k.layers.Dense(4, name="head1")(both), k.layers.Dense(4, name="head2")(right)])


def shared_layers(k):
    x, y = k.Input((4,)), k.Input((4,))
    dense = k.layers.Dense(4)
    return k.Model([x, y], dense(k.layers.Dense(4)(dense(x))) + dense(y))


def nested(k):
    inner_in = k.Input((4,))
    inner = k.Model(inner_in, k.layers.Dense(4)(k.layers.Dense(5)(inner_in)), name="inner")
    tail = k.Sequential([k.layers.Dense(3, activation="relu"), k.layers.Dense(4)], name="tail")
    x = k.Input((4,))
    return k.Model(x, k.layers.Concatenate()([inner(x), tail(inner(x))]))


def called_elsewhere(k):
    """A layer that was also called outside of the model, so that its calls are counted anew."""
    dense = k.layers.Dense(4)
    dense(k.Input((4,)))
    x = k.Input((4,))
    return k.Model(x, dense(dense(x)))


def with_dicts(k):
    x = {"a": k.Input((4,), name="a"), "b": k.Input((4,), name="b")}
    return k.Model(x, {"sum": k.layers.Add()([x["a"], x["b"]]), "dense": k.layers.Dense(2)(x["a"])})


def with_functions(k):
    """Functions of ops between layers: operators, indexing, options, several tensors, constants."""
    x = k.Input((7, 4))
    y = k.layers.Dense(4)(x) * 2.0 - 1.0
    y = k.ops.concatenate([y, x[:, ::-1, 1:3], 1.0 / (1.0 + k.ops.square(y))], axis=-1)
    y = k.ops.where(y > 0.1, y, k.ops.exp(-k.ops.abs(y)))
    y = k.ops.transpose(k.ops.reshape(y, (-1, 5, 14)), (0, 2, 1))
    y = k.ops.clip(k.ops.matmul(y, k.ops.swapaxes(y, 1, 2)), -3.0, 3.0)
    return k.Model(x, k.ops.mean(k.ops.softmax(y, axis=1), axis=(1,), keepdims=True) + k.ops.max(y, axis=2)[:, None, 0:14])


def sequential(k):
    return k.Sequential([k.Input((4,)), k.layers.Dense(5, activation="relu"), k.layers.Dropout(0.5), k.layers.Dense(2)])


def sequential_built_late(k):
    model = k.Sequential([k.layers.Dense(5), k.layers.Dense(2)])
    model.build((None, 4))
    return model


def mixed_policies(k):
    x = k.Input((4,))
    y = k.layers.Dense(4, dtype="mixed_bfloat16")(x)
    return k.Model(x, k.layers.Dense(3, dtype="float32")(k.layers.BatchNormalization(dtype="mixed_float16")(y)))


MODELS = (
    branched, shared_layers, nested, called_elsewhere, with_functions, sequential, sequential_built_late, mixed_policies,
)  # fmt: skip


@pytest.mark.parametrize("make", MODELS, ids=lambda f: f.__name__)
def test_models(make, tmp_path):
    both_ways(make, tmp_path, 3e-2 if make is mixed_policies else 1e-5)


def test_model_of_dicts(tmp_path):
    theirs = randomized(with_dicts(keras))
    x = {"a": np.ones((2, 4), "float32"), "b": np.full((2, 4), 2, "float32")}
    theirs.save(tmp_path / "theirs.keras")
    ours = mlkit.saving.load_model(tmp_path / "theirs.keras")
    check_equal(ours, theirs, x)
    ours.save(tmp_path / "ours.keras")
    check_equal(keras.saving.load_model(tmp_path / "ours.keras"), theirs, x)


def classes(k):
    """A layer and a model of a user's own, written for either library."""

    class Residual(k.layers.Layer):
        def __init__(self, units, activation="relu", **kwargs):
            super().__init__(**kwargs)
            self.units, self.activation = units, k.activations.get(activation)
            self.denses = [k.layers.Dense(units), [k.layers.Dense(units, use_bias=False)]]
            self.by_name = {"last": k.layers.Dense(units)}

        def build(self, input_shape):
            for layer in (self.denses[0], self.denses[1][0], self.by_name["last"]):
                layer.build(input_shape)
            self.scale = self.add_weight(shape=(self.units,), name="scale")

        def call(self, x):
            return x + self.scale * self.by_name["last"](self.denses[1][0](self.activation(self.denses[0](x))))

        def get_config(self):
            return {**super().get_config(), "units": self.units, "activation": k.activations.serialize(self.activation)}

    class Classifier(k.Model):
        def __init__(self, units=4, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.zeta = k.layers.Dense(units)
            self.blocks = [Residual(units), Residual(units, activation="tanh")]
            self.alpha = k.layers.Dense(2)

        def call(self, x):
            for layer in (self.zeta, *self.blocks, self.alpha):
                x = layer(x)
            return x

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return {"Residual": Residual, "Classifier": Classifier}


def test_classes_of_the_user(tmp_path):
    own, other = classes(mlkit), classes(keras)
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    theirs = other["Classifier"]()
    theirs(x)
    randomized(theirs).save(tmp_path / "theirs.keras")
    ours = mlkit.saving.load_model(tmp_path / "theirs.keras", custom_objects=own)
    check_equal(ours, theirs, x)
    ours.save(tmp_path / "ours.keras")
    check_equal(keras.saving.load_model(tmp_path / "ours.keras", custom_objects=other), theirs, x)
    assert stored(tmp_path / "ours.keras") == stored(tmp_path / "theirs.keras")


def shifted(x):
    return x + 1.0


def test_lambdas_go_by_name(tmp_path):
    for library, other in ((keras, mlkit), (mlkit, keras)):
        model = library.Sequential([library.Input((4,)), library.layers.Lambda(shifted), library.layers.Dense(2)])
        model.save(tmp_path / "m.keras")
        again = other.saving.load_model(tmp_path / "m.keras", custom_objects={"shifted": shifted})
        check_equal(again, model, inputs_for(model))
        with pytest.raises((ValueError, TypeError), match="shifted"):
            other.saving.load_model(tmp_path / "m.keras")


# ---- training goes on ----------------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "SGD": lambda k: k.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "RMSprop": lambda k: k.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "Adam": lambda k: k.optimizers.Adam(0.02, amsgrad=True, clipnorm=1.0),
    "AdamW": lambda k: k.optimizers.AdamW(k.optimizers.schedules.ExponentialDecay(0.02, 3, 0.5), weight_decay=0.01),
}


def compiled(k, optimizer):
    model = sequential_for_training(k)
    model.compile(OPTIMIZERS[optimizer](k), loss="mse", metrics=["mae", k.metrics.MeanSquaredError(name="squares")])
    return model


def sequential_for_training(k):
    return k.Sequential([k.Input((4,)), k.layers.Dense(6, activation="tanh"), k.layers.BatchNormalization(), k.layers.Dense(1)])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_goes_on_as_if_nothing_had_happened(optimizer, tmp_path):
    """Train, save, load in the other library: the next losses are those of the model that was not saved."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 4)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")
    path = tmp_path / "m.keras"

    def losses(model, steps=5):
        found = []
        for _ in range(steps):
            model.reset_metrics()
            found.append(float(model.train_on_batch(x, y, return_dict=True)["loss"]))
        return found

    for first, second in ((keras, mlkit), (mlkit, keras), (mlkit, mlkit)):
        model = randomized(compiled(first, optimizer))
        losses(model)
        model.save(path)
        again = second.saving.load_model(path)
        for a, b in zip(model.optimizer.variables, again.optimizer.variables):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-6)
        np.testing.assert_allclose(losses(again), losses(model), rtol=1e-4)


def test_an_optimizer_saved_before_its_first_step(tmp_path):
    model = compiled(keras, "Adam")
    model.save(tmp_path / "m.keras")
    again = mlkit.saving.load_model(tmp_path / "m.keras")
    assert again.compiled
    assert int(again.optimizer.iterations) == 0
    assert not mlkit.saving.load_model(tmp_path / "m.keras", compile=False).compiled


# ---- files of weights ----------------------------------------------------------------------------------------------------


def test_weights_files_go_both_ways(tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 7, 4)).astype("float32")
    for library, other in ((keras, mlkit), (mlkit, keras), (mlkit, mlkit)):
        model, again = randomized(with_functions(library)), with_functions(other)
        model.save_weights(tmp_path / "m.weights.h5")
        again.load_weights(tmp_path / "m.weights.h5")
        check_equal(again, model, x)


@pytest.mark.parametrize("by_name", [False, True])
def test_older_h5_files(by_name, tmp_path):
    def make(k):
        x = k.Input((6, 8, 3))
        y = k.layers.BatchNormalization(name="norm")(k.layers.Conv2D(4, 3, name="conv")(x))
        return k.Model(x, k.layers.Dense(2, name="dense")(k.layers.Flatten(name="flat")(y)))

    theirs, ours = randomized(make(keras)), make(mlkit)
    theirs.save(tmp_path / "m.h5")
    ours.load_weights(tmp_path / "m.h5", by_name=by_name)
    check_equal(ours, theirs, inputs_for(theirs))
