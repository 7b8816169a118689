"""The `.keras` file: a zip archive of metadata.json, config.json, model.weights.h5 and, it may be, assets of layers, as in Keras 3."""

import contextlib
import datetime
import io
import json
import os
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Collection, Iterator, Mapping
from typing import IO, Any

from mlkit.core.deferred import Deferred
from mlkit.core.messages import explained
from mlkit.core.typing import FilePath
from mlkit.models.saving.assets import ASSETS, written_assets
from mlkit.models.saving.folder import replacing_folder
from mlkit.models.saving.hdf5_reader import TensorFile
from mlkit.models.saving.legacy_h5 import write_legacy_model
from mlkit.models.saving.replacing import replacing
from mlkit.models.saving.state_io import write_state
from mlkit.models.saving.zip_reader import Archive
from mlkit.objects import registry, serialization
from mlkit.objects.errors import ModelFileError, reading, within

h5py = Deferred("h5py")  # files are read without it

KERAS_VERSION = "3.15.1"  # the format written, and the newest read for certain
LEGACY = (".h5", ".hdf5")  # endings of the older format
METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
IMAGE_TASK = "mlkit_image_task"  # within the metadata, of which Keras reads what it knows

# ---- writing -------------------------------------------------------------------------------------------------------------


def save_model(model: Any, filepath: FilePath, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
    """Write a whole model, with the optimizer's state, to a `.keras` file that Keras 3 reads too.

    Args:
        model: the model.
        filepath: path ending in ".keras" (or ".h5", the older format), or a binary file object.
        overwrite: False refuses to replace a file.
        zipped: False for a folder of the file's three members instead; its path must not end in ".keras".
        include_optimizer: ".h5" only: False leaves out what `compile` was given, and the optimizer's state.

    The file comes into being complete or not at all: it is written next to its place and then renamed.
    Raises ValueError for another ending, and for arguments that Keras 3 has given up.
    """
    is_legacy = not isinstance(filepath, io.IOBase) and os.fspath(filepath).endswith(LEGACY)
    include_optimizer = kwargs.pop("include_optimizer", True)
    _check_arguments(filepath, zipped, is_legacy or include_optimizer, kwargs)
    if not model.built:
        warnings.warn(
            f"Model {model.name!r} is saved before it is built, so without weights. Call it on data or build() it first.",
            stacklevel=3,
        )
    if isinstance(filepath, io.IOBase):
        _write_archive(model, filepath)
        return
    if zipped is False:
        _write_folder(model, filepath, overwrite)
        return
    with replacing(filepath, overwrite) as file:
        if is_legacy:
            write_legacy_model(model, file, include_optimizer, KERAS_VERSION)
        else:
            _write_archive(model, file)


def _check_arguments(filepath: FilePath, zipped: bool | None, include_optimizer, kwargs: Mapping[str, Any]) -> None:
    is_file = isinstance(filepath, io.IOBase)
    text = "" if is_file else os.fspath(filepath)
    if kwargs.pop("save_format", None) is not None and not text.endswith((".keras", ".h5", ".hdf5")):
        raise ValueError("The `save_format` argument is deprecated in Keras 3: the ending of the path says it. Use '.keras'.")
    if not include_optimizer:
        raise NotImplementedError(
            "save_model: `include_optimizer=False` is for '.h5' files. Use save_weights(), or load with compile=False."
        )
    if kwargs:
        raise ValueError(f"The following argument(s) are not supported: {sorted(kwargs)}.")
    if text.startswith("hf://"):
        raise NotImplementedError(
            "save_model: uploading to the Hugging Face Hub is not supported. Save to a file and upload that."
        )
    if zipped is False:
        if text.endswith(".keras"):
            raise ValueError(f"With `zipped=False`, the path is a folder and should not end in '.keras': {text!r}.")
        if is_file:
            raise ValueError("With `zipped=False`, the path must name a folder, but is a file object.")
        return
    if not is_file and not text.endswith((".keras", *LEGACY)):
        raise explained(
            ValueError(f"Invalid filepath extension for saving: expected '.keras', but got {text!r}."),
            "invalid-filepath-extension-for-saving-expected-keras",
        )


def _texts(model: Any) -> dict[str, str]:
    """The contents of metadata.json and config.json."""
    with registry.object_sharing("write"):
        config = serialization.serialize_keras_object(model)
    metadata = {"keras_version": KERAS_VERSION, "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")}
    task = getattr(model, "image_task", None)  # a FeatureSpace has none
    if task is not None:
        metadata[IMAGE_TASK] = task.get_config()
    return {METADATA: json.dumps(metadata), CONFIG: json.dumps(config)}


def _write_folder(model: Any, filepath: FilePath, overwrite: bool) -> None:
    texts = _texts(model)
    with replacing_folder(filepath, (METADATA, CONFIG, WEIGHTS), overwrite) as folder:
        for name, text in texts.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        with open(os.path.join(folder, WEIGHTS), "x+b") as file:
            write_weights(model, file)
        for name, path in written_assets(model):
            os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
            shutil.copyfile(path, os.path.join(folder, name))


def _write_archive(model: Any, file: IO[bytes]) -> None:
    texts = _texts(model)
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
        name = getattr(file, "name", None)
        with tempfile.TemporaryFile(dir=os.path.dirname(name) if isinstance(name, str) else None) as weights:
            write_weights(model, weights)
            size = weights.seek(0, os.SEEK_END)
            weights.seek(0)
            with archive.open(WEIGHTS, "w", force_zip64=size >= 2**31) as member:
                while piece := weights.read(2**20):
                    member.write(piece)
        for asset, path in written_assets(model):
            archive.write(path, asset)


def write_weights(model: Any, file: IO[bytes], skip: Collection[Any] = ()) -> None:
    """Write the weights of a model as HDF5 into a binary file object."""
    with h5py.File(file, "w") as h5:
        write_state(model, h5, skip)


# ---- reading -------------------------------------------------------------------------------------------------------------


def check_path(path: str) -> None:
    if path.startswith("hf://"):
        raise ModelFileError(path, "", "files on the Hugging Face Hub are not fetched.", "Download the '.keras' file first.")
    if not path.endswith(".keras"):
        raise ModelFileError(path, "", "File format not supported: expected a '.keras' file, or an older '.h5' one.")


@contextlib.contextmanager
def opened(filepath: FilePath) -> Iterator[IO[bytes]]:
    """(binary file, name for messages) of a path or of a file object, which stays open."""
    if isinstance(filepath, io.IOBase):
        yield filepath, str(getattr(filepath, "name", "<file object>"))
        return
    path = os.fspath(filepath)
    try:
        file = open(path, "rb")  # noqa: SIM115  (closed below; only opening is judged)
    except FileNotFoundError as error:
        raise explained(ModelFileError(path, "", "File not found."), "file-not-found") from error
    except OSError as error:
        raise ModelFileError(path, "", f"it cannot be read: {error.strerror}.") from error
    with file:
        yield file, path


def open_archive(file: IO[bytes], path: str) -> Archive:
    """The checked Archive of a `.keras` file."""
    with reading(path):
        archive = Archive(file, path)
    return with_members(archive, path)


def with_members(archive: Any, path: str) -> Any:
    """The Archive or Folder, if it has the members of a `.keras` file and no others."""
    for name in archive.members:
        if name not in (METADATA, CONFIG, WEIGHTS) and not name.startswith(ASSETS):
            raise ModelFileError(
                path, name, "a .keras file has no such member.", "If the file was repacked, pack only its own members."
            )
    for name in (METADATA, CONFIG, WEIGHTS):
        if name not in archive:
            raise ModelFileError(path, name, "this member is missing, so it is no complete .keras file.")
    return archive


def open_weights(archive: Any, path: str) -> TensorFile:
    """The checked TensorFile within an archive."""
    with within(WEIGHTS), reading(path):
        return TensorFile(archive.open(WEIGHTS), path)
