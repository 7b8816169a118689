"""Functions that tests of the engine trace: small, but with all that graphs hold (state, gradients, random numbers, control
flow)."""

from itertools import pairwise

import numpy as np

from mlkit import GradientTape, Variable, ops
from mlkit.primitives.fused import masked_scale, softmax_cross_entropy
from mlkit.primitives.random import bernoulli


def array(*shape, seed=0):
    return ops.convert_to_tensor(np.random.default_rng(seed).standard_normal(shape).astype("float32"))


class Mlp:
    """A training step of a dense network with dropout and Adam, written in ops."""

    def __init__(self, sizes=(12, 9, 7, 4), batch=6):
        rng = np.random.default_rng(0)
        pairs = list(pairwise(sizes))
        self.weights = [Variable(rng.standard_normal(s).astype("float32") * 0.3) for p in pairs for s in (p, p[1:])]
        self.slots = [[Variable(np.zeros(w.shape, "float32"), trainable=False) for w in self.weights] for _ in range(2)]
        self.key = Variable(np.array([1, 0], "uint32"), dtype="uint32", trainable=False)
        self.step = Variable(0, dtype="int32", trainable=False)
        self.x, self.y = array(batch, sizes[0]), ops.convert_to_tensor(rng.integers(0, sizes[-1], batch).astype("int32"))

    def forward(self, h):
        last = len(self.weights) - 2
        for i in range(0, len(self.weights), 2):
            h = ops.matmul(h, self.weights[i]) + self.weights[i + 1]
            if i < last:
                h = ops.relu(h)
                key = self.key.value
                self.key.assign(key + ops.array([0, 1], "uint32"))
                h = masked_scale(h, bernoulli(key, shape=h.shape, p=0.8), scale=1.25)
        return h

    def __call__(self, x, y):
        with GradientTape() as tape:
            loss = ops.mean(softmax_cross_entropy(self.forward(x), y)[0])
        self.step.assign_add(1)
        t = ops.cast(self.step, "float32")
        rate = 1e-2 * ops.sqrt(1 - ops.power(0.999, t)) / (1 - ops.power(0.9, t))
        for w, m, v, g in zip(self.weights, *self.slots, tape.gradient(loss, self.weights)):
            m.assign(m + (g - m) * 0.1)
            v.assign(v + (ops.square(g) - v) * 0.001)
            w.assign_sub(rate * m / (ops.sqrt(v) + 1e-7))
        return loss

    def state(self):
        return [v.numpy() for v in (*self.weights, *self.slots[0], *self.slots[1], self.key, self.step)]


def convolution_step():
    """Gradients of a small convolutional network with batch statistics: (function, arguments)."""
    rng = np.random.default_rng(1)
    k = Variable(rng.standard_normal((3, 3, 2, 5)).astype("float32"))
    b, s = Variable(np.zeros(5, "float32")), Variable(np.ones(5, "float32"))

    def step(x):
        with GradientTape() as tape:
            h = ops.relu(ops.conv(x, k, padding="same") + b)
            mean, variance = ops.moments(h, (0, 1, 2))
            h = ops.max_pool((h - mean) * ops.rsqrt(variance + 1e-3) * s, 2)
            loss = ops.sum(ops.sigmoid(ops.transpose(h, (0, 3, 1, 2))) ** 2)
        return loss, tape.gradient(loss, [k, b, s])

    return step, (array(2, 6, 6, 2),)


def control_flow():
    """Branches and loops, with gradients: (function, arguments)."""
    w = Variable(np.eye(3, dtype="float32") * 0.5)

    def run(x, p):
        with GradientTape() as tape:
            last, ys = ops.scan(lambda c, r: (ops.tanh(ops.matmul(c[None], w)[0] + r), c * r), ops.zeros(3), x)
            z = ops.cond(p > 0, lambda: ops.sum(last * w), lambda: ops.sum(ys))
        _, total = ops.while_loop(lambda i, t: i < 5, lambda i, t: (i + 1, t + z), (0, 0.0))
        return total, tape.gradient(z, w)

    return run, (array(4, 3), ops.convert_to_tensor(1.0))


def elementwise():
    """Broadcasting, several dtypes, results used inside and outside: (function, arguments)."""

    def run(x, row, column):
        a = x * row + column
        b = ops.where(a > 0, a, ops.exp(-a))
        c = ops.cast(ops.floor(b * 3), "int32") % 2
        d = ops.sqrt(b) - ops.cast(c, "float32")
        return b, ops.sum(d, axis=0), ops.relu(d) * 2 + row, (ops.negative(-x) + 0) * 1

    return run, (array(6, 5), array(5, seed=1), array(6, 1, seed=2))
