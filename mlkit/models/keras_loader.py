"""Reading a model file, `.keras` or the older `.h5`: the model of its config, with the weights stored beside it."""

import contextlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from mlkit.core.typing import FilePath
from mlkit.models.feature_space import FeatureSpace
from mlkit.models.image_task import ImageTask
from mlkit.models.model import Model
from mlkit.models.saving.assets import read_assets
from mlkit.models.saving.config_check import check_config, check_depth, parse_json
from mlkit.models.saving.folder import Folder
from mlkit.models.saving.guard import memory_budget
from mlkit.models.saving.hdf5_reader import TensorFile
from mlkit.models.saving.keras2_config import modern_training, modernized
from mlkit.models.saving.keras_file import (
    CONFIG,
    IMAGE_TASK,
    LEGACY,
    METADATA,
    WEIGHTS,
    check_path,
    open_archive,
    open_weights,
    opened,
    with_members,
)
from mlkit.models.saving.legacy_h5 import legacy_texts, read_legacy, read_legacy_optimizer
from mlkit.models.saving.state_io import read_state
from mlkit.objects import registry, serialization
from mlkit.objects.errors import ModelFileError, reading, within


def load_model(
    filepath: FilePath,
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    allow_nonfinite: bool = False,
) -> Model:
    """The model of a `.keras` file (or of a folder, as `zipped=False` writes it), from mlkit or Keras 3, or of an older `.h5` file.

    Args:
        filepath: path, or a binary file object (of a `.keras` file).
        custom_objects: dict name -> class or function, for your own that are not registered.
        compile: whether to compile it as it was.
        allow_nonfinite: whether weights may be NaN or infinite.
        safe_mode: False is refused.

    A file cannot make it run code, import modules or take more memory than its weights need. `safe_mode=False` is refused.
    Raises ModelFileError for a file that is damaged, foreign, inconsistent or asks for something unknown.
    """
    serialization.check_safe_mode(safe_mode)
    if not isinstance(filepath, io.IOBase) and os.fspath(filepath).endswith(LEGACY):
        return _load_legacy(filepath, custom_objects, compile, allow_nonfinite)
    with _container(filepath) as (archive, path), reading(path), registry.CustomObjectScope(custom_objects):
        metadata = parse_json(archive.read(METADATA), path, METADATA)
        _check_version(metadata, path)
        task = _image_task(metadata, path)
        config = parse_json(archive.read(CONFIG), path, CONFIG)
        if not compile:
            config.pop("compile_config", None)  # it may name losses that are not known here
        check_config(config, path, CONFIG)
        tensors = open_weights(archive, path)
        model = _build(config, tensors, path)
        with within(WEIGHTS), reading(path):
            read_state(model, tensors, allow_nonfinite=allow_nonfinite)
        read_assets(model, archive)
        if task is not None:
            with reading(path, METADATA):
                model.image_task = task
    return model


def _image_task(metadata, path):
    if IMAGE_TASK not in metadata:
        return None
    check_depth(metadata[IMAGE_TASK], path, METADATA)
    with reading(path, METADATA):
        return ImageTask.from_config(metadata[IMAGE_TASK])


def _load_legacy(filepath, custom_objects, compile, allow_nonfinite):
    """The model of an `.h5` file: other spellings, the same checks."""
    with opened(filepath) as (file, path), reading(path), registry.CustomObjectScope(custom_objects):
        tensors = TensorFile(file, path)
        text, training = legacy_texts(tensors)
        config = modernized(_legacy_json(text, path, "model_config"))
        if compile and training:
            config["compile_config"] = modern_training(_legacy_json(training, path, "training_config"))
        check_config(config, path, "model_config")
        model = _build(config, tensors, path)
        read_legacy(model, tensors, allow_nonfinite=allow_nonfinite)
        if compile and training:
            read_legacy_optimizer(model, tensors, allow_nonfinite)
    return model


def _legacy_json(text, path, member):
    parsed = parse_json(text.encode(), path, member)
    check_depth(parsed, path, member)
    return parsed


@contextlib.contextmanager
def _container(filepath: FilePath) -> Iterator[Any]:
    """(checked Archive or Folder, name for messages) of what `load_model` was given."""
    if not isinstance(filepath, io.IOBase):
        path = os.fspath(filepath)
        if os.path.isdir(path) and not path.endswith(".keras"):
            with contextlib.closing(with_members(Folder(path), path)) as folder:
                yield folder, path
            return
        check_path(path)
    with opened(filepath) as (file, path):
        yield open_archive(file, path), path


def _check_version(metadata: Mapping[str, Any], path: str) -> None:
    version = metadata.get("keras_version")
    major = version.split(".")[0] if isinstance(version, str) else None
    if major not in ("2", "3"):
        raise ModelFileError(path, METADATA, f"it was written in the format of Keras {version!r}; versions 2.13 to 3 are read.")


def _build(config: dict[str, Any], tensors: TensorFile, path: str) -> Model:
    """The model of a config, with all its variables but not their values."""
    compile_config = config.pop("compile_config", None)
    optimizer_bytes = sum(t.nbytes for t in tensors.tensors.values() if t.name.startswith(("optimizer/", "optimizer_weights/")))
    model_bytes = sum(t.nbytes for t in tensors.tensors.values()) - optimizer_bytes
    with reading(path, CONFIG), registry.object_sharing("read"):
        with memory_budget(model_bytes + 4 * model_bytes * _has_compile_config(config)):
            model = serialization.deserialize_keras_object(config)
        if not isinstance(model, (Model, FeatureSpace)):
            raise ModelFileError(path, CONFIG, f"it describes a {type(model).__name__}, not a model.")
        if compile_config:
            # an optimizer that has made no step yet is stored without its moments, which take up to 4 times the weights
            with memory_budget(max(optimizer_bytes, 4 * model_bytes)), serialization.at("compile_config"):
                model.compile_from_config(compile_config)
    return model


def _has_compile_config(config: Any) -> bool:
    """Whether a model within the model was compiled too, and so has an optimizer."""
    return '"compile_config": {"' in json.dumps(config)
