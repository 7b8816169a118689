"""Operations: named functions that are nodes of functional models, with configs from their constructors' arguments."""

import numpy as np
import pytest

import mlkit
from mlkit import ops


class Blend(mlkit.Operation):
    def __init__(self, weight, *, shift=0.0, name=None):
        super().__init__(name=name)
        self.weight, self.shift = weight, shift

    def call(self, x, y=None):
        return x * self.weight + y * (1 - self.weight) + self.shift


class Halves(mlkit.Operation):
    def call(self, x):
        return tuple(ops.split(x, 2, axis=-1))


def test_eager_and_symbolic():
    blend = Blend(0.25, name="mix")
    np.testing.assert_allclose(np.asarray(blend(np.ones(2), y=np.zeros(2))), 0.25)
    x, y = mlkit.Input((4,)), mlkit.Input((4,))
    out = blend(x, y=y)
    assert blend.input == [x, y]
    assert blend.output is out
    assert out.shape == (None, 4)
    first, _ = Halves()(out)
    model = mlkit.Model([x, y], first)
    np.testing.assert_allclose(model([np.ones((2, 4)), np.zeros((2, 4))]).numpy(), np.full((2, 2), 0.25))
    blend(y, y=x)
    assert blend.output is out  # the first call's
    assert isinstance(mlkit.layers.Dense(1), mlkit.Operation)


def test_what_compute_output_spec_says_is_believed():
    class Counted(mlkit.Operation):
        def call(self, x):
            return ops.convert_to_tensor(x.numpy().sum(axis=1, dtype="int32"))

        def compute_output_spec(self, x):
            return mlkit.KerasTensor(x.shape[:1], "int32")

    assert Counted()(mlkit.Input((3,))).dtype == "int32"


def test_config():
    assert Blend(0.5, name="mix").get_config() == {"name": "mix", "weight": 0.5, "shift": 0.0}
    assert Blend.from_config(Blend(0.5).get_config()).weight == 0.5
    with pytest.raises(NotImplementedError, match="get_config"):
        Blend(object()).get_config()
    with pytest.raises(ValueError, match="'/'"):
        Blend(0.5, name="a/b")
    with pytest.raises(AttributeError, match="never called"):
        Halves().input  # noqa: B018


def test_a_model_with_an_operation_of_the_user_in_a_file(tmp_path):
    x = mlkit.Input((4,))
    model = mlkit.Model(x, Blend(0.25, shift=1.0)(x, y=mlkit.layers.Dense(4)(x)))
    model.save(tmp_path / "m.keras")
    again = mlkit.saving.load_model(tmp_path / "m.keras", custom_objects={"Blend": Blend})
    data = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    np.testing.assert_array_equal(again(data).numpy(), model(data).numpy())
