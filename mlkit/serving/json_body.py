"""Bodies of JSON, as both protocols read and write them."""

import json
from typing import Any

from mlkit.core.deferred import Deferred, is_installed
from mlkit.serving.contract import bad

orjson = Deferred("orjson")  # an optional package, which reads and writes lists of numbers in less than half the time


def parsed(body: Any) -> dict[str, Any]:
    """The object that a body holds.

    Raises:
        RequestError: It is no JSON, or no object.
    """
    try:
        found = _value(body)
    except RecursionError:
        raise bad("the body is nested too deeply.") from None
    except ValueError as error:  # of JSON, of UTF-8, of numbers with too many digits
        raise bad(f"the body is not valid JSON: {str(error)[:100]}.") from None
    if type(found) is not dict:
        raise bad(f"the body must be a JSON object, got {'a list' if type(found) is list else repr(found)[:40]}.")
    return found


def _value(body: Any) -> Any:
    if is_installed("orjson"):
        try:
            return orjson.loads(body)
        except ValueError:
            pass  # NaN is one thing that it does not take; of the rest it is said below what is wrong
    return json.loads(bytes(body))


def known_keys(given: dict[str, Any], known: str, where: str = "the body") -> None:
    """Refuse keys that would go unheard."""
    names = known.split()
    for key in given:
        if key not in names:
            raise bad(f"{where} has an unknown key {key[:60]!r}; there are {', '.join(map(repr, names))}.")


def written(value: Any) -> bytes:
    """JSON without blanks. What is not finite is written as NaN and Infinity, as TensorFlow Serving does."""
    if is_installed("orjson"):
        try:
            found: bytes = orjson.dumps(value)
        except TypeError:
            found = b"null"  # half of a character, that a client sent and is told of: JSON can say it, UTF-8 cannot
        if b"null" not in found:  # which it makes of what is not finite
            return found
    return json.dumps(value, separators=(",", ":")).encode()
