"""Files in the cache folder: what was compiled or planned once and is the same at the next start of a program.

Each begins with the hash of what follows, so that one that was damaged is as good as none.
"""

import contextlib
import hashlib
import os
import pathlib
import secrets

from mlkit.core.settings import cache_folder

_HASH = hashlib.sha256
_SIZE = _HASH().digest_size


def path_of(kind, key, ending):
    """The file for a key, a text of all that its content depends on, in the folder of its kind."""
    return pathlib.Path(cache_folder(), kind, f"{_HASH(key.encode()).hexdigest()}.{ending}")


def read(path):
    """What was written, or None where it is not there or damaged."""
    with contextlib.suppress(OSError):
        whole = path.read_bytes()
        content = whole[_SIZE:]
        if whole[:_SIZE] == _HASH(content).digest():
            return content
    return None


def write(path, content):
    """Write it whole or not at all; a folder that cannot be written costs time at the next start, no more."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{secrets.token_hex(4)}.tmp")
        part.write_bytes(_HASH(content).digest() + content)
        os.replace(part, path)
