"""The models that are measured, written once against the Keras API.

Each function takes the module under test (Keras, or `import mlkit as keras`) and returns (model, x, y, compile arguments): one
batch of data drawn by NumPy from a fixed seed.
"""

import numpy as np

SPARSE = dict(loss="sparse_categorical_crossentropy")


def _images(batch, size, channels, classes):
    rng = np.random.default_rng(0)
    return rng.random((batch, size, size, channels), "float32"), rng.integers(0, classes, (batch,))


def _tokens(batch, length, words, classes):
    rng = np.random.default_rng(0)
    return rng.integers(0, words, (batch, length)).astype("int32"), rng.integers(0, classes, (batch,))


def mlp(keras):
    """784-512-512-10 with dropout, as for MNIST; batch 128."""
    layers = keras.layers
    model = keras.Sequential([keras.Input((784,))])
    for _ in range(2):
        model.add(layers.Dense(512, activation="relu"))
        model.add(layers.Dropout(0.2))
    model.add(layers.Dense(10, activation="softmax"))
    x, y = _images(128, 28, 1, 10)
    return model, x.reshape(128, 784), y, dict(SPARSE, optimizer="adam", metrics=["accuracy"])


def convnet(keras):
    """Two convolutions with pooling on 28x28 images; batch 128."""
    layers = keras.layers
    model = keras.Sequential([keras.Input((28, 28, 1))])
    for filters in (32, 64):
        model.add(layers.Conv2D(filters, 3, activation="relu"))
        model.add(layers.MaxPooling2D())
    for layer in (layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation="softmax")):
        model.add(layer)
    return model, *_images(128, 28, 1, 10), dict(SPARSE, optimizer="adam", metrics=["accuracy"])


def cifar_resnet(keras):
    """ResNet-20 on 32x32 images (He et al., CVPR 2016, section 4.2) with projection shortcuts; batch 128."""
    layers = keras.layers

    def conv_norm(x, filters, size=3, strides=1):
        x = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    def block(x, filters, strides):
        y = layers.ReLU()(conv_norm(x, filters, strides=strides))
        y = conv_norm(y, filters)
        if strides != 1 or x.shape[-1] != filters:
            x = conv_norm(x, filters, size=1, strides=strides)
        return layers.ReLU()(layers.Add()([x, y]))

    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(conv_norm(inputs, 16))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        for first in (True, False, False):
            x = block(x, filters, strides if first else 1)
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    sgd = keras.optimizers.SGD(0.1, momentum=0.9)
    return keras.Model(inputs, outputs), *_images(128, 32, 3, 10), dict(SPARSE, optimizer=sgd, metrics=["accuracy"])


def resnet50(keras):
    """ResNet50 on 224x224 images; batch 16."""
    model = keras.applications.ResNet50(weights=None, classes=10)
    return model, *_images(16, 224, 3, 10), dict(SPARSE, optimizer=keras.optimizers.SGD(0.01, momentum=0.9))


def mobilenetv2(keras):
    """MobileNetV2 on 224x224 images; batch 16."""
    model = keras.applications.MobileNetV2(weights=None, classes=10)
    return model, *_images(16, 224, 3, 10), dict(SPARSE, optimizer=keras.optimizers.SGD(0.01, momentum=0.9))


def finetune(keras):
    """A new head on a frozen MobileNetV2, 160x160 images; batch 32."""
    shape = (160, 160, 3)
    base = keras.applications.MobileNetV2(weights=None, include_top=False, pooling="avg", input_shape=shape)
    base.trainable = False
    inputs = keras.Input(shape)
    features = keras.layers.Dropout(0.2)(base(inputs, training=False))
    model = keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(features))
    return model, *_images(32, 160, 3, 5), dict(SPARSE, optimizer="adam", metrics=["accuracy"])


def lstm(keras):
    """Embedding and LSTM of 128 units over 80 tokens, two classes; batch 32."""
    layers = keras.layers
    parts = [layers.Embedding(20000, 128), layers.LSTM(128), layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential([keras.Input((80,), dtype="int32"), *parts])
    x, y = _tokens(32, 80, 20000, 2)
    return model, x, y[:, None], dict(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])


def transformer(keras):
    """Four pre-norm encoder blocks of width 256 with 8 heads over 128 tokens; batch 16."""
    layers = keras.layers
    inputs = keras.Input((128,), dtype="int32")
    x = layers.Embedding(8000, 256)(inputs)
    for _ in range(4):
        h = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(8, 32)(h, h)])
        h = layers.Dense(1024, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(256)(h)])
    outputs = layers.Dense(20, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    return keras.Model(inputs, outputs), *_tokens(16, 128, 8000, 20), dict(SPARSE, optimizer="adam")


WORKLOADS = {f.__name__: f for f in (mlp, convnet, cifar_resnet, resnet50, mobilenetv2, finetune, lstm, transformer)}
