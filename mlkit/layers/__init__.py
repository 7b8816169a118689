"""Layers: the namespace `keras.layers`."""
