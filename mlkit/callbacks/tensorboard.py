"""TensorBoard: curves, histograms, graphs, pictures and profiles of a training run, for TensorBoard to show."""

import json
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlkit.callbacks.callback import Callback
from mlkit.callbacks.event_file import EventFile
from mlkit.callbacks.graph_def import graph_def
from mlkit.callbacks.projector import Projector
from mlkit.callbacks.protos import assert_installed
from mlkit.core.typing import FilePath

_MOST_IMAGES = 8  # of one weight


class TensorBoard(Callback):
    """Writes what TensorBoard shows: run ``tensorboard --logdir logs`` and open the page it names.

    Needs the package tensorboardX: ``pip install "mlkit-engine[tensorboard]"``. TensorFlow is not needed. Tags and steps are those
    of Keras: in the run "train" `epoch_loss` and so on by epoch, with `epoch_learning_rate`; in the run "validation" the same of
    the validation data, and `evaluation_loss_vs_iterations` by the optimizer's steps.

    Args:
        log_dir: Folder to write to, one for each training run.
        histogram_freq: Epochs between histograms of all weights; 0 for none.
        write_graph: Whether to write the layers of a Functional or Sequential model ("keras") and the ops of the compiled training
            step, gradient and optimizer included.
        write_images: Whether to draw the weights, as often as there are histograms, or after each epoch: each from its least
            value, black, to its largest. Kernels of convolutions are drawn if their inputs are images.
        write_steps_per_second: Whether to write how many steps are done in a second.
        update_freq: "epoch", or every how many batches `batch_loss` and so on are written too; "batch" is 1.
        profile_batch: Number of a batch, counted from 1 through all epochs, or a pair (first, last): there `mlkit.profile` times the
            training step, as many times as there are batches. Its tables by layer and by kernel stand under "Text", tag
            "profile". 0 for none.
        embeddings_freq: Epochs between writings of the tables of Embedding layers, for the projector, which shows the last ones;
            0 for none.
        embeddings_metadata: Name of a file of labels for the rows, in `log_dir`, or a dict from layer name to such a name.

    >>> import mlkit, numpy as np, os, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> model = mlkit.Sequential([mlkit.Input((2,)), mlkit.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((8, 2)), np.zeros(8)
    >>> _ = model.fit(x, y, verbose=0, validation_data=(x, y), callbacks=[mlkit.callbacks.TensorBoard(folder)], check=False)
    >>> sorted(os.listdir(folder))
    ['train', 'validation']
    """

    kept = ("_train_batch", "_wrote_graph")

    only_on_rank_0 = True

    def __init__(
        self,
        log_dir: FilePath = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | str = "epoch",
        profile_batch: int | str | Sequence[int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: str | Mapping[str, str] | None = None,
    ):
        super().__init__()
        assert_installed("TensorBoard")
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = _number_of_epochs("histogram_freq", histogram_freq)
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        if self.update_freq != "epoch" and not _is_count(self.update_freq, least=1):
            raise ValueError(
                f"TensorBoard: `update_freq` must be 'batch', 'epoch' or a positive integer, but is {update_freq!r}."
            )
        self.profile_batch = profile_batch
        self._first_profiled, self._last_profiled = _batches_to_profile(profile_batch)
        self.embeddings_freq = _number_of_epochs("embeddings_freq", embeddings_freq)
        self.embeddings_metadata = embeddings_metadata
        if embeddings_metadata and not self.embeddings_freq:
            warnings.warn("TensorBoard: without `embeddings_freq` nothing is written that `embeddings_metadata` belongs to.")
        self._train, self._validation = (EventFile(os.path.join(self.log_dir, run)) for run in ("train", "validation"))
        self._projector = Projector(self.log_dir, embeddings_metadata)
        self._train_batch = 0  # batches begun since training began
        self._wrote_graph = False

    # ---- turns -----------------------------------------------------------------------------------------------------

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._train_batch, self._wrote_graph = 0, False
        if self.embeddings_freq and self.model.built:
            self._projector.tables(self.model)  # what does not fit is said before the first epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch_begun = time.perf_counter(), _iterations(self.model)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._train_batch += 1
        self._batch_begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        seconds = time.perf_counter() - self._batch_begun
        if self.write_graph and not self._wrote_graph:
            self._write_graphs()
        if self.update_freq != "epoch" and self._train_batch % self.update_freq == 0:
            values = dict(logs or {})
            if self.write_steps_per_second:
                values["steps_per_second"] = 1 / seconds
            self._write(self._train, "batch_{}", values, self._train_batch)
        if self._train_batch == self._first_profiled:
            self._write_profile()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        values = {name: value for name, value in logs.items() if not name.startswith("val_")} | _learning_rates(self.model)
        if self.write_steps_per_second:
            begun, iterations = self._epoch_begun
            values["steps_per_second"] = (_iterations(self.model) - iterations) / (time.perf_counter() - begun)
        self._write(self._train, "epoch_{}", values, epoch)
        self._write(self._validation, "epoch_{}", {n[4:]: v for n, v in logs.items() if n.startswith("val_")}, epoch)
        if (self.histogram_freq or self.write_images) and epoch % (self.histogram_freq or 1) == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._projector.write(self.model)
        self._train.flush()
        self._validation.flush()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.model.optimizer is not None:
            self._write(self._validation, "evaluation_{}_vs_iterations", logs or {}, _iterations(self.model))
        self._validation.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._train_batch < self._first_profiled:
            warnings.warn(
                f"TensorBoard: nothing was profiled, for training ended with batch {self._train_batch}, before that of "
                f"profile_batch={self.profile_batch!r}."
            )
        self._train.close()
        self._validation.close()

    # ---- what is written -------------------------------------------------------------------------------------------

    @staticmethod
    def _write(file, tag, values, step):
        """Numbers under tags made of their names."""
        for name, value in values.items():
            if np.ndim(value) == 0:
                file.scalar(tag.format(name), value, step)

    def _write_graphs(self):
        self._wrote_graph = True
        config = _layers_config(self.model)
        if config is not None:
            self._train.keras_model("keras", config, step=0)
        programs = getattr(self.model.make_train_function(), "programs", {})  # a model that runs eagerly has none
        for program in [program for found in programs.values() for program in found][-1:]:
            self._train.graph(graph_def(program))
        self._train.flush()

    def _write_profile(self):
        try:
            report = self.model._profile_last_batch(runs=self._last_profiled - self._first_profiled + 1)
        except NotImplementedError as error:  # of backends that cannot; training goes on
            warnings.warn(f"TensorBoard: nothing was profiled. {error}")
            return
        self._train.text("profile", report.markdown(), step=self._train_batch)
        self._train.flush()

    def _write_weights(self, epoch):
        for layer in self.model.layers:
            for weight in layer.weights:
                path, values = weight.path.replace(":", "_"), np.asarray(weight.numpy(), "float32")
                if self.histogram_freq and np.isfinite(values).any():
                    self._train.histogram(f"{path}/histogram", values, epoch)
                images = _as_images(values) if self.write_images else None
                if images is not None:
                    self._train.images(f"{path}/image", images, epoch)


def _as_images(values: np.ndarray) -> np.ndarray | None:
    """A weight as images of bytes, (number, height, width, channels), the first few of many; None if it looks like none."""
    values = np.squeeze(values)
    if values.ndim == 1:
        values = values[None, None, :, None]
    elif values.ndim == 2:
        values = (values.T if values.shape[0] > values.shape[1] else values)[None, ..., None]
    elif values.ndim == 3:
        values = np.moveaxis(values, -1, 0)[..., None]  # an image for each filter over one channel
    elif values.ndim == 4 and values.shape[2] in (3, 4):
        values = np.moveaxis(values, -1, 0)  # ... over colors
    if values.ndim != 4 or not values.size or not np.isfinite(values).all():
        return None
    least, span = values.min(), np.ptp(values)
    return np.uint8((values[:_MOST_IMAGES] - least) * (255 / (span or 1)) + 0.5)


def _learning_rates(model: Any) -> dict[str, float]:
    """The learning rate as it is now, by name; of several optimizers each one's."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if hasattr(optimizer, "optimizers"):
        return {f"learning_rate_{one.name}": float(one.learning_rate) for one in optimizer.optimizers}
    return {"learning_rate": float(optimizer.learning_rate)} if hasattr(optimizer, "learning_rate") else {}


def _iterations(model: Any) -> int:
    return int(getattr(model.optimizer, "iterations", 0))


def _layers_config(model: Any) -> dict[str, Any] | None:
    """The config of a model that is made of layers; None of others, and of one that holds what has no config."""
    try:
        config = json.loads(model.to_json())
    except (NotImplementedError, TypeError, ValueError):
        return None
    return config if "layers" in config["config"] else None


def _batches_to_profile(given: Any) -> tuple[int, int]:
    """(first, last), both 0 for none; Keras's older form "first,last" too."""
    try:
        pair = [int(part) for part in given.split(",")] if isinstance(given, str) else given
    except ValueError:
        pair = None
    pair = [pair, pair] if _is_count(pair) else pair[:1] * 2 if isinstance(pair, list) and len(pair) == 1 else pair
    if not isinstance(pair, Sequence) or len(pair) != 2 or not all(map(_is_count, pair)) or pair[0] > pair[1]:
        raise ValueError(
            f"TensorBoard: `profile_batch` must be the number of a batch, 0 for none, or a pair (first, last), but is {given!r}."
        )
    return tuple(pair)


def _number_of_epochs(name: str, value: Any) -> int:
    if not _is_count(value):
        raise ValueError(f"TensorBoard: `{name}` must be a number of epochs, 0 for never, but is {value!r}.")
    return value


def _is_count(value: Any, least: int = 0) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= least
