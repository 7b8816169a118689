"""VGG16 under the name of the module in which Keras shows it."""

from mlkit.applications.vgg import VGG16, decode_predictions, preprocess_input

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]
