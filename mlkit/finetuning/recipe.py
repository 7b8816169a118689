"""`finetune`: the whole recipe in one call."""

import dataclasses
import inspect
import linecache
import math
import os
import warnings

from mlkit import callbacks as library
from mlkit.core.settings import image_data_format
from mlkit.data.adapters import DEFAULT_BATCH_SIZE
from mlkit.data.folder_index import PassedOverWarning
from mlkit.finetuning.augmentation import Augmentation, augmentation_layers
from mlkit.finetuning.class_weights import class_weights
from mlkit.finetuning.folds import Folds, run_folds
from mlkit.finetuning.labelled import Labelled, identity, labelled
from mlkit.finetuning.options import check_options, monitor_for
from mlkit.finetuning.output_folder import OutputFolder, bytes_needed
from mlkit.finetuning.pretrained import Pretrained, ignored, opened, pretrained
from mlkit.finetuning.recorder import MODEL, read_history
from mlkit.finetuning.script import script_of
from mlkit.finetuning.soft_labels import softened
from mlkit.models import Model
from mlkit.models.keras_loader import load_model
from mlkit.pictures.charts import learning_curves
from mlkit.pictures.picture import Page
from mlkit.utils.console import print_folded, print_message


@dataclasses.dataclass(repr=False)
class FineTuned:
    """What `finetune` returns.

    Attributes:
        model: from images as they are (pixels 0 to 255) to class probabilities, with its best weights.
        history: name -> list of values by epoch, of both phases.
        head_epochs: how many of these are of the first phase.
        best: the value of the best epoch.
        class_names: or None.
        script: the script that was run.
        train, validation: the data.
        interrupted: whether Ctrl-C stopped it.
    """

    model: object
    history: dict
    head_epochs: int
    best: float
    class_names: list | None
    script: str
    train: object
    validation: object
    interrupted: bool = False

    def __repr__(self) -> str:
        epochs = len(self.history.get("loss", []))
        stopped = ", interrupted" if self.interrupted else ""
        return f"<FineTuned {self.model.name!r}, best value {self.best:.4g} in {epochs} epochs{stopped}>"

    def _repr_html_(self) -> str:
        return Page(repr(self), learning_curves(self)).html() if self.history.get("loss") else repr(self)


def finetune(
    model,
    train,
    validation=None,
    *,
    weights: str | None = "imagenet",
    preprocess: str = "auto",
    augment: Augmentation = None,
    augmentation: Augmentation = None,
    labels=None,
    task: str | None = None,
    image_size=None,
    resize: str = "stretch",
    split: str = "stratified",
    k_folds: int | None = None,
    batch_size: int | None = 32,
    classes=None,
    head_epochs: int = 15,
    epochs: int = 3,
    learning_rate: float = 3e-3,
    fine_learning_rate: float | None = None,
    decay: float = 2.6,
    dropout: float = 0.2,
    monitor: str | None = None,
    seed: int = 0,
    class_weight=None,
    mixup: float = 0.0,
    label_smoothing: float = 0.0,
    callbacks=None,
    save_to=None,
    output=None,
    resume: bool = False,
    overwrite: bool = False,
    verbose: bool | int | str = "auto",
) -> FineTuned | Folds:
    """Fine-tune a pretrained image classifier on images of your own, and print the script that does the same.

    The network gets its own preprocessing in front, so that the model takes images as they are, and a new head. First the head
    trains alone on a frozen network: its weights, statistics and dropout rest, and without augmentation its features are
    computed once and kept, which makes epochs after the first many times faster. Then all layers train at a lower rate, which
    falls further towards the input (`discriminative_rates`); BatchNormalization stays in inference. Both phases follow a
    one-cycle schedule. The weights of the best epoch are restored.

    All arguments and data are checked before the first step. Ctrl-C stops the recipe as a whole: what is returned has the best
    weights so far and says `interrupted`. (Before an epoch has ended there is nothing to return: KeyboardInterrupt is raised.)

    Args:
        model: name of a model of `mlkit.applications` ("MobileNetV2"), its constructor, or a Model or its `.keras` file: also one
            that `finetune` made (the last Dense layer makes way for the new head, and the layers before it are trained further).
        train: a folder with one sub-folder a class, a folder of photos beside a table of `labels`, a data set of images and labels,
            or a tuple (images, labels) of arrays.
        validation: the same for choosing the best epoch; of a folder a fifth is set aside if this is None.
        labels: a CSV file, below the folder or not, whose columns are names of photos and classes; classes with ";" or "|" between
            them, or a column of 0 and 1 for each, where a photo has several; or numbers to be predicted.
        task: "classification", "multi_label" (several labels a photo) or "regression" (numbers); told from the labels unless
            given. Arrays of numbers need it.
        weights: what the constructor takes: "imagenet", a path, or None for random ones. A Model has its own. A `.keras` file is
            taken for a model.
        preprocess: "auto", what the weights were trained with: the application's `preprocess_input`, or the mode "torch" for a
            file of PyTorch, or none for a model that `finetune` made; a function of images or a layer; None.
        augment: None; "light" for flips, small rotations and zooms; "strong" for larger ones and for changes of place, brightness
            and contrast; a layer or a list of layers.
        augmentation: an older name of `augment`.
        image_size: (height, width), or one number for both, that images of folders are brought to; that of the model, or 224,
            unless given. Other data have a size.
        resize: how photos of folders are brought there: "stretch", "crop" to the middle or "pad" with black borders.
        split: how photos are set aside: "stratified", a fifth of each class, or "random", a fifth of all.
        k_folds: cut the photos of a folder into so many parts by class, and train once for each, with all others, to see how much of
            the result is luck. `output` gets a folder for each.
        batch_size: for folders and arrays, and for training the head on features; 32 if None, as in `fit`.
        classes: number of classes, for data sets of class numbers that have no `class_names`.
        head_epochs, epochs: epochs of the two phases; 0 leaves one out.
        learning_rate: the highest of the first phase.
        fine_learning_rate: the highest of the second; a tenth of the first unless given.
        decay: how much lower the rate is from one third of the network to the one before.
        dropout: before the head.
        monitor: the value by which the best epoch is chosen: "val_accuracy", or for numbers "val_loss", unless given.
        seed: of everything random.
        class_weight: "balanced", so that rare classes count as much as others; a dict from class (name or number) to weight; None.
        mixup: the alpha of `MixUp`, which averages images and their labels in pairs (0.2 is usual); 0 for none.
        label_smoothing: how much of a label is spread over all classes, below 1 (0.1 is usual).
        callbacks: callbacks for the `fit` of both phases.
        save_to: path of a `.keras` file for the result, or None.
        output: a folder that holds, from the first epoch on, the best model so far, its classes, the history, the script and
            backups (see `Recorder`); None writes nothing.
        resume: go on with the run in `output` where it was killed or stopped, to the same numbers as without the break; begin
            one if there is none.
        overwrite: replace the run in `output`.
        verbose: of `fit`; with 0 the script is not printed either.

    Returns:
        A `FineTuned`; a `Folds` for `k_folds`.

    Raises:
        ValueError: arguments that do not fit each other or the data; the message says which.

    Example: `mlkit.finetune("MobileNetV2", "photos", image_size=(160, 160)).model.save("photos.keras")`
    """
    arguments = {name: value for name, value in locals().items() if name != "k_folds"}
    return plan(**arguments).run() if k_folds is None else run_folds(plan, k_folds, arguments)


@dataclasses.dataclass
class Plan:
    """A fine-tuning that has been checked and can begin. names: what its script finds defined; notes: what was found on the way
    that a person should know. finished: whether the output folder holds the result already."""

    data: Labelled
    source: Pretrained
    script: str
    settings: dict
    names: dict
    folder: OutputFolder | None
    finished: bool

    def run(self) -> FineTuned:
        """Train. See `finetune`."""
        if self.finished:
            return self._read()
        names = dict(self.names)
        interrupted = False
        with ignored((*self.source.warnings, PassedOverWarning)):  # of what has been said by now
            try:
                run_script(self.script, names)
            except KeyboardInterrupt:
                recorder = names.get("recorder")
                if recorder is None or recorder.best.weights is None:
                    raise  # nothing has been learned
                recorder.stop()
                if self.settings["save_to"]:
                    recorder.model.save(self.settings["save_to"])
                interrupted = True
        if self.folder is not None and not interrupted:
            self.folder.finish()
        recorder = names["recorder"]
        history = _joined([phase.history for phase in recorder.phases])
        return self._result(recorder.model, history, recorder.best.best, names, interrupted)

    def best_text(self, done: FineTuned) -> str:
        """The best value, in words."""
        monitor = self.settings["monitor"]
        if monitor == "val_accuracy":
            return f"accuracy on the validation photos: {done.best:.1%}"
        return f"{monitor} {done.best:.4g}"

    def evaluate(self, model, photos) -> dict[str, float]:
        """Loss and metric on other photos."""
        model.compile(loss=self.data.head.loss, metrics=[self.data.head.metric])
        return model.evaluate(photos, verbose=0, return_dict=True)

    def _read(self):
        """The result of a run that has come to its end before."""
        names = dict(self.names)
        run_script("\n".join(["import mlkit as keras", "from mlkit import finetuning", *self.data.code]), names)
        model = load_model(os.path.join(self.folder.path, MODEL))
        history, best = read_history(self.folder.path, self.settings["monitor"])
        return self._result(model, history, best, names, False)

    def _result(self, model, history, best, names, interrupted):
        head_epochs, class_names = self.settings["head_epochs"], self.data.class_names
        return FineTuned(model, history, head_epochs, best, class_names, self.script, names["train"], names["val"], interrupted)


_DEFAULTS = {p.name: p.default for p in inspect.signature(finetune).parameters.values() if p.kind is p.KEYWORD_ONLY}


def plan(model, train, validation=None, test=None, fold=None, **options) -> Plan:
    """Check what `finetune` was given (options are those of it), print what is to be run, and make the output folder ready.

    test: a folder of photos that the result will be judged by: checked with the others, kept in `data`. fold: (i, k) to set part
    number i of k aside.

    Raises ValueError where something does not fit; nothing has been written then.
    """
    options = {**_DEFAULTS, **options}
    check_options(options)
    size, verbose = options["batch_size"] or DEFAULT_BATCH_SIZE, options["verbose"]
    model, loading = opened(model, options["weights"])
    if options["image_size"] is None and isinstance(train, (str, os.PathLike)) and isinstance(model, Model):
        options["image_size"] = _input_size(model)
    names = ("labels", "task", "image_size", "resize", "split", "classes", "seed")
    one_hot = bool(options["mixup"] or options["label_smoothing"])
    data = labelled(
        train, validation, batch_size=size, one_hot=one_hot, test=test, fold=fold, **{name: options[name] for name in names}
    )
    data = softened(data, options["mixup"], options["label_smoothing"], options["seed"])
    source = pretrained(model, options["weights"], data.shape, options["preprocess"])
    source.code[:0] = loading
    if options["augment"] is not None and options["augmentation"] is not None:
        raise ValueError("finetune: `augmentation` is an older name of `augment`. Pass one of them.")
    changes = augmentation_layers(options["augmentation"] if options["augment"] is None else options["augment"])
    _check_pixels(data, source.preprocess_code)
    names = ("seed", "dropout", "head_epochs", "epochs", "decay", "learning_rate", "verbose", "mixup", "label_smoothing")
    settings = {name: options[name] for name in names}
    settings["fine_learning_rate"] = options["fine_learning_rate"] or options["learning_rate"] / 10
    settings["batch_size"], settings["monitor"] = size, monitor_for(data.head, options["monitor"])
    for name in ("save_to", "output"):
        settings[name] = None if options[name] is None else os.path.abspath(os.fspath(options[name]))  # a script runs anywhere
    settings["class_weight"] = class_weights(options["class_weight"], data)
    callbacks = library.CallbackList(options["callbacks"]).callbacks  # which checks them
    settings["callbacks"] = bool(callbacks)
    folder, finished = None, False
    if settings["output"] is not None:
        folder = OutputFolder(settings["output"])
        kept = script_of(data, source, changes, {**settings, "verbose": "auto"})  # how much is shown is no part of the run
        needed = bytes_needed(source.base.count_params())
        finished = folder.begin(kept, identity(data), options["resume"], options["overwrite"], needed)
    for note in data.notes:
        warnings.warn(f"finetune: {note}.", stacklevel=3)
    script = script_of(data, source, changes, settings)
    if verbose != 0 and data.summary:
        print_message(data.summary)
    if verbose != 0 and not finished:
        print_folded("The script that runs", script)
    found = {"train": data.train, "val": data.validation, "pretrained": model, "preprocess": options["preprocess"]}
    return Plan(data, source, script, settings, {**found, "callbacks": callbacks}, folder, finished)


def _input_size(model):
    """The (height, width) that a model takes, or None if it takes any."""
    shape = model.input_shape
    axes = (2, 3) if image_data_format() == "channels_first" else (1, 2)
    size = tuple(shape[a] for a in axes) if isinstance(shape, tuple) and len(shape) == 4 else (None,)
    return None if None in size else size


def _check_pixels(data, preprocess):
    """Warn of images in 0..1 where the model will take them for pixels."""
    first = data.first
    if preprocess is not None and first.dtype.kind == "f" and first.size and 0 < first.max() <= 1 and first.min() >= -1:
        warnings.warn(
            f"finetune: the images hold values from {first.min():.2g} to {first.max():.2g}, but are taken for pixels from 0 to 255, which "
            "the preprocessing in the model scales: nearly all is lost. Multiply them by 255, or pass preprocess=None if the model "
            "takes them as they are.",
            stacklevel=4,
        )


def run_script(script: str, names: dict) -> None:
    """Run a script, which adds the names it defines to `names`. Its lines show in tracebacks."""
    place = f"<finetune script {id(names)}>"
    linecache.cache[place] = len(script), None, script.splitlines(True), place
    exec(compile(script, place, "exec"), names)


def _joined(histories):
    """One dict of lists of several; what one of them lacks is NaN there, so that all lists have a value an epoch."""
    lengths = [max(map(len, h.values()), default=0) for h in histories]
    names = dict.fromkeys(name for h in histories for name in h)
    return {name: [v for h, n in zip(histories, lengths) for v in h.get(name, [math.nan] * n)] for name in names}
