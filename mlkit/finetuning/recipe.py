"""`finetune`: the whole recipe in one call."""

import dataclasses
import linecache

from mlkit import layers
from mlkit.core.typing import LearningRate
from mlkit.finetuning.labelled import labelled
from mlkit.finetuning.pretrained import ignored, pretrained
from mlkit.finetuning.script import script_of
from mlkit.utils.console import print_message


@dataclasses.dataclass(repr=False)
class FineTuned:
    """What `finetune` returns.

    model: from images as they are (pixels 0 to 255) to class probabilities, with its best weights. history: name -> list of
    values by epoch, of both phases. head_epochs: how many of these are of the first phase. best: the value of the best epoch.
    class_names: or None. script: the script that was run. train, validation: the data.
    """

    model: object
    history: dict
    head_epochs: int
    best: float
    class_names: list | None
    script: str
    train: object
    validation: object

    def __repr__(self) -> str:
        return f"<FineTuned {self.model.name!r}, best value {self.best:.4g} in {len(self.history['loss'])} epochs>"


def finetune(
    model,
    train,
    validation=None,
    *,
    weights: str | None = "imagenet",
    preprocess: str = "auto",
    augmentation=None,
    image_size=None,
    batch_size: int | None = 32,
    classes=None,
    head_epochs: int = 15,
    epochs: int = 3,
    learning_rate: LearningRate = 3e-3,
    fine_learning_rate=None,
    decay: float = 2.6,
    dropout: float = 0.2,
    monitor: str = "val_accuracy",
    seed: int = 0,
    save_to=None,
    verbose: bool | int | str = "auto",
):
    """Fine-tune a pretrained image classifier on images of your own, and print the script that does the same.

    The network gets its own preprocessing in front, so that the model takes images as they are, and a new head. First the head
    trains alone on a frozen network: its weights, statistics and dropout rest, and without augmentation its features are
    computed once and kept, which makes epochs after the first many times faster. Then all layers train at a lower rate, which
    falls further towards the input (`discriminative_rates`); BatchNormalization stays in inference. Both phases follow a
    one-cycle schedule. The weights of the best epoch are restored.

    Args:
        model: name of a model of `mlkit.applications` ("MobileNetV2"), its constructor, or a Model (its last Dense layer makes
            way for the new head).
        train: a folder with one sub-folder a class, a data set of images and labels, or a tuple (images, labels) of arrays.
        validation: the same for choosing the best epoch; of a folder a fifth is set aside if this is None.
        weights: what the constructor takes: "imagenet", a path, or None for random ones. A Model has its own.
        preprocess: "auto", what the weights were trained with: the application's `preprocess_input`, or the mode "torch" for a
            file of PyTorch; a function of images or a layer; None.
        augmentation: None; True for flips, small rotations and zooms; or a list of layers.
        image_size: (height, width) that images of folders are brought to, (224, 224) unless given; other data have a size.
        batch_size: for folders and arrays, and for training the head on features.
        classes: number of classes, for data sets of class numbers that have no `class_names`.
        head_epochs, epochs: epochs of the two phases; 0 leaves one out.
        learning_rate: the highest of the first phase.
        fine_learning_rate: the highest of the second; a tenth of the first unless given.
        decay: how much lower the rate is from one third of the network to the one before.
        dropout: before the head.
        monitor: the value by which the best epoch is chosen.
        seed: of everything random.
        save_to: path of a `.keras` file for the result, or None.
        verbose: of `fit`; with 0 the script is not printed either.

    Returns:
        A `FineTuned`.

    Raises:
        ValueError: arguments that do not fit each other or the data; the message says which.

    Example: `mlkit.finetune("MobileNetV2", "photos", image_size=(160, 160)).model.save("photos.keras")`
    """
    if head_epochs + epochs < 1 or min(head_epochs, epochs) < 0:
        raise ValueError(
            f"finetune: there must be epochs to train for, but got {head_epochs} for the head and {epochs} for all."
        )
    data = labelled(train, validation, image_size, batch_size, classes, seed, verbose)
    source = pretrained(model, weights, data.shape, preprocess)
    settings = {
        "seed": seed, "dropout": dropout, "monitor": monitor, "head_epochs": head_epochs, "epochs": epochs, "decay": decay,
        "learning_rate": learning_rate, "fine_learning_rate": fine_learning_rate or learning_rate / 10, "batch_size": batch_size,
        "verbose": verbose, "save_to": save_to,
    }  # fmt: skip
    script = script_of(data, source, _layers(augmentation), settings)
    if verbose != 0:
        print_message(script)
    with ignored(source.warnings):
        names = _run(script, {"train": data.train, "val": data.validation, "pretrained": model, "preprocess": preprocess})
    history = _joined([phase.history for phase in names["phases"]])
    best, trained = names["best"], names["model"]
    return FineTuned(trained, history, head_epochs, best.best, data.class_names, script, names["train"], names["val"])


def _layers(augmentation):
    if augmentation is True:
        return [layers.RandomFlip("horizontal"), layers.RandomRotation(0.05), layers.RandomZoom(0.1)]
    if augmentation in (None, False):
        return []
    if not isinstance(augmentation, (list, tuple)):
        raise ValueError(f"finetune: `augmentation` must be None, True or a list of layers, but is {augmentation!r}.")
    return list(augmentation)


def _run(script, names):
    """Run the script and return all names it defines. Its lines show in tracebacks."""
    place = f"<finetune script {id(names)}>"
    linecache.cache[place] = len(script), None, script.splitlines(True), place
    exec(compile(script, place, "exec"), names)
    return names


def _joined(histories):
    """One dict of lists of several."""
    return {k: sum((h.get(k, []) for h in histories), []) for k in histories[-1]}
