# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.models import checks as checks
from mlkit.models import saving as saving
from mlkit.models.answers import Answer as Answer
from mlkit.models.answers import answers_of as answers_of
from mlkit.models.answers import classify as classify
from mlkit.models.clone import clone_model as clone_model
from mlkit.models.clone import model_from_json as model_from_json
from mlkit.models.function import Function as Function
from mlkit.models.image_task import ImageTask as ImageTask
from mlkit.models.keras_loader import load_model as load_model
from mlkit.models.model import Functional as Functional
from mlkit.models.model import Model as Model
from mlkit.models.saving.keras_file import save_model as save_model
from mlkit.models.sequential import Sequential as Sequential
