# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.legacy.saving import deserialize_keras_object as deserialize_keras_object
from mlkit.legacy.saving import serialize_keras_object as serialize_keras_object
