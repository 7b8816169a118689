"""ResNet50 under the name of the module in which Keras shows it too."""

from mlkit.applications.resnet import ResNet50, decode_predictions, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
