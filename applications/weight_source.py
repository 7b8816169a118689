"""Where the weights of a model come from: nowhere, a published file, a mirror, a path; and the way from there into the model."""

import contextlib
import dataclasses
import os

from mlkit.core.state import swapped
from mlkit.models.saving.errors import ModelFileError

_MIRROR = "MLKIT_WEIGHTS_DIR"
_TORCH_ENDINGS = (".pth", ".pt", ".bin")


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
        from mlkit.data.download import cache_folder

        folders = [f for f in (_mirror_folder(), os.path.join(cache_folder(), "models")) if f]
        paths = [os.path.join(folder, self.name) for folder in folders]
        return next((p for p in paths if os.path.exists(p)), None)

    def fetch(self):
        """Path of the file, downloaded if it is not there; its hash is compared.

        Raises OSError where it cannot be had; the message says where to put it. ValueError for another hash.
        """
        from mlkit.data import download

        mirror = os.environ.get(_MIRROR, "")
        if _mirror_folder():
            path = os.path.join(mirror, self.name)
            if os.path.exists(path):
                return self._checked(path)
        address = f"{mirror.rstrip('/')}/{self.name}" if _is_address(mirror) else self.address
        try:
            return download.get_file(self.name, address, cache_subdir="models", file_hash=self.digest)
        except OSError as error:
            raise OSError(f"{error}, or into a folder that the environment variable {_MIRROR} names.") from error

    def _checked(self, path):
        from mlkit.data.download import hash_file

        if self.digest is not None:
            algorithm = "sha256" if len(self.digest) == 64 else "md5"
            found = hash_file(path, algorithm)
            if found != self.digest:
                raise ValueError(f"{path} has the {algorithm} hash {found}, but {self.digest} is expected. Fetch it again.")
        return path


def _is_address(text):
    return text.startswith(("http://", "https://", "ftp://", "file://"))


def _mirror_folder():
    mirror = os.environ.get(_MIRROR, "")
    return mirror if mirror and not _is_address(mirror) else None


class WeightSource:
    """The argument `weights` of a model, understood.

    weights: None (random weights), "imagenet" (the file that is published for the model), or the path of a file: ".weights.h5",
    ".keras", ".h5" of Keras; ".safetensors"; ".pth", ".pt" or ".bin" with the state dict of a PyTorch model.
    """

    def __init__(self, weights):
        self.is_imagenet = isinstance(weights, str) and weights == "imagenet"
        self.path = None
        if weights is not None and not self.is_imagenet:
            self.path = os.fspath(weights)
            if not os.path.exists(self.path):
                raise ModelFileError(
                    self.path,
                    "",
                    "there is no such file.",
                    "`weights` should be None (random), 'imagenet' or the path of a file.",
                )

    @property
    def is_given(self):
        """Whether weights will be loaded at all."""
        return self.is_imagenet or self.path is not None

    def building(self):
        """A block to build the model in: where weights follow, random initial values are not drawn."""
        return zeros_for_random() if self.is_given else contextlib.nullcontext()

    def load_into(self, model, published):
        """Set the weights of a new model. published: the PublishedFile that "imagenet" means.

        Raises ModelFileError for a file that does not fit; OSError where it cannot be had.
        """
        if not self.is_given:
            return
        path = self.path if self.path else published.fetch()
        model.load_weights(path)


def zeros_for_random():
    """A block in which weights that would start with random numbers start with zeros, for others follow."""
    return swapped(
        variable_hook=lambda initializer, shape, dtype, path: _zeros if hasattr(initializer, "seed") else initializer
    )


def _zeros(shape, dtype=None):
    from mlkit.ops import zeros

    return zeros(shape, dtype=dtype)
