"""Image classifiers, one file per family, under the names of `keras.applications`: models and the modules they stand in."""

import importlib

_MODELS = {  # module -> the models it shows here
    "convnext": ("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge"),
    "densenet": ("DenseNet121", "DenseNet169", "DenseNet201"),
    "efficientnet": tuple(f"EfficientNetB{i}" for i in range(8)),
    "efficientnet_v2": tuple(f"EfficientNetV2{kind}" for kind in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    "efficientnet_lite": tuple(f"EfficientNetLite{i}" for i in range(3)),
    "inception_resnet_v2": ("InceptionResNetV2",),
    "inception_v3": ("InceptionV3",),
    "mobilenet": ("MobileNet",),
    "mobilenet_v2": ("MobileNetV2",),
    "mobilenet_v3": ("MobileNetV3Small", "MobileNetV3Large"),
    "nasnet": ("NASNetMobile", "NASNetLarge"),
    "resnet": ("ResNet50", "ResNet101", "ResNet152"),
    "resnet_v2": ("ResNet50V2", "ResNet101V2", "ResNet152V2"),
    "vgg": ("VGG16", "VGG19"),
    "xception": ("Xception",),
}
_MODULES = {*_MODELS, "imagenet_utils", "resnet50", "vgg16", "vgg19"}
_HOME = {model: module for module, models in _MODELS.items() for model in models}

__all__ = sorted({*_MODULES, *_HOME})


def __getattr__(name):
    if name in _HOME:
        value = getattr(importlib.import_module(f"mlkit.applications.{_HOME[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"mlkit.applications.{name}")
    else:
        raise AttributeError(f"module 'mlkit.applications' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return __all__
