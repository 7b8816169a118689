"""Files in the cache folder: what was compiled or planned once and is the same at the next start of a program."""

import contextlib
import hashlib
import os
import pathlib
import secrets

from mlkit.core.settings import cache_folder


def path_of(kind, key, ending):
    """The file for a key, a text of all that its content depends on, in the folder of its kind."""
    return pathlib.Path(cache_folder(), kind, f"{hashlib.sha256(key.encode()).hexdigest()}.{ending}")


def read(path):
    """Its bytes, or None where it is not there."""
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return None


def write(path, content):
    """Write it whole or not at all; a folder that cannot be written costs time at the next start, no more."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{secrets.token_hex(4)}.tmp")
        part.write_bytes(content)
        os.replace(part, path)
