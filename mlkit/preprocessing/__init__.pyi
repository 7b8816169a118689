# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.data.image_folder import image_dataset_from_directory as image_dataset_from_directory
from mlkit.data.text_folder import text_dataset_from_directory as text_dataset_from_directory
from mlkit.data.timeseries import timeseries_dataset_from_array as timeseries_dataset_from_array
from mlkit.preprocessing import image as image
from mlkit.preprocessing import sequence as sequence
