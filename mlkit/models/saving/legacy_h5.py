"""Files `.h5` of Keras 1 and 2 (and of `model.save("x.h5")` in Keras 3): configs as attributes, the weights of layers by position
or by name."""

import json
import warnings
from typing import IO, Any

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.models.saving.converted import in_dtypes_of, warn_of_conversion
from mlkit.models.saving.hdf5_reader import StoredTensor, TensorFile
from mlkit.models.saving.name_order import conflict, matched
from mlkit.models.saving.zip_reader import check_name
from mlkit.objects import registry, serialization
from mlkit.objects.errors import ModelFileError

h5py = Deferred("h5py")  # files are read without it

_ATTRIBUTE_BYTES = 64_512  # what the header of a group holds; longer lists are spread over several attributes
_WEIGHTS, _OPTIMIZER, _TOP_LEVEL = "model_weights", "optimizer_weights", "top_level_model_weights"

# ---- writing -------------------------------------------------------------------------------------------------------------


def write_legacy_model(model: Any, file: IO[bytes], include_optimizer: bool, keras_version: str) -> None:
    """Write a whole model into a binary file object, in the form that Keras 3 writes for paths ending in ".h5"."""
    with registry.object_sharing("write"):
        form = serialization.serialize_keras_object(model)
    compiled = form.get("compile_config") if include_optimizer else None
    with h5py.File(file, "w") as h5:
        origin = {"backend": b"jax", "keras_version": keras_version.encode()}  # one that Keras 3 knows
        h5.attrs.update(origin)
        name = form["registered_name"] or form["class_name"]
        h5.attrs["model_config"] = json.dumps({"class_name": name, "config": form["config"]}).encode()
        if compiled:
            optimizer = compiled.pop("optimizer", None)
            if isinstance(optimizer, str):
                optimizer = serialization.serialize_keras_object(model.optimizer)
            h5.attrs["training_config"] = json.dumps({**compiled, "optimizer_config": optimizer}).encode()
        weights = h5.create_group(_WEIGHTS)
        weights.attrs.update(origin)
        _write_list(weights, "layer_names", [layer.name for layer in model.layers])
        for layer in sorted(model.layers, key=lambda layer: layer.name):
            check_name(layer.name, "")
            _write_variables(weights.create_group(layer.name), _in_old_order(layer))
        _write_variables(weights.create_group(_TOP_LEVEL), _top_level(model))
        if compiled and model.optimizer.variables:
            _write_variables(h5.create_group(_OPTIMIZER), model.optimizer.variables)


def _in_old_order(layer):
    return layer.trainable_weights + layer.non_trainable_weights


def _write_variables(group: str, variables):
    _write_list(group, "weight_names", [v.path for v in variables])
    for v in variables:
        check_name(v.path, "")
        value = np.asarray(v.numpy())
        if value.dtype.kind not in "fiub":
            raise ModelFileError("", v.path, f"'.h5' model files hold no {v.dtype}.", "Save to a '.keras' file.")
        group.create_dataset(v.path, data=value)


def _write_list(group: str, name, texts):
    found = np.asarray([t.encode() for t in texts]) if texts else np.asarray([], "float64")
    parts = -(-max(found.nbytes, 1) // _ATTRIBUTE_BYTES)
    if parts == 1:
        group.attrs[name] = found
        return
    for i, part in enumerate(np.array_split(found, parts + 1)):
        group.attrs[f"{name}{i}"] = part


# ---- reading -------------------------------------------------------------------------------------------------------------


def legacy_texts(tensors: TensorFile):
    """(config of the model, what it was compiled with or None) in an `.h5` file, as JSON texts."""
    model, training = (tensors.attribute("", name) for name in ("model_config", "training_config"))
    if not isinstance(model, str):
        raise ModelFileError(
            tensors.path,
            "model_config",
            "the file holds no model config, so no whole model.",
            "If it holds weights: build the model and use model.load_weights().",
        )
    return model, training


def read_legacy_optimizer(model: Any, tensors: TensorFile, allow_nonfinite: bool = False):
    """Set the optimizer's state from the file if it is that of such an optimizer; else it starts afresh, with a warning."""
    if _OPTIMIZER not in tensors.groups or model.optimizer is None:
        return
    stored = _weights(tensors, _OPTIMIZER)
    model.optimizer.build(model.trainable_variables)
    own = model.optimizer.variables
    problem = _difference("the optimizer", own, stored)
    if problem is not None:
        warnings.warn(f"{tensors.path}: the optimizer's state is not loaded; it starts afresh: {problem}", stacklevel=3)
        return
    for v, value in [(v, t.read(allow_nonfinite)) for v, t in zip(own, stored)]:
        v.assign(value)


def read_legacy(
    model: Any,
    tensors: TensorFile,
    by_name: bool = False,
    skip_mismatch: bool = False,
    allow_nonfinite: bool = False,
    convert: bool = False,
) -> None:
    """Set the weights of a model from a TensorFile in the older layout; where anything is wrong, none of them.

    by_name: match layers by name, leaving those without a counterpart alone. Otherwise the layers that have weights are
    matched in order, or by name where the file has the same names in another order; their numbers must be equal.
    skip_mismatch: leave alone, with a warning, what differs in number, shape or dtype. convert: floats of another float dtype fit
    too, and are converted, with a warning.
    """
    root = _WEIGHTS if _WEIGHTS in tensors.groups else ""
    saved = _saved_layers(tensors, root)
    own = [(layer, _in_old_order(layer)) for layer in model.layers]
    pairs = _by_name(saved, own) if by_name else _by_position(saved, own, tensors.path)
    top = f"{root}/{_TOP_LEVEL}".lstrip("/")
    if top in tensors.groups:
        pairs.append(("the model itself", _top_level(model), _weights(tensors, top)))
    plan = []
    for name, variables, stored in pairs:
        if convert and not isinstance(stored, str) and len(stored) == len(variables):
            stored = in_dtypes_of(variables, stored)
        problem = stored if isinstance(stored, str) else _difference(name, variables, stored)
        if problem is None:
            plan += zip(variables, stored)
        elif skip_mismatch:
            warnings.warn(f"{tensors.path}: {name} is left alone: {problem}", stacklevel=3)
        else:
            raise ModelFileError(tensors.path, name, problem, "The file belongs to another model.")
    warn_of_conversion((t for _, t in plan), tensors.path)
    values = [(v, t.read(allow_nonfinite)) for v, t in plan]
    for v, value in values:
        v.assign(value)
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def _saved_layers(tensors: TensorFile, root: str) -> list[tuple[str, list[StoredTensor]]]:
    """[(layer name, its tensors in order)] of the layers that have any."""
    names = _list(tensors, root, "layer_names")
    if not names:
        raise ModelFileError(
            tensors.path,
            root,
            "it lists no layers, so it is no '.h5' file of weights.",
            "Files of Keras 3 end in '.weights.h5'.",
        )
    found = [(name, _weights(tensors, f"{root}/{name}" if root else name)) for name in names]
    return [(name, stored) for name, stored in found if stored]


def saved_layer_names(tensors: TensorFile):
    """Names of the layers that have weights in the file, as a set."""
    return {name for name, _ in _saved_layers(tensors, _WEIGHTS if _WEIGHTS in tensors.groups else "")}


def _weights(tensors: TensorFile, group: str) -> list[StoredTensor]:
    if group not in tensors.groups:
        raise ModelFileError(tensors.path, group, "the file lists this layer, but does not hold it.")
    found = []
    for name in _list(tensors, group, "weight_names"):
        full = f"{group}/{name}"
        if full not in tensors.tensors:
            raise ModelFileError(tensors.path, full, "the file lists this tensor, but does not hold it.")
        found.append(tensors.tensors[full])
    return found


def _list(tensors: TensorFile, group: str, name: str) -> list[str]:
    """A list kept as attribute; a long one is spread over name0, name1 ..."""
    whole = tensors.attribute(group, name)
    if whole is not None:
        return whole if isinstance(whole, list) else [whole]
    parts = []
    while (part := tensors.attribute(group, f"{name}{len(parts)}")) is not None:
        parts.append(part)
    return [n for part in parts for n in part]


def _by_position(saved, own, path: str):
    """[(name, variables, tensors, or why the layer has none)]."""
    own = [(layer, variables) for layer, variables in own if variables]
    if len(saved) != len(own):
        raise ModelFileError(
            path,
            "",
            f"Layer count mismatch: the file holds {len(saved)} layers with weights, the model has {len(own)}.",
            "With by_name=True layers are matched by name.",
        )
    pairs = []
    for i, k in enumerate(matched([name for name, _ in saved], [layer for layer, _ in own], path)):
        (layer, variables), (name, stored) = own[i], saved[i if k is None else k]
        pairs.append((f"{name} (for layer {layer.name!r})", variables, conflict(name, layer) if k is None else stored))
    return pairs


def _by_name(saved, own):
    stored = dict(saved)
    return [(layer.name, variables, stored[layer.name]) for layer, variables in own if layer.name in stored]


def _top_level(model: Any):
    wanted = set(map(id, model.weights))
    return [v for v in model._trainable_variables + model._non_trainable_variables if id(v) in wanted]


def _difference(name, variables, stored):
    if len(variables) != len(stored):
        return f"Weight count mismatch: there are {len(variables)} weights, but {len(stored)} are stored."
    for v, t in zip(variables, stored):
        if tuple(v.shape) != t.shape:
            return f"{t.name} has shape {t.shape}, but the weight {v.path!r} has shape {tuple(v.shape)}."
        if v.dtype != t.dtype and not (t.shape == () and {v.dtype, t.dtype} == {"int32", "int64"}):  # counters were wider once
            return f"{t.name} is {t.dtype}, but the weight {v.path!r} is {v.dtype}. Nothing is converted."
    return None
