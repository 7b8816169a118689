"""Every public class and function takes the arguments of Keras's, by their names, in their order, with their defaults."""

import inspect

import keras
import pytest

import mlkit

NAMESPACES = (
    "",
    *(
        "activations",
        "callbacks",
        "config",
        "constraints",
        "datasets",
        "distribution",
        "dtype_policies",
        "initializers",
        "layers",
        "losses",
    ),
    *("metrics", "mixed_precision", "models", "optimizers", "optimizers.schedules", "preprocessing", "random", "regularizers"),
    *("saving", "tree", "utils"),  # `ops` and `applications` have tests of their own, in their folders
)

# what differs, and why
DIFFERENT = {
    "KerasTensor": "`spec` gives one the very sizes that a symbolic run has found",
    "Sequential": "Keras hides its arguments behind *args",
    "TerminateOnNaN": "`find`: whether to say where the NaN came from",
    "ReduceLROnPlateau": "Keras drops keywords that it does not know; mlkit refuses them",
    "load_model": "`allow_nonfinite`: files with NaN are refused unless one asks for them",
    "load_weights": "Keras's `objects_to_skip` and `by_name` are named, and `allow_nonfinite` is ours",
    "save_weights": "Keras's `objects_to_skip` is named",
    "image_dataset_from_directory": "`on_corrupt` says what becomes of files that are no images, `antialias` how they shrink",
    "AveragePooling1D": "a pool size of 2 is the default, as in the other poolings and in Keras 2",
}
REFUSED = ("OrbaxCheckpoint", "TFSMLayer")
DIFFERENT |= dict.fromkeys(REFUSED, "it refuses to be made, whatever it is given")
DIFFERENT |= {f"AveragePooling{n}D": "as AveragePooling1D" for n in "23"}
DIFFERENT |= {f"AvgPool{n}D": "as AveragePooling1D" for n in "123"}


def public(module):
    return {
        name: thing
        for name, thing in ((n, getattr(module, n)) for n in dir(module) if not n.startswith("_"))
        if callable(thing) and not inspect.ismodule(thing)
    }


def pairs():
    for namespace in NAMESPACES:
        ours, theirs = mlkit, keras
        for part in filter(None, namespace.split(".")):
            ours, theirs = getattr(ours, part), getattr(theirs, part)
        there = public(theirs)
        for name in dir(ours):
            if name in there and callable(getattr(ours, name)):
                yield pytest.param(getattr(ours, name), there[name], id=f"{namespace}.{name}".lstrip("."))


def parameters(thing):
    """name -> default of what a class or a function takes by name or position, and whether it takes any keyword."""
    found = list(inspect.signature(thing.__init__ if inspect.isclass(thing) else thing).parameters.values())
    variable = {p.kind for p in found if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    named = {p.name: p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name != "self"}
    return named, variable


def same_default(ours, theirs):
    """Whether both mean the same: one number may stand for one of each axis."""
    if callable(theirs) or callable(ours):
        return getattr(ours, "__name__", 0) == getattr(theirs, "__name__", 1)
    while isinstance(theirs, tuple) and not isinstance(ours, tuple) and len(set(theirs)) == 1:
        theirs = theirs[0]
    return type(ours) is type(theirs) and ours == theirs


def same(ours, theirs):
    (own, variable), (wanted, expected) = parameters(ours), parameters(theirs)
    if inspect.Parameter.VAR_KEYWORD in expected:  # what these are may be said
        own = {n: p for n, p in own.items() if n in wanted or p.kind is not p.KEYWORD_ONLY}
    kinds = [p.kind for p in own.values()] == [p.kind for p in wanted.values()]
    defaults = all(same_default(own[n].default, p.default) for n, p in wanted.items() if n in own)
    return list(own) == list(wanted) and kinds and defaults and variable == expected


@pytest.mark.parametrize("ours, theirs", list(pairs()))
def test_arguments(ours, theirs, request):
    name = request.node.callspec.id.split(".")[-1]
    if name in DIFFERENT:
        assert not same(ours, theirs), f"remove {name} from the table"
    else:
        assert same(ours, theirs), f"\n{inspect.signature(ours)}\n{inspect.signature(theirs)}"


# ---- methods -------------------------------------------------------------------------------------------------------------

ABSENT_METHODS = {  # a method of Keras's classes -> why it is not there
    **dict.fromkeys(
        "quantized_build quantized_call get_quantization_layer_structure".split(),
        "layers are not quantized",
    ),
    "add_metric": "in Keras it is there to raise NotImplementedError",
    **dict.fromkeys(
        "compute_loss_and_updates stateless_compute_loss jax_state_sync convert_weight inner_loop transpose_last_axis "
        "linear_to_mel_weight_matrix get_elastic_transform_params get_transformed_x_y get_shifted_bbox get_clipped_bbox "
        "interpolate_pr_auc normalized_weights get_dropout_mask get_recurrent_dropout_mask reset_dropout_mask "
        "reset_recurrent_dropout_mask get_monitor_value".split(),
        "parts of Keras's own implementation",
    ),
    **dict.fromkeys(
        "transform_single_image transform_single_label transform_single_bounding_box transform_single_segmentation_mask".split(),
        "a single image is a batch of one: transform_images and the like take it",
    ),
    "distribute_tf_dataset": "batches are cut where they are laid out, those of tf.data like others",
    "save_assets": "vocabularies stand in configs",
    **dict.fromkeys(
        [f"Function.{method}" for method in "call from_config get_config symbolic_call rematerialized_call".split()],
        "a function of symbolic tensors is called, and is no layer",
    ),
    "Operation.rematerialized_call": "layers are rematerialized, not what they are made of",
}
DIFFERENT_METHODS = {  # (class or *, method) -> why it does not take all that Keras's takes
    ("*", "train_step"): "the form of Keras's JAX backend takes the state too; that without is the form here",
    ("*", "test_step"): "as train_step",
    ("*", "predict_step"): "as train_step",
    ("*", "compute_mask"): "Keras has four names for the mask; each class here has one of them",
    ("*", "call"): "Keras's RMSNormalization alone calls its inputs x",
    ("*", "build"): "Keras's optimizers have two names for the variables, of which the base's holds for all here",
    ("Adadelta", "update_step"): "the name of the gradient is that of all other optimizers",
    ("RandomGrayscale", "get_random_transformation"): "its first argument has the name it has in all other layers",
    ("RandomGrayscale", "transform_labels"): "as get_random_transformation",
    ("RandomGrayscale", "transform_segmentation_masks"): "as get_random_transformation",
    ("*", "add_variable"): "an older name of add_weight, whose arguments it has",
    ("*", "export"): "the suffix of the file chooses the format; Keras's default is a program of TensorFlow's",
    ("Config", "get"): "the name of a key is that of mappings",
    ("Config", "pop"): "as get",
    ("KerasTensor", "reshape"): "sizes may be given one by one",
    ("TorchModuleWrapper", "from_config"): "there is no safe mode to turn off",
    **{
        ("CallbackList", f"on_{when}_{edge}"): "one function calls all: the number has one name"
        for when in ("batch", "epoch", "train_batch", "test_batch", "predict_batch")
        for edge in ("begin", "end")
    },
}


def methods():
    """(class here, class of Keras, name) of all public methods of Keras's public classes that can be made here."""
    seen = set()
    for pair in pairs():
        ours, theirs = pair.values
        name = pair.id.split(".")[-1]
        if inspect.isclass(ours) and inspect.isclass(theirs) and (ours, theirs) not in seen and name not in REFUSED:
            seen.add((ours, theirs))
            for method, value in inspect.getmembers(theirs):
                if not method.startswith("_") and callable(value) and not inspect.isclass(value):
                    yield name, ours, theirs, method


def takes_all(ours, theirs):
    """Whether a method can be called in every way in which the other can: by the same names, at the same places, with the same
    defaults. It may take more, by name and by `**kwargs`."""
    own, wanted = (list(inspect.signature(f).parameters.values()) for f in (ours, theirs))
    kinds = {p.kind for p in own}
    named = {p.name: (i, p) for i, p in enumerate(own)}
    for i, p in enumerate(wanted):
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or p.name == "_":
            continue  # what goes on to others, and what has no name
        if p.name not in named:
            if p.VAR_KEYWORD not in kinds or (p.default is p.empty and p.VAR_POSITIONAL not in kinds):
                return False
            continue
        place, own_p = named[p.name]
        if p.kind is p.POSITIONAL_OR_KEYWORD and (own_p.kind is p.KEYWORD_ONLY or place != i):
            return False
        if p.default is not p.empty and not same_default(own_p.default, p.default):
            return False
    extra = [p for p in own if p.name not in {w.name for w in wanted} and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return all(p.default is not p.empty for p in extra) or any(p.name == "_" for p in wanted)


def test_methods_take_what_those_of_keras_take():
    wrong, absent, used = [], set(), set()
    for name, ours, theirs, method in methods():
        if not hasattr(ours, method):
            key = next((k for k in (method, f"{name}.{method}") if k in ABSENT_METHODS), None)
            absent.add(key)
            if key is None:
                wrong.append(f"{name}.{method} is not there")
        elif not takes_all(getattr(ours, method), getattr(theirs, method)):
            key = next((k for k in ((name, method), ("*", method)) if k in DIFFERENT_METHODS), None)
            used.add(key)
            if key is None:
                signatures = [inspect.signature(getattr(cls, method)) for cls in (ours, theirs)]
                wrong.append(f"{name}.{method}: {signatures[0]} for {signatures[1]}")
    assert wrong == []
    assert sorted(set(ABSENT_METHODS) - absent) == [], "remove these from the table"
    assert sorted(set(DIFFERENT_METHODS) - used) == [], "remove these from the table"


@pytest.mark.parametrize("name", ["Dense", "LSTM", "ConvLSTM2D", "Conv3DTranspose"])
def test_help_shows_all_arguments(name):
    ours, _theirs = (inspect.signature(getattr(m.layers, name)) for m in (mlkit, keras))
    assert [n for n in ours.parameters if n != "kwargs"][:20] == list(parameters(getattr(mlkit.layers, name))[0])[:20]
    assert "args" not in ours.parameters


def test_arguments_by_position():
    """Those of the cell, then those of the sequence: as their order in the signature says."""
    given = (3, "relu", False, "ones", "zeros", "zeros", None, None, None, "l2", None, None, None, 0.1, 0.2, True)
    layer = mlkit.layers.SimpleRNN(*given)
    assert (layer.units, layer.use_bias, layer.recurrent_dropout, layer.return_sequences) == (3, False, 0.2, True)
    assert isinstance(layer.activity_regularizer, mlkit.regularizers.L2)
    assert layer.get_config() == mlkit.layers.SimpleRNN.from_config(layer.get_config()).get_config()


@pytest.mark.parametrize(
    "args, kwargs, message",
    [
        ((), {}, "missing 1 required positional argument: 'units'"),
        ((3, None, True, "ones"), {"kernel_initializer": "zeros"}, "multiple values for the arguments .'kernel_initializer'"),
        ((3, *[None] * 20), {}, "8 positional arguments too many"),
    ],
)
def test_wrong_arguments(args, kwargs, message):
    with pytest.raises(TypeError, match=message):
        mlkit.layers.Dense(*args, **kwargs)


WITHOUT_ARGUMENTS = [
    pytest.param(ours, id=f"{namespace}.{name}")
    for namespace in ("initializers", "constraints", "regularizers")
    for name, ours in public(getattr(mlkit, namespace)).items()
    if inspect.isclass(ours) and ours.__init__ is object.__init__ and ours.__module__.startswith("mlkit.")
]


@pytest.mark.parametrize("cls", WITHOUT_ARGUMENTS)
def test_what_takes_no_arguments_refuses_them(cls):
    for args, kwargs in ((5,), {}), ((), {"minimum": 5}):
        with pytest.raises(TypeError, match=f"{cls.__name__} takes no arguments"):
            cls(*args, **kwargs)
