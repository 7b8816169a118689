# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.models.saving.caffe.weights import load_caffe as load_caffe
from mlkit.models.saving.graph_form import functional_config as functional_config
from mlkit.models.saving.graph_form import functional_from_config as functional_from_config
from mlkit.models.saving.graph_form import is_functional_config as is_functional_config
from mlkit.models.saving.keras_file import save_model as save_model
from mlkit.models.saving.weights_file import load_weights as load_weights
from mlkit.models.saving.weights_file import save_weights as save_weights
