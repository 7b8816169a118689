"""What the recipe and its parts refuse before anything is trained, in words, and how their results show themselves."""

import os

import numpy as np
import pytest

import mlkit
from mlkit import finetuning, layers
from mlkit.__main__ import main
from mlkit.finetuning.cross_validation import cross_validated
from tests.finetuning.pictures import folder, pictures, small_net

IMAGES, CLASSES = pictures(8)
ONE_HOT = np.eye(2, dtype="float32")[CLASSES]
DATASET = mlkit.data.Dataset.from_tensor_slices((IMAGES, CLASSES)).batch(4)


class Own(mlkit.utils.PyDataset):
    """Two batches, of which only the iteration tells."""

    num_batches = 2

    def __getitem__(self, index):
        return IMAGES, ONE_HOT


class Endless(Own):
    num_batches = None


REFUSED = {
    "another task": ({"task": "segmentation"}, "`task` must be one of classification, "),
    "another way to resize": ({"resize": "bend"}, "`resize` must be one of stretch, crop, pad, but is 'bend'"),
    "weights in words": ({"class_weight": "rare first"}, "must be 'balanced' or a dict, but is 'rare first'"),
    "a list of weights": ({"class_weight": [1.0, 2.0]}, "must be 'balanced' or a dict, but is \\[1.0, 2.0\\]"),
    "weights of numbers": ({"class_weight": {0: 2.0}, "task": "regression"}, "for one class a photo; this is regression"),
    "balanced, labels unknown": ({"class_weight": "balanced", "train": DATASET, "classes": 2}, "all labels must be known"),
    "smoothed numbers": ({"label_smoothing": 0.1, "task": "regression"}, "for one class of several a photo"),
    "smoothed numbers of classes": ({"label_smoothing": 0.1, "train": DATASET, "classes": 2}, "must yield one-hot labels"),
    "mixed, no Dataset": (
        {"mixup": 0.2, "train": Own(), "validation": (IMAGES, ONE_HOT)},
        "`mixup` is for folders, arrays and `Dataset`s",
    ),
    "batches without number": ({"train": Endless(), "validation": (IMAGES, ONE_HOT)}, "does not know its number of batches"),
    "rows as numbers": ({"task": "regression", "train": (IMAGES, np.zeros((8, 2, 2)))}, r"shape \(batch,\) or \(batch, n\)"),
    "several labels in one column": ({"task": "multi_label"}, r"rows of 0 and 1, \(batch, classes\), but have shape \(8,\)"),
    "no labels": ({"train": mlkit.data.Dataset.from_tensor_slices(IMAGES).batch(4), "classes": 2}, "has no labels"),
    "a model file of another kind": ({"save_to": "model.h5"}, "`save_to` must end in .keras"),
    "nowhere": ({"save_to": os.path.join("nowhere", "m.keras")}, "but there is no folder"),
    "both at once": ({"output": "o", "resume": True, "overwrite": True}, "Pass one of them"),
    "another monitor": ({"monitor": "val_f1"}, "`monitor` must be one of val_accuracy, val_loss, accuracy, loss"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path, monkeypatch):
    options, words = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    given = {
        "model": small_net(),
        "train": (IMAGES, CLASSES),
        "validation": (IMAGES, CLASSES),
        "preprocess": None,
        "verbose": 0,
    }
    with pytest.raises(ValueError, match=words):
        mlkit.finetune(**{**given, **options})
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("photos"), 24)


OF_FOLDERS = {
    "arrays beside": ({"validation": (IMAGES, CLASSES)}, "`validation` must be one, too, or None"),
    "sub-folders and another task": ({"task": "regression"}, "Sub-folders stand for classes; for the task 'regression'"),
    "another split": ({"split": "by day"}, "`split` must be one of stratified, random, but is 'by day'"),
    "parts and one model": ({"k_folds": 2, "save_to": "m.keras"}, "pass `output`, a folder, in place of `save_to`"),
    "one part": ({"k_folds": 1}, "`k_folds` must be a whole number, 2 or more"),
}


@pytest.mark.parametrize("name", OF_FOLDERS)
def test_what_is_refused_of_folders(name, photos):
    options, words = OF_FOLDERS[name]
    with pytest.raises(ValueError, match=words):
        mlkit.finetune("MobileNet", photos, **{"weights": None, "image_size": 32, "verbose": 0, **options})


@pytest.mark.parametrize("wrong", ["file", "text", "script"])
def test_a_folder_that_holds_no_run(wrong, tmp_path):
    out = tmp_path / "out"
    words = {"file": "a file is in its place", "text": "run.json cannot be read", "script": "holds no run to go on with"}[wrong]
    if wrong == "file":
        out.touch()
    else:
        out.mkdir()
        (out / "run.json").write_text("{" if wrong == "text" else '{"finished": false}')
    with pytest.raises(ValueError, match=words):
        mlkit.finetune(
            small_net(), (IMAGES, CLASSES), (IMAGES, CLASSES), preprocess=None, output=out, resume=wrong == "script", verbose=0
        )


PARTS = {
    "no batches": (lambda: finetuning.features(small_net(), []), "features: "),
    "another kind of file": (lambda: finetuning.KeepBest(small_net(), filepath="best.h5"), "must end in .weights.h5 or .keras"),
    "a seed for all": (lambda: several(seed=3), "pass `seeds`, a list of them, in place of `seed`"),
    "one fold": (lambda: cross_validated(small_net(), (IMAGES, CLASSES), folds=1), "`folds` must be from 2 to .* 8, but is 1"),
    "more folds than photos": (lambda: cross_validated(small_net(), (IMAGES, CLASSES), folds=9), "`folds` must be from 2 to"),
    "no Dense": (lambda: cross_validated(small_net(head=False), (IMAGES, CLASSES)), "'small' has no Dense layer"),
    "two steps": (lambda: mlkit.lr_find(compiled(), IMAGES, CLASSES, steps=2), "`steps` must be at least 3, but is 2"),
    "no finite loss": (lambda: mlkit.lr_find(compiled(np.nan), IMAGES, CLASSES, steps=5), "not finite even at the lowest rate"),
}


def several(**options):
    return finetuning.finetune_several(small_net(), (IMAGES, CLASSES), (IMAGES, CLASSES), preprocess=None, verbose=0, **options)


def compiled(factor=1.0):
    model = mlkit.Sequential([mlkit.Input((16, 16, 3)), layers.Rescaling(factor), layers.Flatten(), layers.Dense(2)])
    model.compile(
        mlkit.optimizers.LossScaleOptimizer(mlkit.optimizers.SGD()),
        mlkit.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


@pytest.mark.parametrize("name", PARTS)
def test_what_parts_refuse(name):
    call, words = PARTS[name]
    with pytest.raises(ValueError, match=words):
        call()


def test_photos_are_judged_by_heads_that_have_not_seen_them():
    """Labels that are turned round are found; arrays do as well as folders."""
    images, y = pictures(40)
    wrong = y.copy()
    wrong[[3, 8]] = 1 - wrong[[3, 8]]
    judged = cross_validated(small_net(), (images, wrong), class_names=["below", "above"], folds=4)
    assert set(np.flatnonzero(judged.probabilities.argmax(1) != wrong)) >= {3, 8}


def test_a_search_shows_itself():
    search = mlkit.lr_find(compiled(1 / 255), IMAGES, CLASSES, steps=12, batch_size=4)
    assert repr(search) == f"<LearningRateSearch of {len(search.rates)} steps, suggestion {search.suggestion:.2g}>"
    assert "Learning rate search" in search._repr_html_()
    rising = finetuning.LearningRateSearch(np.geomspace(1e-3, 1, 10), np.linspace(1, 9, 10))
    assert rising.suggestion == 1e-3, "the lowest rate, where the loss only rises"


def test_several_runs_keep_the_best(tmp_path):
    runs = several(seeds=[4], head_epochs=1, epochs=0, batch_size=8, save_to=tmp_path / "best.keras")
    assert repr(runs) == f"<SeveralRuns {runs}>"
    assert runs.spread == 0
    saved = mlkit.models.load_model(tmp_path / "best.keras")
    assert all(map(np.array_equal, saved.get_weights(), runs.best.model.get_weights()))


def test_the_command_photos(photos, capsys):
    assert main(["photos", str(photos), "--json"]) == 0
    assert '"photos": 24' in capsys.readouterr().out
    assert main(["photos", str(photos), "--quiet", "--smallest-class", "20"]) == 0
    assert "12" in capsys.readouterr().out
    assert main(["photos", str(photos), "--html", str(photos / "nowhere" / "page.html")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_the_command_with_no_seeds(photos, capsys):
    assert main(["finetune", str(photos), "--seeds", "0"]) == 2
    assert "--seeds must be a number from 1 on, but is 0" in capsys.readouterr().err
