"""Real weights and real photos: EfficientNet-Lite0 learns to find trees."""

import os

import numpy as np
import pytest

import mlkit
from mlkit import visualization


@pytest.mark.slow
def test_a_head_on_real_features_finds_trees_in_another_landscape(tmp_path, monkeypatch):
    monkeypatch.setenv("MLKIT_HOME", str(tmp_path))
    folder = mlkit.datasets.aerial_trees.folder()
    done = mlkit.finetune("EfficientNetLite0", os.path.join(folder, "train"), image_size=(96, 96), epochs=0, verbose=0)
    test = mlkit.utils.image_dataset_from_directory(
        os.path.join(folder, "test"), image_size=(96, 96), shuffle=False, verbose=False
    )
    found = visualization.predictions_of(done.model, test)
    assert done.best >= 0.9
    assert found.accuracy >= 0.85
    assert np.bincount(found.labels).tolist() == [150, 150]
