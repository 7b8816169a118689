"""Unpack tar and zip archives that may be hostile: regular files and folders inside the target, all of them or nothing."""

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile


def unpack(archive, folder, archive_format: str = "auto"):
    """Unpack an archive into a new folder, which appears only when everything is unpacked.

    Args:
        archive: path of a tar (also compressed) or zip file.
        folder: the folder to make; one of that name is replaced.
        archive_format: "auto", "tar", "zip", or a list of these.

    Raises:
        ValueError: the file is no such archive, or it holds links, devices, or names that lead out of the folder.
    """
    kinds = (
        ["tar", "zip"] if archive_format == "auto" else [archive_format] if isinstance(archive_format, str) else archive_format
    )
    unknown = set(kinds) - set(_UNPACK)
    if unknown:
        raise ValueError(f"`archive_format` must be 'auto', 'tar' or 'zip', but is {archive_format!r}.")
    kind = next((k for k in kinds if _IS[k](archive)), None)
    if kind is None:
        raise ValueError(f"{archive} is no {' or '.join(kinds)} archive, or it is damaged.")
    parent = os.path.dirname(os.path.abspath(folder))
    with tempfile.TemporaryDirectory(dir=parent, prefix=".unpack-") as temporary:
        target = os.path.join(temporary, "content")
        os.mkdir(target)
        _UNPACK[kind](archive, target)
        if os.path.isdir(folder):
            shutil.rmtree(folder)
        os.replace(target, folder)


def _unpack_tar(archive, target):
    with tarfile.open(archive) as file:
        members = file.getmembers()
        for member in members:
            if not (member.isfile() or member.isdir()):
                raise ValueError(
                    f"{archive}: refused, {member.name!r} is a link or device. Only files and folders are unpacked."
                )
        _check_names(archive, [m.name for m in members if m.isfile()], [m.name for m in members])
        for member in members:
            _write(target, member.name, file.extractfile(member) if member.isfile() else None)


def _unpack_zip(archive, target):
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ValueError(
                    f"{archive}: refused, {member.filename!r} is a link or device. Only files and folders are unpacked."
                )
            if member.flag_bits & 1:
                raise ValueError(f"{archive}: refused, {member.filename!r} is encrypted.")
        _check_names(archive, [m.filename for m in members if not m.is_dir()], [m.filename for m in members])
        for member in members:
            _write(target, member.filename, None if member.is_dir() else file.open(member))


def _check_names(archive, files, names):
    for name in names:
        parts = name.replace("\\", "/").split("/")
        if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
            raise ValueError(f"{archive}: refused, the name {name!r} leads out of the folder it is unpacked to.")
    seen = {os.path.normpath(name) for name in files}
    if len(seen) < len(files):
        raise ValueError(f"{archive}: refused, it holds two files of the same name.")


def _write(target, name, source):
    path = os.path.join(target, os.path.normpath(name))
    os.makedirs(path if source is None else os.path.dirname(path), exist_ok=True)
    if source is not None:
        with source, open(path, "xb") as file:
            shutil.copyfileobj(source, file)


_IS = {"tar": tarfile.is_tarfile, "zip": zipfile.is_zipfile}
_UNPACK = {"tar": _unpack_tar, "zip": _unpack_zip}
