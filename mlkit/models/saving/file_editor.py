"""KerasFileEditor: the weights in a file looked at, compared with a model, renamed, and written anew."""

from typing import Any

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.models.saving.contents import contents
from mlkit.models.saving.replacing import replacing
from mlkit.models.saving.state_io import VariableWriter
from mlkit.models.saving.walk import parts

h5py = Deferred("h5py")  # files are read without it


class KerasFileEditor:
    """The weights of a `.keras` or `.weights.h5` file, to be changed and written to another `.weights.h5` file.

    Objects (layers and other parts of a model) are named by their path in the file, as "layers/dense_2", or by the last part of it
    where that occurs once. Weights of an object are named "0", "1" ... in its order.

    Args:
        filepath: path of the file. `weights_dict` holds its arrays as nested dicts: object -> ... -> name of a weight -> array.

    >>> import mlkit, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "m.weights.h5")
    >>> mlkit.Sequential([mlkit.Input((2,)), mlkit.layers.Dense(3)]).save_weights(path)
    >>> editor = mlkit.saving.KerasFileEditor(path)
    >>> editor.rename_object("dense", "head")
    >>> [(name, array.shape) for name, array in editor.weights_dict["layers"]["head"].items()]
    [('0', (2, 3)), ('1', (3,))]
    """

    def __init__(self, filepath):
        self.filepath = str(filepath)
        if not self.filepath.endswith((".keras", ".weights.h5")):
            raise ValueError(f"Invalid filename: expected a `.keras` or `.weights.h5` file, but got {self.filepath!r}.")
        with contents(self.filepath) as found:
            self.metadata, self.config = found.metadata, found.config
            arrays = {name: tensor.read(allow_nonfinite=True) for name, tensor in found.tensors.items()}
            self.object_metadata = {_object_of(f"{group}/0"): {"name": name} for group, name in found.names.items()}
        self.weights_dict: dict[str, Any] = {}
        for name, array in sorted(arrays.items()):
            _made(self.weights_dict, _object_of(name))[name.rpartition("/")[2]] = array

    def summary(self) -> None:
        """Print the objects of the file and the shapes of their weights."""
        print("\n".join([f"Keras weights file {self.filepath!r}", *_lines(self.weights_dict, "  ")]))

    def compare(self, reference_model) -> dict[str, Any]:
        """Print where the file's weights differ in place or shape from those that a model would save.

        Returns {"status": "success" or "error", "error_count": ..., "match_count": ...}.
        """
        wanted = _shapes_of(reference_model)
        here = {f"{place}/{name}".lstrip("/"): np.shape(a) for place, name, a in _walk(self.weights_dict)}
        errors = [f"{n}: in the model, missing from the file" for n in wanted.keys() - here.keys()]
        errors += [f"{n}: in the file, missing from the model" for n in here.keys() - wanted.keys()]
        both = wanted.keys() & here.keys()
        errors += [f"{n}: {wanted[n]} in the model, {here[n]} in the file" for n in both if wanted[n] != here[n]]
        matches = sum(wanted[n] == here[n] for n in both)
        print("\n".join([*sorted(errors), f"{matches} weights match, {len(errors)} differ."]))
        return {"status": "error" if errors else "success", "error_count": len(errors), "match_count": matches}

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Give an object another name. new_name: the last part of its path."""
        if "/" in new_name:
            raise ValueError(f"rename_object: `new_name` must be a name, not a path, but got {new_name!r}.")
        holder, name = self._find(object_name)
        if new_name in holder:
            raise ValueError(f"rename_object: there is an object {new_name!r} beside {object_name!r} already.")
        place = self._place_of(holder)
        holder[new_name] = holder.pop(name)
        old, new = (f"{place}/{n}".lstrip("/") for n in (name, new_name))
        self.object_metadata = {
            new + key[len(old) :] if key == old or key.startswith(old + "/") else key: value
            for key, value in self.object_metadata.items()
        }

    def delete_object(self, object_name: str) -> None:
        """Remove an object with all its weights."""
        holder, name = self._find(object_name)
        del holder[name]

    def add_object(self, object_path: str, weights: dict[str, Any]) -> None:
        """Add an object. object_path: its path, the last part of which is new. weights: dict name -> array."""
        _check_weights("add_object", weights)
        *above, name = object_path.split("/")
        holder = self._at(above, object_path)
        if name in holder:
            raise ValueError(f"add_object: there is an object {object_path!r} already. Use add_weights().")
        holder[name] = dict(weights)

    def add_weights(self, object_name: str, weights: dict[str, Any]) -> None:
        """Add weights to an object, or replace some of its weights. weights: dict name -> array."""
        _check_weights("add_weights", weights)
        holder, name = self._find(object_name)
        holder[name].update(weights)

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Remove one weight of an object."""
        holder, name = self._find(object_name)
        if weight_name not in holder[name]:
            raise ValueError(f"delete_weight: {object_name!r} has no weight {weight_name!r}, but {list(holder[name])}.")
        del holder[name][weight_name]

    def save(self, filepath) -> None:
        """Write the weights as they are now. filepath: path ending in ".weights.h5"."""
        path = str(filepath)
        if not path.endswith(".weights.h5"):
            raise ValueError(f"Invalid `filepath` argument: expected a `.weights.h5` extension, but got {path!r}.")

        with replacing(path) as file, h5py.File(file, "w") as h5:
            for place, weights in _places(self.weights_dict):
                arrays = {name: a for name, a in weights.items() if not isinstance(a, dict)}
                if arrays:
                    VariableWriter(h5, place, self.object_metadata.get(place, {}).get("name")).update(arrays)

    def resave_weights(self, filepath) -> None:
        """The same as `save`."""
        self.save(filepath)

    # ---- finding objects -----------------------------------------------------------------------------------------------

    def _find(self, object_name):
        """(the dict that holds an object, its name there)."""
        if "/" in object_name:
            *above, name = object_name.split("/")
            holder = self._at(above, object_name)
            if not isinstance(holder.get(name), dict):
                raise ValueError(f"Path {object_name!r} not found in the file. `summary()` lists its objects.")
            return holder, name
        holders = [d for d in _dicts(self.weights_dict) if isinstance(d.get(object_name), dict)]
        if len(holders) != 1:
            found = "does not appear" if not holders else "occurs more than once"
            raise ValueError(f"Name {object_name!r} {found} in the file. `summary()` lists its objects; pass a complete path.")
        return holders[0], object_name

    def _at(self, names, path):
        holder = self.weights_dict
        for name in names:
            holder = holder.get(name)
            if not isinstance(holder, dict):
                raise ValueError(f"Path {path!r} not found in the file. `summary()` lists its objects.")
        return holder

    def _place_of(self, holder):
        return next(place for place, d in _places(self.weights_dict) if d is holder)


def _object_of(name):
    """The object that a tensor "layers/dense/vars/0" belongs to."""
    group = name.rpartition("/")[0]
    return group.removesuffix("vars").rstrip("/")


def _made(root, place):
    for part in filter(None, place.split("/")):
        root = root.setdefault(part, {})
    return root


def _places(root, place=""):
    yield place, root
    for name, value in root.items():
        if isinstance(value, dict):
            yield from _places(value, f"{place}/{name}".lstrip("/"))


def _dicts(root):
    return [d for _, d in _places(root)]


def _walk(root):
    """(path of the object, name of the weight, array) of all weights."""
    for place, d in _places(root):
        yield from ((place, name, value) for name, value in d.items() if not isinstance(value, dict))


def _lines(root, indent):
    for name, value in root.items():
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{name}: shape={np.shape(value)}, dtype={np.asarray(value).dtype}"


def _check_weights(method, weights):
    if not isinstance(weights, dict):
        raise ValueError(f"{method}: `weights` must be a dict from names ('0', '1' ...) to arrays, but got {weights!r:.100}.")


def _shapes_of(model):
    """Place -> shape of what the parts of a model would save."""
    found = {}
    for place, part in parts(model):
        if hasattr(part, "save_own_variables"):
            store: dict[str, Any] = {}
            part.save_own_variables(store)
            found.update({f"{place}/{name}".lstrip("/"): tuple(value.shape) for name, value in store.items()})
    return found
