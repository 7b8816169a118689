"""The models of keras.applications with weights under which numbers neither vanish nor explode, and comparisons with them."""

import contextlib
import math

import numpy as np

import mlkit
from mlkit.applications.weight_source import zeros_for_random

MIN_SIZE = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
MODULES = {  # constructor -> module with its preprocess_input; longer names first
    "MobileNetV2": "mobilenet_v2", "MobileNetV3": "mobilenet_v3", "MobileNet": "mobilenet", "EfficientNetV2": "efficientnet_v2",
    "EfficientNetB": "efficientnet", "ConvNeXt": "convnext", "DenseNet": "densenet", "InceptionV3": "inception_v3",
    "InceptionResNetV2": "inception_resnet_v2", "NASNet": "nasnet", "VGG16": "vgg16", "VGG19": "vgg19", "Xception": "xception",
    "ResNet": "resnet",
}  # fmt: skip


def module_of(name):
    """Name of the module of keras.applications in which a model's preprocess_input stands."""
    if name.startswith("ResNet"):
        return "resnet_v2" if name.endswith("V2") else "resnet"
    return next(module for start, module in MODULES.items() if name.startswith(start))


@contextlib.contextmanager
def without_initial_values(keras):
    """A block in which Keras fills weights with zeros: drawing random ones would compile a program for each shape."""
    cls = keras.initializers.VarianceScaling
    drawn = cls.__call__
    cls.__call__ = lambda self, shape, dtype=None: np.zeros(shape, dtype or "float32")
    try:
        yield
    finally:
        cls.__call__ = drawn


def keras_model(keras, name, **kwargs):
    """A model of Keras without weights worth mentioning."""
    keras.backend.clear_session()
    with without_initial_values(keras):
        return getattr(keras.applications, name)(weights=None, **kwargs)


def mlkit_model(name, **kwargs):
    """The model of the same name here, with Keras's automatic layer names."""
    mlkit.utils.clear_session()
    return getattr(mlkit.applications, name)(**kwargs)


# With these nearly all features keep away from the corners of ReLU, ReLU6 and hard swish. Where rounding decides on which side
# of a corner a feature lies, gradients in float32 (Keras's too) are right to two digits only, and large models have millions.
_START = {"gamma": 0.5, "beta": 1.5, "variance": 1.0}


def filled_model(name, x, seed=0, **kwargs):
    """A model with random weights. Its batch normalization knows the mean and variance of each feature of the images x, so
    that the numbers keep their size down the network, as in a trained one."""
    with zeros_for_random():
        model = mlkit_model(name, weights=None, **kwargs)
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        shape = tuple(variable.shape)
        if len(shape) > 1:
            fan_in = math.prod(shape[:2]) if shape[-1] == 1 else math.prod(shape[:-1])  # 1: depthwise
            variable.assign(rng.standard_normal(shape, "float32") * np.float32(math.sqrt(2 / fan_in)))
        elif len(shape) == 1:
            start = _START.get(variable.path.rpartition("/")[2], 0.0)
            variable.assign(rng.uniform(0.8 * start - 0.1, 1.2 * start + 0.1, shape).astype("float32"))
    norms = [layer for layer in model.layers if hasattr(layer, "momentum")]
    momentum = [layer.momentum for layer in norms]
    without_dropout(model)
    for layer in norms:
        layer.momentum = 0.0
        if not layer.scale:
            layer.beta.assign(2 * layer.beta)  # as far from the corner, though the spread is 1
    model(x, training=True)
    for layer, value in zip(norms, momentum):
        layer.momentum = value
        variance = layer.moving_variance.numpy()
        layer.moving_variance.assign(variance + 0.1 * variance.mean())  # a feature that is always 0 would blow up noise
    return model


def without_dropout(model):
    """Dropout draws other numbers in Keras."""
    for layer in model.layers:
        if hasattr(layer, "rate"):
            layer.rate = 0.0


def images(name, size, count=2, seed=1):
    """Images of noise with some large shapes in it, scaled by the model's own preprocess_input."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (count, 8, 8, 3)).repeat(-(-size // 8), axis=1).repeat(-(-size // 8), axis=2)
    pixels = 0.5 * coarse[:, :size, :size] + 0.5 * rng.uniform(0, 255, (count, size, size, 3))
    return getattr(mlkit.applications, module_of(name)).preprocess_input(pixels.astype("float32"))


def keras_twin(keras, model, name, **kwargs):
    """The model of Keras with the weights of one of ours."""
    twin = keras_model(keras, name, **kwargs)
    without_dropout(twin)
    take_weights(twin, model)
    return twin


def take_weights(twin, model):
    """Give a model of Keras the weights of one of ours."""
    twin.set_weights(model.get_weights())
    for layer in twin.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()  # Normalization works with copies of its weights


def keras_outputs(model, x):
    """Predictions of a Keras model, compiled as a whole."""
    import jax

    run = jax.jit(lambda trainable, other, x: model.stateless_call(trainable, other, x, training=False)[0])
    return np.asarray(run(values(model.trainable_variables), values(model.non_trainable_variables), x))


def values(variables):
    return [v.value for v in variables]


def difference(found, expected):
    """The largest difference, in units of the largest number expected."""
    assert found.shape == expected.shape
    assert np.isfinite(expected).all(), "outputs say nothing"
    assert np.ptp(expected, axis=0).max() > 1e-3 * np.abs(expected).max(), "outputs say nothing"
    return np.abs(found - expected).max() / np.abs(expected).max()


def keras_step(model, x, labels):
    """A function that gives (loss, gradients) of a Keras model in training, with the weights it then has, by jax.grad. What takes
    time is to compile it, at the first call."""
    import jax

    def loss(trainable, other):
        logits, _ = model.stateless_call(trainable, other, x, training=True)
        return -jax.nn.log_softmax(logits)[np.arange(len(labels)), labels].mean()

    compiled = jax.jit(jax.value_and_grad(loss))

    def step():
        value, gradients = compiled(values(model.trainable_variables), values(model.non_trainable_variables))
        return float(value), [np.asarray(g) for g in gradients]

    return step


def mlkit_step(model, x, labels):
    """The same of a model of ours."""
    with mlkit.GradientTape() as tape:
        logits = model(x, training=True)
        loss = mlkit.ops.mean(mlkit.ops.sparse_categorical_crossentropy(labels, logits, from_logits=True))
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    return float(loss), [mlkit.ops.convert_to_numpy(g) for g in gradients]
