"""A folder with all that people's folders hold goes through the command."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import mlkit
from mlkit import layers
from mlkit.data.photo_kinds import readable_formats
from tests.finetuning.pictures import pictures, small_net

CLASSES = ["Außen – Tür", "photo of a 花", "🐶 dogs"]


def picture(shade, size=(24, 20), seed=0):
    rng = np.random.default_rng(seed)
    return Image.fromarray(np.clip(rng.integers(0, 60, (*size, 3)) + shade, 0, 255).astype("uint8"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three classes in every kind of file, and what lies between them."""
    root = tmp_path_factory.mktemp("all") / "my photos"
    endings = ["jpg", "JPG", "jpeg", "png", "bmp", "gif", "tif"] + [
        e[1:] for e in (".webp", ".avif", ".jp2") if e in readable_formats()
    ]
    for k, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for i in range(24):
            ending = endings[i % len(endings)]
            picture(60 * k, seed=100 * k + i).save(root / name / f"IMG {i:03} (copy).{ending}")
    one, two = root / CLASSES[0], root / CLASSES[1]
    picture(20).convert("CMYK").save(one / "cmyk.jpg")
    picture(20).convert("P").save(one / "palette.png", transparency=0)
    picture(20).convert("LA").save(one / "grey and alpha.png")
    Image.fromarray(np.full((20, 20), 9000, "uint16")).save(one / "16 bits.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    picture(20).save(one / "turned.jpg", exif=turned)
    picture(20, (1, 1)).save(one / "one pixel.png")
    picture(20, (3, 700)).save(one / "panorama.png")
    picture(20).save(one / f"{'long ' * 40}name.png")
    picture(20, seed=1).save(one / "animated.gif", save_all=True, append_images=[picture(90)])
    (one / "empty.jpg").touch()
    (one / "text.png").write_text("no picture")
    (two / "cut off.jpg").write_bytes((two / "IMG 000 (copy).jpg").read_bytes()[:300])
    (two / "the same again.jpg").write_bytes((two / "IMG 000 (copy).jpg").read_bytes())
    (two / "the same as other.png").write_bytes((one / "IMG 003 (copy).png").read_bytes())
    for name in ("a.HEIC", "b.heic", "c.CR2", "Thumbs.db", ".DS_Store", "._IMG 000.jpg", "notes.txt"):
        (two / name).write_bytes(b"\0\1\2")
    (root / "nothing yet").mkdir()
    for rest in ("__MACOSX", ".ipynb_checkpoints", os.path.join(CLASSES[1], ".ipynb_checkpoints")):
        (root / rest).mkdir()
        picture(0).save(root / rest / "IMG-checkpoint.jpg")
    (two / "loop").symlink_to(root, target_is_directory=True)
    (two / "gone.jpg").symlink_to(root / "nowhere.jpg")
    return root


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """The file of a small model that takes pixels, to go on from."""
    path = tmp_path_factory.mktemp("model") / "start.keras"
    options = {"preprocess": layers.Rescaling(1 / 255), "head_epochs": 1, "epochs": 0, "verbose": 0, "save_to": str(path)}
    mlkit.finetune(small_net(), pictures(16), pictures(8, seed=1), **options)
    return path


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_the_command_takes_what_can_be_read_and_says_the_rest(encoding, photos, start, tmp_path):
    command = [
        sys.executable,
        "-m",
        "mlkit",
        "finetune",
        str(photos),
        "--weights",
        str(start),
        "--output",
        str(tmp_path / "out"),
    ]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": os.path.dirname(os.path.dirname(mlkit.__file__))}
    shown = ["--json"] if encoding == "ascii" else []
    done = subprocess.run([*command, "--head-epochs", "2", "--epochs", "1", *shown], capture_output=True, env=environment)
    said = done.stderr.decode(encoding)
    assert done.returncode == 0, said
    assert "Traceback" not in said
    for words in ("no file in class nothing yet", "1 .cr2 file", "1 photo is there several times under several labels"):
        assert said.count(words) == 1, said
    left_out = [line for line in said.splitlines() if "image files could not be read and were left out" in line]
    assert all(any(name in line for line in left_out) for name in ("empty.jpg", "text.png", "cut off.jpg", "gone.jpg")), said
    assert "IMG 0" not in " ".join(left_out), said
    if ".heic" not in readable_formats():
        assert "2 .heic files: pip install pillow-heif" in said
    assert json.loads((tmp_path / "out" / "classes.json").read_text(encoding="utf-8")) == sorted(CLASSES)
    model = mlkit.models.load_model(tmp_path / "out" / "model.keras")
    assert model.output_shape == (None, 3)
    assert "report.html" in os.listdir(tmp_path / "out")
    assert sorted(model.image_task.class_names) == sorted(CLASSES)
    if shown:
        result = json.loads(done.stdout.decode(encoding))
        assert 0 <= result["val_accuracy"] <= 1
        assert result["classes"] == sorted(CLASSES)
