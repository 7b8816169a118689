"""What the TensorBoard callback writes, as TensorBoard itself reads it. Tags and steps are what Keras 3.15 wrote for the same model."""

import json
import os

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.plugins.graph.keras_util import keras_model_to_graph_def
from tensorboard.util import tensor_util

import mlkit as keras
from mlkit.callbacks import BackupAndRestore, TensorBoard, protos
from mlkit.callbacks.event_file import EventFile

LAYERS = keras.layers
RNG = np.random.default_rng(0)
IDS, PICTURES, Y = RNG.integers(0, 20, (64, 5)), RNG.random((64, 8, 8, 3)).astype("float32"), RNG.integers(0, 3, 64)


def make_model(optimizer="adam"):
    ids, pictures = keras.Input((5,), name="ids"), keras.Input((8, 8, 3), name="pictures")
    inner = keras.Sequential([keras.Input((20,)), LAYERS.Dense(8, name="dense"), LAYERS.BatchNormalization()], name="inner")
    x = inner(LAYERS.Flatten()(LAYERS.Embedding(20, 4, name="words")(ids)))
    y = LAYERS.Flatten()(LAYERS.Conv2D(10, 3, name="conv")(pictures))
    model = keras.Model([ids, pictures], LAYERS.Dense(3, activation="softmax", name="out")(LAYERS.Concatenate()([x, y])))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def run(model, *callbacks, epochs=3, **options):
    options = {"validation_split": 0.25, "verbose": 0, **options}
    return model.fit([IDS, PICTURES], Y, epochs=epochs, batch_size=8, callbacks=list(callbacks), check=False, **options)


class Read:
    """Both runs of a folder: (run, tag) -> [(step, value)], and the plugin each tag belongs to."""

    def __init__(self, folder):
        self.runs = {name: EventAccumulator(os.path.join(folder, name), {"tensors": 0}) for name in sorted(os.listdir(folder))}
        self.plugins, self.values = {}, {}
        for name, events in self.runs.items():
            events.Reload()
            for tag in events.Tags()["tensors"]:
                self.plugins[name, tag] = events.SummaryMetadata(tag).plugin_data.plugin_name
                self.values[name, tag] = [(e.step, tensor_util.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)]

    def tags(self, plugin):
        return {key for key, name in self.plugins.items() if name == plugin}

    def steps(self, run, tag):
        return [step for step, _ in self.values[run, tag]]

    def numbers(self, run, tag):
        return [float(value) for _, value in self.values[run, tag]]


def test_curves(tmp_path):
    model = make_model()
    callback = TensorBoard(tmp_path, update_freq=4, write_steps_per_second=True)
    history = run(model, callback).history
    model.evaluate([IDS, PICTURES], Y, verbose=0, callbacks=[callback])
    read = Read(tmp_path)
    names = "loss", "accuracy"
    train = {f"{when}_{name}" for when in ("epoch", "batch") for name in (*names, "steps_per_second")} | {"epoch_learning_rate"}
    validation = {f"epoch_{name}" for name in names} | {f"evaluation_{name}_vs_iterations" for name in names}
    assert read.tags("scalars") == {("train", tag) for tag in train} | {("validation", tag) for tag in validation}
    for name in names:
        assert read.steps("train", f"epoch_{name}") == read.steps("validation", f"epoch_{name}") == [0, 1, 2]
        np.testing.assert_allclose(read.numbers("train", f"epoch_{name}"), history[name], rtol=1e-6)
        np.testing.assert_allclose(read.numbers("validation", f"epoch_{name}"), history[f"val_{name}"], rtol=1e-6)
        assert read.steps("validation", f"evaluation_{name}_vs_iterations") == [6, 12, 18, 18]
        assert read.steps("train", f"batch_{name}") == [4, 8, 12, 16]
    np.testing.assert_allclose(read.numbers("train", "epoch_learning_rate"), 1e-3)
    assert min(read.numbers("train", "epoch_steps_per_second") + read.numbers("train", "batch_steps_per_second")) > 0


def test_by_epoch_alone_and_twice(tmp_path):
    """A second fit at once writes to another file and leaves the first."""
    callback = TensorBoard(tmp_path, write_graph=False)
    model = make_model()
    run(model, callback, epochs=1)
    run(model, callback, epochs=2, initial_epoch=1)
    read = Read(tmp_path)
    assert {tag for _, tag in read.plugins if tag.startswith("batch")} == set()
    assert read.steps("train", "epoch_loss") == [0, 1]
    assert len(os.listdir(tmp_path / "train")) == 2


@pytest.mark.parametrize("frequency", ["batch", 1])
def test_every_batch(tmp_path, frequency):
    run(make_model(), TensorBoard(tmp_path, update_freq=frequency), epochs=1, validation_split=0.0)
    read = Read(tmp_path)
    assert list(read.runs) == ["train"]
    assert read.steps("train", "batch_loss") == list(range(1, 9))


def test_learning_rates_of_schedules_and_of_several_optimizers(tmp_path):
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([8], [0.5, 0.25])
    several = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            keras.optimizers.SGD(rates, name="fast"), {"words": keras.optimizers.SGD(0.1, name="slow")}
        )
    )
    run(make_model(keras.optimizers.SGD(rates)), TensorBoard(tmp_path / "a"), validation_split=0.0, epochs=2)
    run(make_model(several), TensorBoard(tmp_path / "b"), validation_split=0.0, epochs=1)
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.3))
    run(make_model(scaled), TensorBoard(tmp_path / "c"), validation_split=0.0, epochs=1)
    assert Read(tmp_path / "a").numbers("train", "epoch_learning_rate") == [0.5, 0.25]
    read = Read(tmp_path / "b")
    found = {tag for _, tag in read.tags("scalars") if "rate" in tag}
    assert found == {"epoch_learning_rate_slow", "epoch_learning_rate_fast"}
    np.testing.assert_allclose(read.numbers("train", "epoch_learning_rate_slow"), 0.1, rtol=1e-6)
    np.testing.assert_allclose(Read(tmp_path / "c").numbers("train", "epoch_learning_rate"), 0.3, rtol=1e-6)


def test_histograms_and_images_of_weights(tmp_path):
    model = make_model()
    run(model, TensorBoard(tmp_path, histogram_freq=2, write_images=True))
    read = Read(tmp_path)
    assert read.tags("histograms") == {("train", f"{w.path}/histogram") for w in model.weights}
    for w in model.weights:
        values = read.values["train", f"{w.path}/histogram"]
        assert [step for step, _ in values] == [0, 2]
        assert values[-1][1].shape == (30, 3)
        left, right, counts = values[-1][1].T
        assert counts.sum() == np.size(w.numpy())
        np.testing.assert_allclose(left[1:], right[:-1], rtol=1e-6)
    wanted = {
        "words/embeddings": (20, 4, 1),
        "conv/kernel": (3, 3, 8),
        "conv/bias": (10, 1, 1),
        "inner/dense/kernel": (20, 8, 1),
    }
    for path, (width, height, number) in wanted.items():
        _, last = read.values["train", f"{path}/image"][-1]
        assert [int(last[0]), int(last[1]), len(last) - 2] == [width, height, number]
    (tmp_path / "picture.png").write_bytes(read.values["train", "conv/kernel/image"][-1][1][2])
    kernel = model.get_layer("conv").kernel.numpy()
    scaled = (kernel - kernel.min()) / (kernel.max() - kernel.min()) * 255
    assert np.abs(np.asarray(Image.open(tmp_path / "picture.png"), "float32") - scaled[..., 0]).max() <= 0.51


def test_histograms_count_as_numpys_do(tmp_path):
    rng = np.random.default_rng(0)
    cases = {
        "many": rng.normal(size=(300, 200)).astype("float32"),
        "wide": np.float32([-3e38, 1.0, 3e38]),
        "equal": np.full((2, 3), 7.0, "float32"),
        "edges": np.arange(31.0),
        "tiny": np.float32([0, 1e-45]),
        "nothing": np.float32([np.nan]),
    }
    file = EventFile(tmp_path / "train")
    for tag, values in cases.items():
        file.histogram(tag, values, step=0)
    file.close()
    found = Read(tmp_path).values
    for tag, values in cases.items():
        counts, edges = np.histogram(values[np.isfinite(values)].astype("float64"), bins=30)
        rows = found["train", tag][0][1]
        assert rows[:, 2].tolist() == counts.tolist(), tag
        np.testing.assert_allclose(rows[:, :2], np.stack([edges[:-1], edges[1:]], axis=-1), rtol=1e-6, atol=1e-45)


def test_images_need_no_histograms(tmp_path):
    run(make_model(), TensorBoard(tmp_path, write_images=True))
    read = Read(tmp_path)
    assert read.tags("histograms") == set()
    assert read.steps("train", "out/kernel/image") == [0, 1, 2]


def test_weights_that_are_not_finite(tmp_path):
    model = make_model()
    model.get_layer("out").set_weights([np.full((368, 3), np.nan), [1.0, np.inf, 2.0]])
    callback = TensorBoard(tmp_path, histogram_freq=1, write_images=True)
    callback.set_model(model)
    callback.on_epoch_begin(0)
    callback.on_epoch_end(0, {"loss": np.nan})
    callback.on_train_end()
    read = Read(tmp_path)
    assert ("train", "out/kernel/histogram") not in read.plugins
    assert read.values["train", "out/bias/histogram"][0][1][:, 2].sum() == 2
    assert np.isnan(read.numbers("train", "epoch_loss"))


@pytest.mark.compiled("the graph is that of the compiled step")
def test_graphs(tmp_path):
    model = make_model()
    run(model, TensorBoard(tmp_path), epochs=1)
    read = Read(tmp_path)
    layers = keras_model_to_graph_def(json.loads(read.values["train", "keras"][0][1].item()))
    assert {node.name.split("/", 1)[1] for node in layers.node} >= {"words", "conv", "out", "inner/dense"}
    graph = GraphDef.FromString(read.runs["train"].Graph().SerializeToString())
    nodes = {node.name: node for node in graph.node}
    assert len(nodes) == len(graph.node)
    assert all(giver.split(":")[0] in nodes for node in graph.node for giver in node.input)
    assert {w.path for w in model.weights} <= {name for name, node in nodes.items() if node.op == "Variable"}
    assert {f"{w.path}/assign" for w in model.trainable_weights} <= set(nodes)
    product = nodes["out/matmul"]
    assert "out/kernel" in product.input
    assert [d.size for d in product.attr["_output_shapes"].list.shape[0].dim] == [8, 3]
    assert any(name.startswith("gradient/inner/dense/") for name in nodes)


class Own(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.dense = LAYERS.Dense(3, name="dense")

    def call(self, inputs):
        return self.dense(LAYERS.Flatten()(inputs[1]))


@pytest.mark.compiled("the graph is that of the compiled step")
@pytest.mark.parametrize("eagerly", [False, True])
def test_graphs_of_models_with_a_call_of_their_own(tmp_path, eagerly):
    model = Own()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=eagerly)
    run(model, TensorBoard(tmp_path), epochs=1)
    events = Read(tmp_path).runs["train"]
    assert "keras" not in events.Tags()["tensors"]
    assert events.Tags()["graph"] is not eagerly
    if not eagerly:
        graph = GraphDef.FromString(events.Graph().SerializeToString())
        assert "own/dense/matmul" in {node.name for node in graph.node}


@pytest.mark.native("other backends do not time their kernels")
@pytest.mark.compiled("kernels of a compiled step are timed")
@pytest.mark.parametrize("batches, step", [(3, 3), ((7, 9), 7), ("2,4", 2)])
def test_profile(tmp_path, batches, step):
    weights = []
    for callbacks in ((), (TensorBoard(tmp_path, profile_batch=batches),)):
        keras.utils.set_random_seed(0)
        model = make_model()
        run(model, *callbacks, epochs=2)
        weights.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*weights))
    [(found, text)] = Read(tmp_path).values["train", "profile"]
    assert found == step
    rows = [line.split(" | ")[0].strip("| ") for line in text.item().decode().splitlines() if line.startswith("|")]
    assert {"layer", "conv", "inner/dense", "optimizer", "kernel", "matmul"} <= set(rows)


def test_where_nothing_can_be_profiled(tmp_path, monkeypatch):
    model = make_model()

    def refuse(runs):
        raise NotImplementedError("This backend does not time its kernels.")

    monkeypatch.setattr(model, "_profile_last_batch", refuse)
    with pytest.warns(UserWarning, match=r"nothing was profiled. This backend"):
        assert run(model, TensorBoard(tmp_path, profile_batch=2), epochs=2).epoch == [0, 1]


@pytest.mark.parametrize("metadata", ["words.tsv", {"words": "words.tsv"}, None])
def test_embeddings(tmp_path, metadata):
    model = make_model()
    run(model, TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata=metadata), epochs=2)
    config = (tmp_path / "projector_config.pbtxt").read_text()
    table = np.loadtxt(tmp_path / "embeddings" / "words.tsv", delimiter="\t")
    np.testing.assert_allclose(table, model.get_layer("words").embeddings.numpy(), rtol=1e-5)
    wanted = ['tensor_name: "words"', 'tensor_path: "embeddings/words.tsv"', "tensor_shape: 20", "tensor_shape: 4"]
    assert all(line in config for line in wanted)
    assert ('metadata_path: "words.tsv"' in config) is (metadata is not None)


def test_embeddings_that_are_not_there(tmp_path):
    metadata = {"words": "a.tsv", "wards": "b.tsv"}
    with pytest.raises(ValueError, match=r"names \['wards'\], but the Embedding layers of the model are \['words'\]"):
        run(make_model(), TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata=metadata))
    assert len(metadata) == 2


class Late(keras.Model):
    """Makes its layers when it is built."""

    def build(self, shapes):
        self.words = LAYERS.Embedding(20, 4, name="words")
        self.out = LAYERS.Dense(3)

    def call(self, inputs):
        return self.out(LAYERS.Flatten()(self.words(inputs[0])))


def test_embeddings_of_a_model_that_is_built_late(tmp_path):
    model = Late()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    run(model, TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"words": "wörter.tsv"}), epochs=1)
    config = (tmp_path / "projector_config.pbtxt").read_text(encoding="utf-8")
    assert 'metadata_path: "wörter.tsv"' in config
    [file] = (tmp_path / "embeddings").iterdir()
    assert np.loadtxt(file).shape == (20, 4)


def test_a_batch_that_never_came(tmp_path):
    with pytest.warns(UserWarning, match="ended with batch 8, before that of profile_batch=9"):
        run(make_model(), TensorBoard(tmp_path, profile_batch=9), epochs=1, validation_split=0.0)


def test_goes_on_where_a_run_broke_off(tmp_path):
    class PowerCut(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 5:
                raise KeyboardInterrupt

    def train(*more):
        backup = BackupAndRestore(tmp_path / "backup", save_freq=2)
        run(make_model(), backup, TensorBoard(tmp_path / "logs", update_freq=1), *more, epochs=1, validation_split=0.0)

    with pytest.raises(KeyboardInterrupt):
        train(PowerCut())
    train()
    assert Read(tmp_path / "logs").steps("train", "batch_loss") == [1, 2, 3, 4, 5, 5, 6, 7, 8]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"update_freq": "often"}, "`update_freq`"),
        ({"update_freq": 0}, "`update_freq`"),
        ({"histogram_freq": -1}, "`histogram_freq`"),
        ({"histogram_freq": True}, "`histogram_freq`"),
        ({"embeddings_freq": 0.5}, "`embeddings_freq`"),
        ({"profile_batch": (5, 3)}, "`profile_batch`"),
        ({"profile_batch": -1}, "`profile_batch`"),
        ({"profile_batch": "some"}, "`profile_batch`"),
        ({"profile_batch": (1, 2, 3)}, "`profile_batch`"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        TensorBoard("logs", **options)


def test_labels_without_tables():
    with pytest.warns(UserWarning, match="`embeddings_freq`"):
        TensorBoard("logs", embeddings_metadata="words.tsv")


def test_without_tensorboardx(monkeypatch):
    monkeypatch.setattr(protos, "event_file_writer", None)
    with pytest.raises(ImportError, match=r'pip install "mlkit-engine\[tensorboard\]"'):
        TensorBoard("logs")
