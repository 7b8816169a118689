"""Files of weights only: `.weights.h5`, the weights within a `.keras` file, and those of older `.h5` files."""

import numbers
import os
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from typing import IO, Any

from mlkit.core.typing import FilePath
from mlkit.models.saving.hdf5_reader import TensorFile
from mlkit.models.saving.keras_file import WEIGHTS, open_archive, open_weights, opened, write_weights
from mlkit.models.saving.legacy_h5 import read_legacy, saved_layer_names
from mlkit.models.saving.replacing import replacing
from mlkit.models.saving.shards import ENDING, opened_shards, writing_shards
from mlkit.models.saving.state_io import read_state, write_state
from mlkit.objects.errors import ModelFileError, reading, within


def save_weights(
    model: Any,
    filepath: FilePath,
    overwrite: bool = True,
    max_shard_size: float | None = None,
    objects_to_skip: Iterable[Any] | None = None,
) -> None:
    """Write the weights of a built model to a `.weights.h5` file that Keras 3 reads too.

    Args:
        filepath: path ending in ".weights.h5".
        overwrite: False refuses to replace a file.
        max_shard_size: the weights go into several files of at most so many GB; the path is that of the file which lists them
            and ends in ".weights.json".
        objects_to_skip: layers left out.
        model: which has its weights, as one that has been called or began with an `Input`.
    """
    path = os.fspath(filepath)
    ending = ".weights.h5"
    if max_shard_size is not None:
        if isinstance(max_shard_size, bool) or not isinstance(max_shard_size, numbers.Real) or not max_shard_size > 0:
            raise ValueError(f"save_weights: `max_shard_size` must be a positive number of GB, but got {max_shard_size!r}.")
        if path.endswith(ending):
            warnings.warn(
                f"save_weights: with `max_shard_size` the file that lists the others ends in {ENDING!r}.", stacklevel=3
            )
            path = path.removesuffix(ending) + ENDING
        ending = ENDING
    if not path.endswith(ending):
        raise ValueError(f"The filename must end in `{ending}`, but got {path!r}.")
    if not model.built:
        raise ValueError(
            f"You are saving a model that has not yet been built: {model.name!r} has no weights. Call it on data or build() "
            "it first."
        )
    if max_shard_size is not None:
        with writing_shards(path, max_shard_size, overwrite) as shards:
            write_state(model, shards, objects_to_skip or ())
        return
    with replacing(path, overwrite) as file:
        write_weights(model, file, objects_to_skip or ())


def load_weights(
    model: Any,
    filepath: FilePath,
    skip_mismatch: bool = False,
    objects_to_skip: Iterable[Any] | None = None,
    by_name: bool | None = None,
    allow_nonfinite: bool = False,
) -> None:
    """Read weights into a built model, all of them or (where anything is wrong) none.

    Args:
        filepath: a ".weights.h5", ".weights.json" (see `max_shard_size` of `save_weights`) or ".keras" file, or an older ".h5"
            one. Floats of another float dtype than the variables have are converted, with a warning.
        skip_mismatch: leave alone, with a warning, the layers whose weights differ in number, shape or dtype.
        objects_to_skip: layers left alone (".weights.h5").
        by_name: for ".h5", match layers by name instead of by position.
        allow_nonfinite: whether weights may be NaN or infinite.
        model: which has its weights, as one that has been called or began with an `Input`.

    Where the file holds the layers' names, those matched by position are compared (automatic names without their numbers): the
    same names in another order are matched by name, a name that stands elsewhere is refused, new names are said in a warning.

    Raises ModelFileError for a file that is damaged, foreign or does not fit.
    """
    path = os.fspath(filepath)
    is_new = path.endswith((".weights.h5", ENDING))
    is_legacy = path.endswith((".h5", ".hdf5")) and not is_new
    if not (is_new or is_legacy or path.endswith(".keras")):
        raise ModelFileError(
            path,
            "",
            "File format not supported: expected '.weights.h5', '.weights.json', '.keras' or, from older versions, '.h5'.",
        )
    if by_name is not None and not is_legacy:
        raise ValueError(f"`by_name` only supports loading legacy '.h5' or '.hdf5' files, but got {path!r}.")
    if objects_to_skip is not None and not is_new:
        raise ValueError(f"`objects_to_skip` only supports loading '.weights.h5' files, but got {path!r}.")
    if not model.built:
        raise ValueError(
            f"You are loading weights into a model that has not yet been built: {model.name!r}. Call it on data or build() "
            "it first."
        )
    if path.endswith(ENDING):
        with reading(path), opened_shards(path) as shards:
            read_state(model, shards, objects_to_skip or (), skip_mismatch, allow_nonfinite, convert=True)
        return
    with opened(path) as (file, _):
        if is_legacy:
            with reading(path):
                read_legacy(model, _tensors(file, path), bool(by_name), skip_mismatch, allow_nonfinite, convert=True)
            return
        tensors = _tensors(file, path) if is_new else open_weights(open_archive(file, path), path)
        with nullcontext() if is_new else within(WEIGHTS), reading(path):
            read_state(model, tensors, objects_to_skip or (), skip_mismatch, allow_nonfinite, convert=True)


def _tensors(file: IO[bytes], path: str) -> TensorFile:
    with reading(path):
        return TensorFile(file, path)


def layer_names(path: FilePath) -> list[str]:
    """Names of the layers that have weights in a file of weights, as a set, for messages; empty where they are not told."""
    if path.endswith(ENDING):
        with opened_shards(path) as shards:
            return _names_in(shards)
    with opened(path) as (file, _):
        if path.endswith(".keras"):
            return _names_in(open_weights(open_archive(file, path), path))
        return _names_in(_tensors(file, path))


def _names_in(tensors: TensorFile) -> list[str]:
    if any(tensors.attribute(root, "layer_names") for root in ("", "model_weights") if root in tensors.groups):
        return saved_layer_names(tensors)
    with_weights = {name.rpartition("/")[0] for name in tensors.tensors}
    return {name for group in with_weights if (name := tensors.attribute(group, "name"))}
