# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.core.mesh import DeviceMesh as DeviceMesh
from mlkit.core.mesh import TensorLayout as TensorLayout
from mlkit.distribution.calling import run as run
from mlkit.distribution.devices import get_device_count as get_device_count
from mlkit.distribution.devices import list_devices as list_devices
from mlkit.distribution.in_force import distribute_tensor as distribute_tensor
from mlkit.distribution.in_force import distribution as distribution
from mlkit.distribution.in_force import set_distribution as set_distribution
from mlkit.distribution.layout_map import LayoutMap as LayoutMap
from mlkit.distribution.processes import initialize as initialize
from mlkit.distribution.strategies import DataParallel as DataParallel
from mlkit.distribution.strategies import Distribution as Distribution
from mlkit.distribution.strategies import ModelParallel as ModelParallel
from mlkit.models.forecast import forecast as forecast
