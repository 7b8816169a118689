# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.serving.application import app as app
from mlkit.serving.publishing import publish as publish
from mlkit.serving.ray_serve import ray_app as ray_app
from mlkit.serving.repository import write_repository as write_repository
