"""EfficientNet-Lite0 with the weights that were trained on ImageNet names real photos."""

import pathlib

import numpy as np
import pytest
from PIL import Image

import mlkit
from mlkit.applications import efficientnet_lite

PHOTOS = {  # photo -> what it may be called
    "chelsea": {"tabby", "tiger_cat", "Egyptian_cat"},
    "coffee": {"espresso", "cup", "coffee_mug"},
    "rocket": {"missile", "projectile"},
}


def photo(name, size=224):
    """The middle of a photo, size x size pixels."""
    image = Image.open(pathlib.Path(__file__).parent / "photos" / f"{name}.jpg").convert("RGB")
    side = min(image.size)
    left, upper = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, upper, left + side, upper + side)).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)


@pytest.fixture(scope="module")
def model():
    return mlkit.applications.EfficientNetLite0()


def test_photos_are_named(model):
    pixels = np.stack([photo(name) for name in PHOTOS])
    found = efficientnet_lite.decode_predictions(model.predict(efficientnet_lite.preprocess_input(pixels), verbose=0))
    for (name, expected), five in zip(PHOTOS.items(), found):
        assert expected & {word for _, word, _ in five}, (name, five)
        assert five == sorted(five, key=lambda entry: -entry[2])
    assert found[0][0][1] in PHOTOS["chelsea"]
    assert found[1][0][1] == "espresso"
    assert found[2][0][1] == "missile"


def test_features_are_those_before_the_head(model):
    features = mlkit.applications.EfficientNetLite0(include_top=False, pooling="avg")
    x = efficientnet_lite.preprocess_input(photo("chelsea")[None])
    head = model.get_layer("predictions")
    logits = mlkit.ops.matmul(features(x), head.kernel) + head.bias
    np.testing.assert_allclose(mlkit.ops.softmax(logits).numpy(), model(x).numpy(), atol=1e-5)


def test_classes_have_words():
    table = mlkit.applications.imagenet_utils.class_names()
    assert len(table) == 1000
    assert table[0] == ("n01440764", "tench")
    assert table[285] == ("n02124075", "Egyptian_cat")
