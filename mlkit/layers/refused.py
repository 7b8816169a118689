"""Layers of Keras that run TensorFlow's programs."""

from mlkit.objects.refused import refused

TFSMLayer = refused(
    "TFSMLayer",
    "a SavedModel holds a TensorFlow program, which only TensorFlow runs. Load the model with Keras and save it as '.keras', or "
    "save its weights with model.save_weights() and build the model here.",
)
