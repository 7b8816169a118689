"""Every public class and function takes the arguments of Keras's, by their names, in their order, with their defaults."""

import inspect

import keras
import pytest

import mlkit

NAMESPACES = (
    "",
    *("activations", "callbacks", "config", "constraints", "datasets", "dtype_policies", "initializers", "layers", "losses"),
    *("metrics", "mixed_precision", "models", "optimizers", "optimizers.schedules", "preprocessing", "random", "regularizers"),
    *("saving", "tree", "utils"),  # `ops` and `applications` have tests of their own, in their folders
)

# what differs, and why
DIFFERENT = {
    "KerasTensor": "`spec` gives one the very sizes that a symbolic run has found",
    "Variable": "`layout` says how a variable lies on several devices, which mlkit does not have",
    "Sequential": "Keras hides its arguments behind *args",
    "TerminateOnNaN": "`find`: whether to say where the NaN came from",
    "ReduceLROnPlateau": "Keras drops keywords that it does not know; mlkit refuses them",
    "load_model": "`allow_nonfinite`: files with NaN are refused unless one asks for them",
    "load_weights": "Keras's `objects_to_skip` and `by_name` are named, and `allow_nonfinite` is ours",
    "save_weights": "Keras's `objects_to_skip` is named",
    "image_dataset_from_directory": "`on_corrupt` says what becomes of files that are no images",
    "AveragePooling1D": "a pool size of 2 is the default, as in the other poolings and in Keras 2",
}
DIFFERENT |= {name: "it refuses to be made, whatever it is given" for name in ("OrbaxCheckpoint", "TFSMLayer")}
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


@pytest.mark.parametrize("name", ["Dense", "LSTM", "ConvLSTM2D", "Conv3DTranspose"])
def test_help_shows_all_arguments(name):
    ours, theirs = (inspect.signature(getattr(m.layers, name)) for m in (mlkit, keras))
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
