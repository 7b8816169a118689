"""LoRA: the main weight is frozen, two thin weights are trained, and files hold the corrected weight."""

import numpy as np
import pytest

import mlkit
from mlkit import layers

MAKERS = {
    "Dense": (lambda: layers.Dense(4), np.ones((2, 3), "float32"), "kernel"),
    "EinsumDense": (lambda: layers.EinsumDense("abc,cde->abde", (None, 2, 4)), np.ones((2, 5, 3), "float32"), "kernel"),
    "Conv2D": (lambda: layers.Conv2D(4, 2), np.ones((2, 5, 5, 3), "float32"), "kernel"),
    "Embedding": (lambda: layers.Embedding(6, 4), np.array([[1, 5]]), "embeddings"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_training_changes_the_thin_weights_only(name):
    make, x, weight = MAKERS[name]
    layer = make()
    model = mlkit.Sequential([layer, layers.Flatten(), layers.Dense(1)])
    before = model(x).numpy()
    layer.enable_lora(2, lora_alpha=3)
    np.testing.assert_allclose(model(x).numpy(), before, atol=1e-6)  # the correction starts as zero
    main = getattr(layer, f"_{weight}").numpy()
    model.compile("sgd", "mse")
    model.fit(x, np.ones((2 if name != "Embedding" else 1, 1)), epochs=2, verbose=0)
    np.testing.assert_array_equal(getattr(layer, f"_{weight}").numpy(), main)
    a, b = getattr(layer, f"lora_{weight}_a").numpy(), getattr(layer, f"lora_{weight}_b").numpy()
    assert np.abs(b).max() > 0
    np.testing.assert_allclose(np.asarray(getattr(layer, weight)), main + 1.5 * a @ b, atol=1e-6)

    plain = make()
    plain(x)
    store = {}
    layer.save_own_variables(store)
    plain.load_own_variables(store)
    np.testing.assert_allclose(plain(x).numpy(), layer(x).numpy(), atol=1e-5)


def test_what_lora_refuses():
    with pytest.raises(ValueError, match="not built"):
        layers.Embedding(6, 4).enable_lora(2)
    with pytest.raises(ValueError, match="constraint"):
        layers.Embedding(6, 4, embeddings_constraint="max_norm").enable_lora(2)
    layer = layers.EinsumDense("ab,bc->ac", 3, lora_rank=2)
    layer.build((None, 4))
    with pytest.raises(ValueError, match="already"):
        layer.enable_lora(2)


@pytest.mark.parametrize("name", MAKERS)
def test_configs_name_a_correction_only_where_there_is_one(name):
    plain = MAKERS[name][0]()
    config = plain.get_config()
    assert "lora_rank" not in config
    assert "lora_alpha" not in config
    for options in ({"lora_alpha": 3}, {"lora_rank": 2}, {"lora_rank": 2, "lora_alpha": 3}):
        found = type(plain).from_config({**config, **options}).get_config()
        wanted = {"lora_alpha": 2, **options} if "lora_rank" in options else {}
        assert found == {**config, **wanted}
