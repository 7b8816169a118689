"""The recipe of fine-tuning as the script that a person would write: `finetune` fills it in, shows it and runs it."""

from mlkit import layers
from mlkit.objects.config_object import init_signature

_HEADER = """\
import mlkit as keras
from mlkit import finetuning, layers
from mlkit.optimizers.schedules import one_cycle

keras.utils.set_random_seed({seed!r})
{data}"""

_MODEL = """
# The pretrained network without its head, behind its own preprocessing, and a new head
{base}
inputs = x = keras.Input({shape!r})
{before}features = base(x)
x = layers.Dropout({dropout!r}, name="head_dropout")(features)
outputs = layers.Dense({units!r}, activation={activation!r}, name="head")(x)
model = keras.Model(inputs, outputs)
model.image_task = keras.models.ImageTask.of(train{kind})  # its file will know the classes, and how photos are read
recorder = finetuning.Recorder({recorder})
"""

_HEAD = """
# 1. The head alone. The network is frozen: what it makes of images that do not change is computed once
model.freeze(until="head_dropout")
trunk, head = keras.Model(inputs, features), keras.Model(features, outputs)
{head_train}
head_val = finetuning.features(trunk, {val_once})
schedule = one_cycle({rate!r}, total_steps={steps!r})
head.compile(keras.optimizers.Adam(schedule), {loss}, metrics=[{metric!r}])
head.fit({head_fit}, epochs={epochs!r}, validation_data=head_val, callbacks={head_callbacks}{weights}{verbose})
recorder.restore_best()
"""

_ALL = """
# 2. All of it, slower, and slower still towards the input. BatchNormalization keeps what it has learned
{freeze}model.unfreeze(batch_norm=False)
optimizer = keras.optimizers.Adam(one_cycle({rate!r}, total_steps={steps!r}))
optimizer.rate_factors = finetuning.discriminative_rates(model, decay={decay!r}{groups})
model.compile(optimizer, {loss}, metrics=[{metric!r}])
model.fit({fit}, epochs={epochs!r}, validation_data=val, callbacks={callbacks}{weights}{verbose})
"""


def script_of(data, source, augmentation, settings):
    """The script of a fine-tuning.

    data: `Labelled`. source: `Pretrained`. augmentation: list of layers. settings: the other arguments of `finetune`, a dict.
    """
    steps, head = data.steps(), data.head
    fit = f"*train, batch_size={data.batch_size}" if data.is_arrays else "train"
    verbose = "" if settings["verbose"] == "auto" else f", verbose={settings['verbose']!r}"
    own = settings["callbacks"]
    callbacks, head_callbacks = (
        f"[*recorder.phase({name!r}), *callbacks]" if own else f"recorder.phase({name!r})" for name in ("all", "head")
    )
    weights = "" if settings["class_weight"] is None else f", class_weight={settings['class_weight']!r}"
    common = {
        "weights": weights,
        "loss": _loss(head, settings["label_smoothing"]),
        "metric": head.metric,
        "fit": fit,
        "verbose": verbose,
        "callbacks": callbacks,
        "head_callbacks": head_callbacks,
    }
    before = "".join(f"x = {code_of(layer)}(x)\n" for layer in augmentation)
    before += f"x = {source.preprocess_code}\n" if source.preprocess_code else ""
    text = _HEADER.format(seed=settings["seed"], data="\n".join(data.code or ["# train, val: the data that was passed"]) + "\n")
    text += _MODEL.format(
        base="\n".join(source.code), shape=data.shape, before=before, dropout=settings["dropout"], units=head.units,
        activation=head.activation, recorder=_recorder(data, settings), kind=_kind(head),
    )  # fmt: skip
    head_epochs, epochs = settings["head_epochs"], settings["epochs"]
    if head_epochs:
        in_batches = f", batch_size={settings['batch_size']}"
        train = f"*train{in_batches}" if data.is_arrays else "train"
        val = f"*val{in_batches}" if isinstance(data.validation, (tuple, list)) else "val"
        if augmentation or data.mixed or settings["mixup"]:
            head_train, head_fit = f"head_train = finetuning.FreshFeatures(trunk, {train})  # augmented images do", "head_train"
        else:
            head_train, head_fit = f"head_train = finetuning.features(trunk, {train})", f"*head_train{in_batches}"
        text += _HEAD.format(
            head_train=head_train, head_fit=head_fit, val_once=val, rate=settings["learning_rate"], steps=head_epochs * steps,
            epochs=head_epochs, **common,
        )  # fmt: skip
    if epochs:
        text += _ALL.format(
            rate=float(f"{settings['fine_learning_rate']:.6g}"), steps=epochs * steps, epochs=epochs, decay=settings["decay"],
            groups="" if source.groups == 3 else f", groups={source.groups}",
            freeze="" if head_epochs else 'model.freeze(until="head_dropout")\n', **common,
        )  # fmt: skip
    text += "recorder.finish()\n"
    return text + (f"model.save({settings['save_to']!r})\n" if settings["save_to"] else "")


def _recorder(data, settings):
    """The arguments of the recorder."""
    text = f"model, monitor={settings['monitor']!r}"
    if settings["output"] is not None:
        text += f", folder={settings['output']!r}"
        text += ", class_names=train.class_names" if data.class_names else ""
    return text


def _loss(head, label_smoothing):
    """The code of the loss."""
    return f"keras.losses.CategoricalCrossentropy(label_smoothing={label_smoothing!r})" if label_smoothing else repr(head.loss)


def _kind(head):
    """What the outputs are, where they are not the probabilities of one class of several."""
    return {"multi_label": ", 'several'", "regression": ", 'values'"}.get(head.task, "")


def code_of(layer):
    """A layer as the code that makes it: its class and the arguments that differ from their defaults.

    >>> from mlkit import layers
    >>> code_of(layers.RandomFlip("horizontal"))
    "layers.RandomFlip(mode='horizontal')"
    """
    if getattr(layers, type(layer).__name__, None) is not type(layer):
        raise ValueError(f"finetune: `augment` may hold layers of mlkit.layers, but got {layer!r}. Put others into the data.")
    parameters = init_signature(type(layer)).parameters
    config = layer.get_config()
    given = {k: v for k, v in config.items() if k in parameters and v != parameters[k].default and k not in ("name", "dtype")}
    given.pop("data_format", None)  # the global setting
    return f"layers.{type(layer).__name__}({', '.join(f'{k}={v!r}' for k, v in given.items())})"
