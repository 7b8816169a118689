"""The JSON of a model file: parsed within a budget, and checked for classes that may not be there before any object is made."""

import json
import re
from typing import Any

from mlkit.core.messages import explained, inside
from mlkit.models.saving import op_names
from mlkit.objects import registry, serialization
from mlkit.objects.errors import ModelFileError

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 64
MAX_LAYERS = 100_000
MAX_VALUES = 4_000_000  # what 64 MB of ordinary config hold; denser JSON would take many times its size in memory
_OBJECT_KEYS = {  # what an object's description may consist of; the last three are those of a functional model's layers
    "module", "class_name", "config", "registered_name", "build_config", "compile_config", "shared_object_id",
    "name", "inbound_nodes", "trainable",
}  # fmt: skip
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_.<>-]{0,199}")


def parse_json(data: bytes, path: str, member: str) -> Any:
    """Bytes -> dict, within the budgets of depth, size and number of values."""
    if len(data) > MAX_BYTES:
        raise ModelFileError(path, member, f"it has {len(data):,} bytes; at most {MAX_BYTES:,} are read.")
    values = data.count(b",") + data.count(b"[") + data.count(b"{")
    if values > min(MAX_VALUES, max(100_000, len(data) // 6)):
        raise ModelFileError(
            path, member, f"it holds about {values:,} values in {len(data):,} bytes, which no model config does."
        )
    try:
        parsed = json.loads(data.decode("utf-8"))
    except RecursionError:
        raise _too_deep(path, member) from None
    except ValueError as error:
        raise ModelFileError(
            path,
            member,
            f"it is not valid JSON: {inside(error)}.",
            "The file is damaged or was not written by a model's save().",
        ) from error
    if not isinstance(parsed, dict):
        raise ModelFileError(path, member, f"it should hold a JSON object, but holds a {type(parsed).__name__}.")
    return parsed


def _too_deep(path: str, member: str, place: str = "") -> ModelFileError:
    return ModelFileError(path, member, f"it is nested deeper than {MAX_DEPTH} levels{place}.")


def check_depth(config: Any, path: str, member: str) -> None:
    """Refuse data that are nested too deeply for code that descends into them."""
    todo = [(config, 1)]
    while todo:
        value, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise _too_deep(path, member)
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        todo.extend((v, depth + 1) for v in inner if isinstance(v, (dict, list)))


def check_config(config: Any, path: str, member: str) -> None:
    """Refuse a model's config that is too deep, has too many layers, or names a class or function that is not known.

    Works without recursion and makes no object, so that a bad file is refused before anything is built. What stands inside the
    config of a user's class is the user's own matter and checked when it is read.
    """
    layers = 0
    todo = [(config, None, 1)]  # value, its place as a linked list from the inside out, depth
    while todo:
        value, place, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise _too_deep(path, member, f" at {_show(place)}")
        if isinstance(value, list):
            todo.extend((v, (i, place), depth + 1) for i, v in enumerate(value) if isinstance(v, (dict, list)))
        elif _is_object(value):
            layers += 1
            if layers > 20 * MAX_LAYERS:
                raise ModelFileError(path, member, f"it describes more than {20 * MAX_LAYERS:,} objects.")
            todo.extend((v, (k, place), depth + 1) for k, v in _parts_to_check(value, place, path, member))
        else:
            if isinstance(value.get("layers"), list) and len(value["layers"]) > MAX_LAYERS:
                raise ModelFileError(
                    path, member, f"{_show(place)} has {len(value['layers']):,} layers; at most {MAX_LAYERS:,} are read."
                )
            todo.extend((v, (k, place), depth + 1) for k, v in value.items() if isinstance(v, (dict, list)))


def _is_object(value: Any) -> bool:
    return isinstance(value.get("class_name"), str) and "config" in value and not value["class_name"].startswith("__")


def _parts_to_check(value: Any, place: Any, path: str, member: str) -> list[tuple[Any, Any]]:
    """The nested parts of an object's description, once its class is known and its keys are those there are."""
    unknown = set(value) - _OBJECT_KEYS
    if unknown:
        raise ModelFileError(path, member, f"{_show(place)} has the unknown key {sorted(unknown)[0]!r}.", _VERSION_HINT)
    own = _is_own(value, place, path, member)
    return [(k, v) for k, v in value.items() if isinstance(v, (dict, list)) and (own or k != "config")]


_VERSION_HINT = "The file is damaged, or needs a newer version of mlkit."


def _is_own(value: Any, place: Any, path: str, member: str) -> bool:
    """Whether the object is of mlkit's own kind (its config then is checked too). Raises for one that is not known at all."""
    module, name = value.get("module"), value["class_name"]
    if not (module is None or (isinstance(module, str) and _MODULE.fullmatch(module))):
        raise ModelFileError(path, member, f"{_show(place)}.module is {module!r:.100}, which is no module name.")
    if not isinstance(value.get("registered_name"), (str, type(None))):
        raise ModelFileError(
            path, member, f"{_show(place)}.registered_name is {value['registered_name']!r:.100}, which is no name."
        )
    if op_names.is_operation(module):
        if op_names.function_of(module, name) is None:
            raise ModelFileError(path, member, f"{_show(place)}: mlkit has no operation {name!r} of {module!r}.", _VERSION_HINT)
        return True
    if name == "function" and not isinstance(value["config"], str):
        raise ModelFileError(
            path, member, f"{_show(place)}.config should be the name of a function, but is {value['config']!r:.100}."
        )
    try:
        found = serialization.find_object(value)
    except ValueError as error:
        raise ModelFileError(path, member, f"{_show(place)}: {error}") from error
    if found is None:
        label = value["config"] if name == "function" else value.get("registered_name") or name
        raise explained(ModelFileError(
            path,
            member,
            f"{_show(place)}: unknown {'function' if name == 'function' else 'class'} {label!r:.200} of module {module!r}.",
            f"If it is yours, pass custom_objects={{{str(label)[:200]!r}: ...}} or register it with "
            "@mlkit.saving.register_keras_serializable().",
        ), "unknown-function-of-module-if-it-is-yours-pass-custom-objects")  # fmt: skip
    return registry.is_builtin(found)


def _show(place: Any) -> str:
    """The linked place as ``config.layers[3]``."""
    parts = []
    while place is not None:
        key, place = place
        parts.append(f"[{key}]" if isinstance(key, int) else f".{str(key)[:60]}")
    return "".join(reversed(parts)).lstrip(".") or "the whole"
