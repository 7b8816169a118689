"""What dropout draws in a step on each rank."""

import numpy as np

import mlkit
from mlkit import layers
from mlkit.core.state import state

mlkit.utils.set_random_seed(1)
drawn = []


class Net(mlkit.Model):
    def __init__(self):
        super().__init__()
        self.drop, self.scale = layers.Dropout(0.5, seed=3), layers.Dense(1)

    def call(self, x, training=None):
        drawn.append(self.drop(x, training=training))
        return self.scale(drawn[-1])


net = Net()
net.compile("sgd", "mse", run_eagerly=True)
net.fit(np.ones((4, 64), "float32"), np.ones((4, 1), "float32"), verbose=0, check=False)
masks = state.communicator.all_gather_values(np.asarray(drawn[-1]) != 0)
assert masks[0].shape == (2, 64)
assert not np.array_equal(masks[0], masks[1])
