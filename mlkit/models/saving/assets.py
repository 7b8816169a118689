"""Assets: files that a layer writes beside its variables (`save_assets`) and reads again (`load_assets`), vocabularies say.

They are the members "assets/<path of the layer>/<file>" of a model file. A layer is handed a folder, so this is the one place where
members become files: in a private temporary folder, under names that were checked, for layers that ask for them, and not for longer
than the call.
"""

import os
import stat
import tempfile
from typing import Any

from mlkit.models.saving.walk import parts
from mlkit.models.saving.zip_reader import check_name
from mlkit.objects.errors import ModelFileError

ASSETS = "assets/"


def written_assets(model: Any):
    """(name of the member, path of the file) of all that the parts of a model write; a file is there until the next is asked for."""
    for place, part in parts(model):
        if not hasattr(part, "save_assets"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            part.save_assets(folder)
            for name, path in files_below(folder):
                member = "/".join(p for p in (ASSETS.rstrip("/"), place, name) if p)
                check_name(member, "")
                yield member, path


def files_below(folder):
    """(name, path) of the regular files in a folder and those within, names with "/". Raises ModelFileError for links."""
    todo = [("", folder)]
    while todo:
        prefix, path = todo.pop()
        for entry in sorted(os.scandir(path), key=lambda e: e.name):
            if entry.is_dir(follow_symlinks=False):
                todo.append((f"{prefix}{entry.name}/", entry.path))
            elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                yield prefix + entry.name, entry.path
            else:
                raise ModelFileError(folder, prefix + entry.name, "it is a link or device; a model has plain files.")


def read_assets(model: Any, archive):
    """Hand the parts of a new model their assets. archive: a checked Archive or Folder.

    Raises ModelFileError for assets that no part of the model asks for.
    """
    members = [name for name in archive.members if name.startswith(ASSETS)]
    if not members:
        return
    left = set(members)
    for place, part in parts(model):
        below = f"{ASSETS}{place}/" if place else ASSETS
        own = [name for name in members if name.startswith(below)] if hasattr(part, "load_assets") else []
        if own:
            left.difference_update(own)
            with tempfile.TemporaryDirectory() as folder:
                for name in own:
                    path = os.path.join(folder, *name.removeprefix(below).split("/"))
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    with open(path, "xb") as file:
                        file.write(archive.read(name))
                part.load_assets(folder)
    if left:
        raise ModelFileError(
            archive.path, min(left), "it belongs to a layer that has no load_assets().", "Load it with the layer's own class."
        )
