"""The `.keras` file: a zip archive of metadata.json, config.json and model.weights.h5, as in Keras 3."""

import contextlib
import datetime
import io
import json
import os
import tempfile
import warnings

from mlkit.models.saving.atomic import replacing
from mlkit.models.saving.config_check import check_config, parse_json
from mlkit.models.saving.folder import Folder, replacing_folder
from mlkit.models.saving.guard import memory_budget
from mlkit.models.saving.state_io import read_state, write_state
from mlkit.objects import registry, serialization
from mlkit.objects.errors import ModelFileError, reading, within

KERAS_VERSION = "3.15.1"  # the format written, and the newest read for certain
METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"

# ---- writing -------------------------------------------------------------------------------------------------------------


def save_model(model, filepath, overwrite=True, zipped=None, **kwargs):
    """Write a model to a `.keras` file or a binary file object; see `mlkit.saving.save_model`."""
    _check_arguments(filepath, zipped, kwargs)
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
        _write_archive(model, file)


def _check_arguments(filepath, zipped, kwargs):
    is_file = isinstance(filepath, io.IOBase)
    text = "" if is_file else os.fspath(filepath)
    if kwargs.pop("save_format", None) is not None and not text.endswith((".keras", ".h5", ".hdf5")):
        raise ValueError("The `save_format` argument is deprecated in Keras 3: the ending of the path says it. Use '.keras'.")
    if not kwargs.pop("include_optimizer", True):
        raise NotImplementedError(
            "save_model: `include_optimizer=False` is not supported. Use save_weights(), or compile anew after loading."
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
    if text.endswith((".h5", ".hdf5")):
        raise NotImplementedError("save_model: writing older '.h5' model files is not supported. Save to a '.keras' file.")
    if not is_file and not text.endswith(".keras"):
        raise ValueError(f"Invalid filepath extension for saving: expected '.keras', but got {text!r}.")


def _texts(model):
    """The contents of metadata.json and config.json."""
    with registry.object_sharing("write"):
        config = serialization.serialize_keras_object(model)
    metadata = {"keras_version": KERAS_VERSION, "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")}
    return {METADATA: json.dumps(metadata), CONFIG: json.dumps(config)}


def _write_folder(model, filepath, overwrite):
    texts = _texts(model)
    with replacing_folder(filepath, (METADATA, CONFIG, WEIGHTS), overwrite) as folder:
        for name, text in texts.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        with open(os.path.join(folder, WEIGHTS), "x+b") as file:
            write_weights(model, file)


def _write_archive(model, file):
    import zipfile

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


def write_weights(model, file, skip=()):
    """Write the weights of a model as HDF5 into a binary file object."""
    import h5py

    with h5py.File(file, "w") as h5:
        write_state(model, h5, skip)


# ---- reading -------------------------------------------------------------------------------------------------------------


def load_model(filepath, custom_objects=None, compile=True, safe_mode=True, allow_nonfinite=False):
    """The model of a `.keras` file, folder or binary file object; see `mlkit.saving.load_model`."""
    serialization.check_safe_mode(safe_mode)
    with _container(filepath) as (archive, path), reading(path), registry.CustomObjectScope(custom_objects):
        _check_version(parse_json(archive.read(METADATA), path, METADATA), path)
        config = parse_json(archive.read(CONFIG), path, CONFIG)
        check_config(config, path, CONFIG)
        tensors = open_weights(archive, path)
        model = _build(config, tensors, compile, path)
        with within(WEIGHTS), reading(path):
            read_state(model, tensors, allow_nonfinite=allow_nonfinite)
    return model


@contextlib.contextmanager
def _container(filepath):
    """(checked Archive or Folder, name for messages) of what `load_model` was given."""
    if not isinstance(filepath, io.IOBase):
        path = os.fspath(filepath)
        if os.path.isdir(path) and not path.endswith(".keras"):
            with contextlib.closing(_with_members(Folder(path), path)) as folder:
                yield folder, path
            return
        _check_path(path)
    with opened(filepath) as (file, path):
        yield open_archive(file, path), path


def _check_path(path):
    if path.endswith((".h5", ".hdf5")):
        raise ModelFileError(
            path,
            "",
            "whole models in the older '.h5' format are not read.",
            "Build the model and use model.load_weights(), or save it as '.keras' with Keras 3.",
        )
    if path.startswith("hf://"):
        raise ModelFileError(path, "", "files on the Hugging Face Hub are not fetched.", "Download the '.keras' file first.")
    if not path.endswith(".keras"):
        raise ModelFileError(path, "", "File format not supported: expected a '.keras' file.")


@contextlib.contextmanager
def opened(filepath):
    """(binary file, name for messages) of a path or of a file object, which stays open."""
    if isinstance(filepath, io.IOBase):
        yield filepath, str(getattr(filepath, "name", "<file object>"))
        return
    path = os.fspath(filepath)
    try:
        file = open(path, "rb")
    except FileNotFoundError as error:
        raise ModelFileError(path, "", "File not found.") from error
    except OSError as error:
        raise ModelFileError(path, "", f"it cannot be read: {error.strerror}.") from error
    with file:
        yield file, path


def open_archive(file, path):
    """The checked Archive of a `.keras` file."""
    from mlkit.models.saving.zip_reader import Archive

    with reading(path):
        archive = Archive(file, path)
    return _with_members(archive, path)


def _with_members(archive, path):
    """The Archive or Folder, if it has the members of a `.keras` file and no others."""
    for name in archive.members:
        if name.startswith("assets/"):
            raise ModelFileError(path, name, "layers with assets are not supported.")
        if name not in (METADATA, CONFIG, WEIGHTS):
            raise ModelFileError(
                path, name, "a .keras file has no such member.", "If the file was repacked, pack only its three members."
            )
    for name in (METADATA, CONFIG, WEIGHTS):
        if name not in archive:
            raise ModelFileError(path, name, "this member is missing, so it is no complete .keras file.")
    return archive


def open_weights(archive, path):
    """The checked TensorFile within an archive."""
    from mlkit.models.saving.hdf5_reader import TensorFile

    with within(WEIGHTS), reading(path):
        return TensorFile(archive.open(WEIGHTS), path)


def _check_version(metadata, path):
    version = metadata.get("keras_version")
    major = version.split(".")[0] if isinstance(version, str) else None
    if major not in ("2", "3"):
        raise ModelFileError(path, METADATA, f"it was written in the format of Keras {version!r}; versions 2.13 to 3 are read.")


def _build(config, tensors, compile, path):
    """The model of a config, with all its variables but not their values."""
    from mlkit.models import Model

    compile_config = config.pop("compile_config", None)
    optimizer_bytes = sum(t.nbytes for t in tensors.tensors.values() if t.name.startswith("optimizer/"))
    model_bytes = sum(t.nbytes for t in tensors.tensors.values()) - optimizer_bytes
    with reading(path, CONFIG), registry.object_sharing("read"):
        with memory_budget(model_bytes + 4 * model_bytes * _has_compile_config(config)):
            model = serialization.deserialize_keras_object(config)
        if not isinstance(model, Model):
            raise ModelFileError(path, CONFIG, f"it describes a {type(model).__name__}, not a model.")
        if compile and compile_config:
            # an optimizer that has made no step yet is stored without its moments, which take up to 4 times the weights
            with memory_budget(max(optimizer_bytes, 4 * model_bytes)), serialization.at("compile_config"):
                model.compile_from_config(compile_config)
    return model


def _has_compile_config(config):
    """Whether a model within the model was compiled too, and so has an optimizer."""
    return '"compile_config": {"' in json.dumps(config)
