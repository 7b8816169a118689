# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.models.keras_loader import load_model as load_model
from mlkit.models.saving.caffe.weights import load_caffe as load_caffe
from mlkit.models.saving.file_editor import KerasFileEditor as KerasFileEditor
from mlkit.models.saving.keras_file import save_model as save_model
from mlkit.models.saving.weights_file import load_weights as load_weights
from mlkit.models.saving.weights_file import save_weights as save_weights
from mlkit.objects.errors import ModelFileError as ModelFileError
from mlkit.objects.registry import CustomObjectScope as CustomObjectScope
from mlkit.objects.registry import custom_object_scope as custom_object_scope
from mlkit.objects.registry import get_custom_objects as get_custom_objects
from mlkit.objects.registry import get_registered_name as get_registered_name
from mlkit.objects.registry import get_registered_object as get_registered_object
from mlkit.objects.registry import register_keras_serializable as register_keras_serializable
from mlkit.objects.serialization import deserialize_keras_object as deserialize_keras_object
from mlkit.objects.serialization import serialize_keras_object as serialize_keras_object
