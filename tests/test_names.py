"""Every public name of Keras resolves, or says why it does not."""

import json
import types

import keras
import numpy as np
import pytest

import mlkit

REFUSED = {  # what resolves and refuses to be used: the names of Keras -> a word of the reason
    "layers.TFSMLayer": "SavedModel",
    "callbacks.OrbaxCheckpoint": "ModelCheckpoint",
    "config.enable_unsafe_deserialization": "custom_objects",
    **{f"optimizers.legacy.{n}": f"optimizers.{n}" for n in ("Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop", "SGD")},
}


def public_names():
    """The names of all that Keras exports, namespaces left out."""
    seen, todo = set(), [(keras, "")]
    while todo:
        module, path = todo.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        for name in sorted(vars(module)):
            value = getattr(module, name)
            if name.startswith("_") or name == "src":
                continue
            if not isinstance(value, types.ModuleType):
                yield path + name
            elif value.__name__.startswith("keras.") and not value.__name__.startswith("keras.src"):
                todo.append((value, f"{path}{name}."))


def resolved(path):
    found = mlkit
    for part in path.split("."):
        found = getattr(found, part)
    return found


def test_all_public_names_resolve_or_say_why_not():
    missing = {}
    for path in public_names():
        try:
            resolved(path)
        except AttributeError as error:
            missing[path] = str(error)
    reasons = mlkit._ABSENT
    of = {path: next((key for key in reasons if path == key or path.startswith(f"{key}.")), None) for path in missing}
    assert [path for path in missing if of[path] is None] == []
    assert [path for path, said in missing.items() if reasons[of[path]] not in said] == []
    assert set(reasons) == set(of.values())  # none is out of date


@pytest.mark.parametrize("path", REFUSED)
def test_what_refuses_says_why(path):
    with pytest.raises((NotImplementedError, ImportError, ValueError), match=REFUSED[path]):
        resolved(path)()


# ---- small ones ----------------------------------------------------------------------------------------------------------


def test_same_paths():
    for k in (keras, mlkit):
        k.tree.assert_same_paths([0, {"b": (1, 2)}], (5, {"b": [6, 7]}))
        for other in ([0], [0, 1], [0, {"c": (1, 2)}], [0, {"b": (1,)}]):
            with pytest.raises(ValueError, match="don't have the same paths"):
                k.tree.assert_same_paths([0, {"b": (1, 2)}], other)


def test_uids_are_those_of_automatic_names():
    found = []
    for k in (keras, mlkit):
        k.backend.clear_session(free_memory=False)
        found.append([k.backend.get_uid("dense"), k.layers.Dense(1).name, k.backend.get_uid("dense"), k.backend.get_uid("x")])
    assert found[0] == found[1]


def test_source_inputs():
    for k in (keras, mlkit):
        a, b, c = (k.Input((2,), name=n) for n in "abc")
        y = k.layers.Add()([k.layers.Dense(2)(b), k.layers.Multiply()([a, b])])
        assert [t.name for t in k.utils.get_source_inputs(y)] == ["b", "a"]
        assert k.utils.get_source_inputs(c)[0] is c


def test_config():
    for k in (keras, mlkit):
        config = k.utils.Config(rate=0.1)
        config.steps, config["name"] = 3, "x"
        assert (config.rate, config["steps"], config.get("none", 5), len(config), "rate" in config) == (0.1, 3, 5, 3, True)
        assert json.loads(config.to_json()) == config.as_dict() == {"rate": 0.1, "steps": 3, "name": "x"}
        assert list(config) == ["name", "rate", "steps"]
        with pytest.raises(AttributeError, match="Did you mean 'rate'"):
            _ = config.ratr
        config.freeze()
        for change in (
            lambda c=config: setattr(c, "rate", 1),
            lambda c=config: c.pop("rate"),
            lambda c=config: c.update(rate=1),
        ):
            with pytest.raises(ValueError, match="frozen"):
                change()
        config.unfreeze()
        config.update(rate=2)
        assert config.pop("rate") == 2
        assert "rate" not in config


def test_legacy_serialization():
    for k in (keras, mlkit):
        for home in (k.legacy.saving, k.utils.legacy):
            form = home.serialize_keras_object(k.layers.Dense(3, name="d"))
            assert form["class_name"] == "Dense"
            again = home.deserialize_keras_object(form, module_objects={"Dense": k.layers.Dense})
            assert again.get_config() == k.layers.Dense(3, name="d").get_config()
            assert home.serialize_keras_object(None) is None
    with pytest.raises(ValueError, match="Unknown object"):
        mlkit.legacy.saving.deserialize_keras_object("nothing", module_objects={})


def test_slogdet_stands_in_both_namespaces():
    assert mlkit.ops.numpy.slogdet is mlkit.ops.slogdet


def test_nnx_is_off():
    assert mlkit.config.is_nnx_enabled() is False
    assert np.isscalar(mlkit.backend.get_uid("y"))
