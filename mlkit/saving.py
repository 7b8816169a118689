"""Saving and loading models, and the registry of your own classes: the names of `keras.saving`."""

from mlkit.objects.errors import ModelFileError
from mlkit.objects.registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from mlkit.objects.serialization import deserialize_keras_object, serialize_keras_object

__all__ = (
    "CustomObjectScope", "ModelFileError", "custom_object_scope", "deserialize_keras_object", "get_custom_objects",
    "get_registered_name", "get_registered_object", "load_model", "load_weights", "register_keras_serializable", "save_model",
    "save_weights", "serialize_keras_object",
)  # fmt: skip


def save_model(model, filepath, overwrite=True, zipped=None, **kwargs):
    """Write a whole model, with the optimizer's state, to a `.keras` file that Keras 3 reads too.

    model: the model. filepath: path ending in ".keras", or a binary file object. overwrite: False refuses to replace a file.
    zipped: False for a folder of the file's three members instead; its path must not end in ".keras".

    The file comes into being complete or not at all: it is written next to its place and then renamed.
    Raises ValueError for another ending, and for arguments that Keras 3 has given up.
    """
    from mlkit.models.saving.keras_file import save_model

    save_model(model, filepath, overwrite=overwrite, zipped=zipped, **kwargs)


def load_model(filepath, custom_objects=None, compile=True, safe_mode=True, allow_nonfinite=False):
    """The model of a `.keras` file (or of a folder, as `zipped=False` writes it), from mlkit or Keras 3.

    filepath: path, or a binary file object. custom_objects: dict name -> class or function, for your own that are not
    registered. compile: whether to compile it as it was. allow_nonfinite: whether weights may be NaN or infinite.

    A file cannot make it run code, import modules or take more memory than its weights need. `safe_mode=False` is refused.
    Raises ModelFileError for a file that is damaged, foreign, inconsistent or asks for something unknown.
    """
    from mlkit.models.saving.keras_file import load_model

    return load_model(filepath, custom_objects, compile, safe_mode, allow_nonfinite)


def save_weights(model, filepath, overwrite=True, max_shard_size=None, objects_to_skip=None):
    """Write the weights of a built model to a `.weights.h5` file that Keras 3 reads too.

    filepath: path ending in ".weights.h5". overwrite: False refuses to replace a file. objects_to_skip: layers left out.
    `max_shard_size` is not supported.
    """
    from mlkit.models.saving.weights_file import save_weights

    save_weights(model, filepath, overwrite, max_shard_size, objects_to_skip)


def load_weights(model, filepath, skip_mismatch=False, objects_to_skip=None, by_name=None, allow_nonfinite=False):
    """Read weights into a built model, all of them or (where anything is wrong) none.

    filepath: a ".weights.h5" or ".keras" file, or an older ".h5" one. skip_mismatch: leave alone, with a warning, the
    layers whose weights differ in number, shape or dtype. objects_to_skip: layers left alone (".weights.h5"). by_name: for
    ".h5", match layers by name instead of by position. allow_nonfinite: whether weights may be NaN or infinite.

    Where the file holds the layers' names, those matched by position are compared (automatic names without their numbers): the
    same names in another order are matched by name, a name that stands elsewhere is refused, new names are said in a warning.

    Raises ModelFileError for a file that is damaged, foreign or does not fit.
    """
    from mlkit.models.saving.weights_file import load_weights

    load_weights(model, filepath, skip_mismatch, objects_to_skip, by_name, allow_nonfinite)
