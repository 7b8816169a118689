"""A neural Turing machine: a network with a memory that it addresses learns to copy.

Paper: Graves, Wayne and Danihelka, Neural Turing Machines, 2014 (https://arxiv.org/abs/1410.5401)
Data: random rows of 8 bits, an end mark, then nothing: made here, as in the paper; 1 to 10 rows in training.
Needs: a cell of one's own, with four states of several shapes, run by the RNN layer and differentiated through it.
Goal: share of wrong bits when 20 rows are copied, twice as many as ever seen; an LSTM of as many weights is the baseline.
"""

# %% The task: what comes in, what is wanted, and where it counts
import numpy as np
from result import Result, main, picture

import mlkit as keras
from mlkit import layers, ops

BITS, LONGEST = 8, 10


def copies(count, shortest, longest, rng):
    """Inputs (count, 2 * longest + 1, BITS + 1), wanted bits and weights (count, 2 * longest + 1)."""
    steps = 2 * longest + 1
    x, y = np.zeros((count, steps, BITS + 1), "float32"), np.zeros((count, steps, BITS), "float32")
    weights = np.zeros((count, steps), "float32")
    for k, n in enumerate(rng.integers(shortest, longest + 1, count)):
        x[k, :n, :BITS] = y[k, n + 1 : 2 * n + 1] = rng.integers(0, 2, (n, BITS))
        x[k, n, BITS] = weights[k, n + 1 : 2 * n + 1] = 1
    return x, y, weights


# %% The machine: a controller of one layer, one head that writes and one that reads
class Machine(layers.Layer):
    """A cell: what comes in and what was read -> the controller's output and both heads' places."""

    def __init__(self, units, places, width):
        super().__init__()
        self.units, self.places, self.width = units, places, width
        self.state_size = [places * width, width, places, places]
        self.output_size = units + width + 2 * places
        self.controller = layers.Dense(units, "tanh")
        self.heads = [layers.Dense(width + 6) for _ in range(2)]  # a key, its strength, the gate, three shifts, the focus
        self.change = layers.Dense(2 * width)

    def build(self, shape):
        self.controller.build((None, shape[-1] + self.width))
        for part in (*self.heads, self.change):
            part.build((None, self.units))

    def get_initial_state(self, batch_size=None):
        first = ops.tile(ops.one_hot([0], self.places), (batch_size, 1))  # both heads at the first place
        return [ops.full((batch_size, size), 1e-2) for size in self.state_size[:2]] + [first, first]

    def address(self, head, h, memory, before):
        key, strength, gate, shift, focus = ops.split(
            head(h), [self.width, self.width + 1, self.width + 2, self.width + 5], axis=-1
        )
        match = ops.squeeze(ops.matmul(ops.normalize(memory, axis=-1), ops.normalize(ops.tanh(key), axis=-1)[..., None]), -1)
        by_content = ops.softmax(ops.softplus(strength) * match)
        gate, shift = ops.sigmoid(gate), ops.softmax(shift)
        place = gate * by_content + (1 - gate) * before
        place = sum(ops.roll(place, k - 1, axis=1) * shift[:, k : k + 1] for k in range(3))
        sharp = ops.power(place + 1e-8, 1 + ops.softplus(focus))
        return sharp / ops.sum(sharp, axis=-1, keepdims=True)

    def call(self, x, states, training=None):
        memory, read, writing, reading = states
        memory = ops.reshape(memory, (-1, self.places, self.width))
        h = self.controller(ops.concatenate([x, read], axis=-1))
        writing = self.address(self.heads[0], h, memory, writing)
        erased, added = ops.split(self.change(h), 2, axis=-1)
        memory = (
            memory * (1 - writing[..., None] * ops.sigmoid(erased)[:, None]) + writing[..., None] * ops.tanh(added)[:, None]
        )
        reading = self.address(self.heads[1], h, memory, reading)
        read = ops.squeeze(ops.matmul(reading[:, None], memory), 1)
        out = ops.concatenate([h, read, writing, reading], axis=-1)
        return out, [ops.reshape(memory, (-1, self.places * self.width)), read, writing, reading]


def machine(units, places, width):
    """(x -> bits, x -> places of both heads)."""
    x = keras.Input((None, BITS + 1))
    out = layers.RNN(Machine(units, places, width), return_sequences=True)(x)
    return keras.Model(x, layers.Dense(BITS)(out[..., : units + width])), keras.Model(x, out[..., units + width :])


def lstm(weights):
    """An LSTM with about so many weights."""
    units = int((-(BITS + 10 + BITS / 4) + np.sqrt((BITS + 10 + BITS / 4) ** 2 + weights)) / 2)
    return keras.Sequential([keras.Input((None, BITS + 1)), layers.LSTM(units, return_sequences=True), layers.Dense(BITS)])


# %% Train both on the same copies; the machine from other weights again where it has found no use for its memory
STARTS, LEARNED = 4, 0.02


def train(model, updates, batch, seed):
    rng = np.random.default_rng(seed)
    rate = keras.optimizers.schedules.CosineDecay(5e-3, updates)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss)
    return [float(model.train_on_batch(*copies(batch, 1, LONGEST, rng))) for _ in range(updates)]


def wrong_bits(model, rows, count, rng):
    x, y, weights = copies(count, rows, rows, rng)
    return float(((model.predict(x, verbose=0) > 0) != y)[weights > 0].mean())


def run(quick=False, seed=0):
    updates, batch, count = (2, 4, 4) if quick else (4000, 16, 200)
    for _ in range(1 if quick else STARTS):
        model, places = machine(*((16, 8, 4) if quick else (64, 32, 16)))
        losses = train(model, updates, batch, seed)
        if np.mean(losses[-100:]) < LEARNED:
            break
    plain = lstm(model.count_params())
    train(plain, updates, batch, seed)
    rng = np.random.default_rng(seed + 1)
    lines = [f"{'rows':>4} {'machine':>9} {'LSTM':>9}   wrong bits"]
    lengths = (2, 20) if quick else (5, 10, 15, 20)
    errors = {n: (wrong_bits(model, n, count, rng), wrong_bits(plain, n, count, rng)) for n in lengths}
    lines += [f"{n:4d} {a:9.2%} {b:9.2%}" for n, (a, b) in errors.items()]
    x, _y, weights = copies(1, 20, 20, rng)
    seen = places.predict(x, verbose=0)[0].T
    half = len(seen) // 2

    def draw(figure):
        parts = {"comes in": x[0].T, "bits found": 1 / (1 + np.exp(-model.predict(x, verbose=0)[0].T)) * weights[0]}
        parts |= {"written to": seen[:half], "read from": seen[half:]}
        for axes, (title, values) in zip(figure.subplots(2, 2).flat, parts.items(), strict=True):
            axes.imshow(values, aspect="auto", cmap="gray", vmin=0, vmax=1)
            axes.set(title=title, xlabel="step")

    files = {"memory.png": picture(draw, 8.0, 4.6)}
    return Result("share of wrong bits, 20 rows", *errors[20], 0.01, losses, files, "\n".join(lines), lower=True)


# %%
if __name__ == "__main__":
    main(run, __file__)
