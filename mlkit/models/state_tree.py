"""The state of a model as nested dicts, by the paths of its variables."""

from collections.abc import Mapping
from typing import Any


def read(model: Any, value_format: str) -> dict[str, Any]:
    """{kind of variable: nested dict of values}, as `Model.get_state_tree` describes."""
    if value_format not in ("backend_tensor", "numpy_array"):
        raise ValueError(f"get_state_tree: `value_format` must be 'backend_tensor' or 'numpy_array', but got {value_format!r}.")
    as_array = value_format == "numpy_array"
    return {kind: _nested(variables, as_array) for kind, variables in _variables(model).items()}


def write(model: Any, state_tree: Mapping[str, Any]) -> None:
    """Assign the values of a tree as `read` makes it; it may hold a part of the variables only. All names are checked first."""
    known = _variables(model)
    found = []
    for kind, nested in state_tree.items():
        if kind not in known:
            raise ValueError(f"set_state_tree: unknown kind of variables {kind!r}. Expected some of {list(known)}.")
        by_path = {v.path: v for v in known[kind]}
        for path, value in _flat(nested):
            if path not in by_path:
                raise ValueError(f"set_state_tree: the model has no variable {path!r} among its {kind}: {sorted(by_path)}.")
            found.append((by_path[path], value))
    for variable, value in found:
        variable.assign(value)


def _variables(model):
    return {
        "trainable_variables": model.trainable_variables,
        "non_trainable_variables": model.non_trainable_variables,
        "optimizer_variables": model.optimizer.variables if model.optimizer is not None else [],
        "metrics_variables": model.metrics_variables,
    }


def _nested(variables, as_array):
    root, seen = {}, set()
    for v in variables:
        if v.path in seen:
            raise ValueError(
                f"get_state_tree: two variables of the model have the path {v.path!r}. Give the layers (and other parts) "
                "different names."
            )
        seen.add(v.path)
        *folders, name = v.path.split("/")
        place = root
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = v.numpy() if as_array else v.value
    return root


def _flat(nested, prefix=""):
    for key, value in nested.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}/")
        else:
            yield prefix + key, value
