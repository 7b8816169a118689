"""Image classification models, one file per family, each written with the functional API."""
