"""mlkit: a Keras-style deep-learning library that carries its own engine."""
