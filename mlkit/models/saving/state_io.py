"""The state of a model to and from HDF5: which tensor belongs to which variable, compared in full before any is set."""

import collections
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.models.saving.converted import in_dtypes_of, warn_of_conversion
from mlkit.models.saving.hdf5_reader import TensorFile
from mlkit.models.saving.name_order import places_by_name, translated
from mlkit.models.saving.walk import parts
from mlkit.models.saving.zip_reader import check_name
from mlkit.objects.errors import ModelFileError
from mlkit.optimizers import Optimizer

_LISTED = 5  # how many of many problems a message names

# ---- writing -------------------------------------------------------------------------------------------------------------


def write_state(model: Any, file: Any, skip: Collection[Any] = ()) -> None:
    """Write the variables of a model and of everything in it into an open h5py.File. skip: objects left out."""
    for path, part in parts(model, skip):
        if hasattr(part, "save_own_variables"):
            part.save_own_variables(VariableWriter(file, path, getattr(part, "name", None)))


class VariableWriter(collections.abc.MutableMapping):
    """What `save_own_variables` writes into: a dict of arrays that is a group of the file, made when it is first needed."""

    def __init__(self, file: Any, path: str, name: str):
        self._file, self._path, self._made = file, f"{path}/vars" if path else "vars", None
        check_name(self._path, "")
        if isinstance(name, str):
            self._group.attrs["name"] = name

    @property
    def _group(self):
        if self._made is None:
            self._made = self._file.create_group(self._path)
        return self._made

    def __setitem__(self, key: str, value: Any) -> None:
        check_name(key, self._path)
        value = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
        dataset = self._group.create_dataset(key, data=value)
        if dtypes.name_of(value.dtype) == "bfloat16":
            dataset.attrs["dtype"] = "bfloat16"  # HDF5 only sees two bytes

    def __getitem__(self, key):
        return self._group[key][()]

    def __delitem__(self, key):
        del self._group[key]

    def __iter__(self):
        return iter(self._group)

    def __len__(self) -> int:
        return len(self._group)


# ---- reading -------------------------------------------------------------------------------------------------------------


def read_state(
    model: Any,
    tensors: TensorFile,
    skip: Collection[Any] = (),
    skip_mismatch: bool = False,
    allow_nonfinite: bool = False,
    convert: bool = False,
) -> None:
    """Set the variables of a model from a TensorFile; where anything is wrong, none of them.

    The file must hold exactly the tensors that the model has variables for, each of the same shape and dtype. Only an
    optimizer's state may be missing, or too much. skip: objects left alone. skip_mismatch: parts that do not fit are left
    alone, with a warning. convert: floats of another float dtype fit too, and are converted, with a warning. Layers of a list that
    the file names in another order are matched by their names.
    """
    groups = _groups_of(tensors)
    plan, problems, used, aliases, listed = [], [], set(), collections.defaultdict(list), collections.defaultdict(list)
    found_parts = list(parts(model, skip, aliases, listed))
    places, conflicts = places_by_name(listed, tensors)
    for path, part in found_parts:
        if not hasattr(part, "load_own_variables"):
            continue
        group = _group_name(translated(path, places), aliases, tensors)
        stored = groups.get(group, {})
        used.add(group)
        own = _variables(part)
        if _is_optimizer(part):
            own, stored = _optimizer_state(model, part, stored, bool(places))
        if convert and own is not None:
            keys = [key for key in own if key in stored]
            stored = {**stored, **dict(zip(keys, in_dtypes_of([own[key] for key in keys], [stored[key] for key in keys])))}
        found = (
            [(group, conflicts[path])] if path in conflicts else [] if own is None else _differences(own, stored, group, part)
        )
        problems += found
        if not found and not (_is_optimizer(part) and not stored):
            plan.append((part, own, stored))
    if not skip and not skip_mismatch:
        problems += _left_over(groups, used)
    if problems:
        _report(problems, tensors.path, skip_mismatch)
    warn_of_conversion((t for _, _, stored in plan for t in stored.values()), tensors.path)
    _assign(model, plan, allow_nonfinite)


def _groups_of(tensors: TensorFile):
    """Group -> {name: tensor}."""
    groups = collections.defaultdict(dict)
    for name, tensor in tensors.tensors.items():
        group, _, key = name.rpartition("/")
        groups[group][key] = tensor
    return groups


def _group_name(path: str, aliases, tensors: TensorFile):
    """The group of a part: by its path, or by another one if the file knows it under that."""
    name = f"{path}/vars" if path else "vars"
    if name in tensors.groups:
        return name
    if "_layer_checkpoint_dependencies" in tensors.groups:
        return name.replace("layers", "_layer_checkpoint_dependencies")  # as Keras 2.12 called it
    keys = path.split("/")
    for i in range(len(keys), 0, -1):
        for other in aliases.get("/".join(keys[:i]), ()):
            renamed = "/".join([other, *keys[i:], "vars"])
            if renamed in tensors.groups:
                return renamed
    return name


def _is_optimizer(part: Any) -> bool:
    return isinstance(part, Optimizer)


def _variables(part: Any) -> dict[str, Any] | None:
    """Name -> variable, those that `load_own_variables` will set; None if the method is a user's and may set what it likes."""
    if not type(part).load_own_variables.__module__.startswith("mlkit."):
        return None
    return _numbered(part.variables) if _is_optimizer(part) else part._saved_variables


def _numbered(variables):
    return {str(i): v for i, v in enumerate(variables)}


def _optimizer_state(model: Any, optimizer, stored, moved):
    """The variables and tensors to be compared. An optimizer saved before its first step has a counter and a rate only.

    moved: whether layers have other places in the file; the optimizer's variables, which have no names, would be those of others.
    """
    if len(stored) > len(optimizer.variables) and not optimizer.built and model.built:
        optimizer.build(model.trainable_variables)
    own = optimizer.variables
    if len(stored) <= 2 < len(own):
        return _numbered(own[: len(stored)]), stored
    if len(stored) != len(own) or (stored and moved):
        if stored:
            why = (
                "layers are in another order in the file"
                if moved
                else f"it has {len(own)} variables, but {len(stored)} are stored"
            )
            warnings.warn(f"The state of optimizer {optimizer.name!r} is not loaded: {why}. It starts afresh.", stacklevel=3)
        return {}, {}
    return _numbered(own), stored


def _differences(own, stored, group, part):
    """What keeps a part's variables from being set, as (place, reason)."""
    if len(own) != len(stored):
        name = getattr(part, "name", type(part).__name__)
        hint = (
            "" if getattr(part, "built", True) else " It is not built: its build() must make the weights of the layers within."
        )
        return [
            (
                group,
                f"{type(part).__name__} {name!r} has {len(own)} variables, but received {len(stored)} variables from the "
                f"file.{hint}",
            )
        ]
    found = []
    for name, v in own.items():
        tensor = stored.get(name)
        if tensor is None:
            found.append((f"{group}/{name}", f"it is missing: nothing is stored for the variable {v.path!r}."))
        elif tensor.shape != tuple(v.shape):
            found.append(
                (tensor.name, f"shapes must match: it has shape {tensor.shape}, the variable {v.path!r} {tuple(v.shape)}.")
            )
        elif tensor.dtype != v.dtype and not _is_counter(tensor, v):
            found.append(
                (
                    tensor.name,
                    f"dtypes must match: it is {tensor.dtype}, the variable {v.path!r} is {v.dtype}. Nothing is converted.",
                )
            )
    return found


def _is_counter(tensor, variable):
    """Keras counts steps and samples in 32 or 64 bits, depending on its backend."""
    return tensor.shape == () and {tensor.dtype, variable.dtype} == {"int32", "int64"}


def _left_over(groups, used):
    """Tensors the model has no place for; the state of an optimizer it does not have is none of its business."""
    return [
        (f"{group}/{sorted(stored)[0]}", "the file holds it, but the model has no such part.")
        for group, stored in groups.items()
        if group not in used and stored and not group.startswith("optimizer/")
    ]


def _report(problems, path: str, skip_mismatch):
    listed = "\n  ".join(f"{place}: {reason}" for place, reason in problems[:_LISTED])
    more = f"\n  and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
    if skip_mismatch:
        warnings.warn(f"{path}: left alone, for they do not fit:\n  {listed}{more}", stacklevel=4)
        return
    place, reason = problems[0]
    others = f"\n  {listed}{more}\n" if len(problems) > 1 else ""
    raise ModelFileError(
        path,
        place,
        reason + others,
        "The file belongs to another model. (skip_mismatch=True in load_weights() leaves such parts alone.)",
    )


def _assign(model: Any, plan: Sequence[Any], allow_nonfinite: bool) -> None:
    """Set everything; after an error put everything back."""
    before = [(v, v.tracked_value()) for v in model.variables]
    before += [(v, v.tracked_value()) for part, own, _ in plan if _is_optimizer(part) for v in own.values()]
    try:
        for part, own, stored in plan:
            if _is_optimizer(part) and len(own) < len(part.variables):
                for name, v in own.items():
                    v.assign(stored[name].read(allow_nonfinite))
            else:
                part.load_own_variables(_Store(stored, allow_nonfinite))
    except BaseException:
        for v, value in before:
            v.assign(value)
        raise


class _Store(collections.abc.Mapping):
    """What `load_own_variables` reads from: name -> array, read when asked for."""

    def __init__(self, tensors: Mapping[str, Any], allow_nonfinite: bool):
        self._tensors, self._allow_nonfinite = tensors, allow_nonfinite

    def __getitem__(self, key: str) -> np.ndarray:
        return self._tensors[key].read(self._allow_nonfinite)

    def __iter__(self):
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)
