"""Reading and writing models: `.keras`, `.weights.h5`, the weights of older `.h5` files. Public names: `mlkit.saving`."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(
    __name__,
    {
        ".caffe.weights": "load_caffe",
        ".graph_form": "functional_config functional_from_config is_functional_config",
        ".keras_file": "save_model",
        ".weights_file": "load_weights save_weights",
    },
)
