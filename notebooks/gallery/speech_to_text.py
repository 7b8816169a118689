"""Speech to text: a recurrent network reads spoken Romanian, by connectionist temporal classification.

Paper: Graves, Fernandez, Gomez and Schmidhuber, Connectionist Temporal Classification, 2006; Hannun et al., Deep Speech, 2014
    (https://arxiv.org/abs/1412.5567)
Data: clips of up to 3.2 s with their texts (Debian package tuxpaint-stamps-default 2022.06.04, GPL-2); an eighth of the texts held out.
Needs: MelSpectrogram, the CTC loss, ctc_decode.
Goal: wrong characters (substituted, missing, too many) a character of texts not in training; the best constant text is the baseline.
"""

# %% The data: sound as loudness of 40 bands, every 16 ms
import numpy as np
from result import Result, main, picture
from series import clips

import mlkit as keras
from mlkit import layers, ops

RATE, LONGEST, BANDS, STRIDE = 11025, 3.2, 40, 176


def spectrograms(sounds):
    """(clips, frames, BANDS), each band of a clip scaled over the clip; silence behind it."""
    mel = layers.MelSpectrogram(512, STRIDE, 400, sampling_rate=RATE, num_mel_bins=BANDS)
    out = np.zeros((len(sounds), int(RATE * LONGEST) // STRIDE + 1, BANDS), "float32")
    for k, samples in enumerate(sounds):
        bands = ops.convert_to_numpy(mel(np.pad(samples, (0, -len(samples) % (RATE // 4))))).T  # of few lengths: few programs
        frames = len(samples) // STRIDE + 1
        out[k, :frames] = ((bands - bands[:frames].mean(0)) / (bands[:frames].std(0) + 1e-3))[:frames]
    return out


def distance(a, b):
    """Fewest characters to substitute, drop or add between two texts."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, last = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (x != y)))
    return row[-1]


def wrong(texts, found):
    return sum(map(distance, texts, found)) / sum(map(len, texts))


# %% The model: a character, or blank (0), for every 32 ms
def network(frames, units, characters):
    return keras.Sequential(
        [
            keras.Input((frames, BANDS)),
            layers.GaussianNoise(0.3),
            layers.Conv1D(units, 7, strides=2, padding="same", activation="relu"),
            layers.Dropout(0.2),
            layers.Bidirectional(layers.GRU(units, return_sequences=True)),
            layers.Dropout(0.4),
            layers.Dense(characters + 1),
        ]
    )


def read(model, x, alphabet):
    logits = model.predict(x, verbose=0)
    labels, _ = ops.nn.ctc_decode(logits, np.full(len(x), logits.shape[1]), strategy="greedy", mask_index=0)
    return ["".join(alphabet[c - 1] for c in row if c > 0) for row in ops.convert_to_numpy(labels[0])]


def alignment(model, x, alphabet):
    """A spectrogram with each character where the network finds it."""
    best = model.predict(x[None], verbose=0)[0].argmax(-1)

    def draw(figure):
        axes = figure.add_subplot()
        axes.imshow(x.T, origin="lower", aspect="auto", extent=(0, len(x) * STRIDE / RATE, 0, BANDS), cmap="magma")
        for k, c in enumerate(best):
            if c and (k == 0 or best[k - 1] != c):
                axes.text(2 * k * STRIDE / RATE, BANDS + 0.5, alphabet[c - 1].replace(" ", "␣"), fontsize=9)
        axes.set(xlabel="seconds", ylabel="mel band")

    return picture(draw, 8.0, 2.6)


# %% Train on some texts, read others
def run(quick=False, seed=0):
    said = clips("ro", RATE, LONGEST, made=quick)
    alphabet = sorted(set("".join(t for t, _ in said)))
    different = np.random.default_rng(0).permutation(sorted({t for t, _ in said}))
    held_out = set(different[: len(different) // 8])
    test = np.array([t in held_out for t, _ in said])
    x = spectrograms([s for _, s in said])
    y = np.zeros((len(said), max(len(t) for t, _ in said)), "int32")
    for k, (text, _) in enumerate(said):
        y[k, : len(text)] = [alphabet.index(c) + 1 for c in text]
    model = network(x.shape[1], 8 if quick else 128, len(alphabet))
    epochs, batch = (1, 16) if quick else (50, 32)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * -(-int((~test).sum()) // batch))
    model.compile(keras.optimizers.Adam(rate, clipnorm=5.0), keras.losses.CTC())
    history = model.fit(x[~test], y[~test], batch_size=batch, epochs=epochs, verbose=0)
    texts = [t for (t, _), out in zip(said, test, strict=True) if out]
    found = read(model, x[test], alphabet)
    baseline = min(wrong(texts, [t] * len(texts)) for t in sorted({t for t, _ in said} - held_out, key=len)[:100])
    longest = max((k for k in range(len(texts)) if texts[k] == found[k]), key=lambda k: len(texts[k]), default=0)
    files = {"alignment.png": alignment(model, x[test][longest], alphabet)}
    shown = "\n".join(f"said  {a}\nread  {b}" for a, b in list(zip(texts, found, strict=True))[:10])
    return Result("character error rate", wrong(texts, found), baseline, 0.2, history.history["loss"], files, shown, lower=True)


# %%
if __name__ == "__main__":
    main(run, __file__)
