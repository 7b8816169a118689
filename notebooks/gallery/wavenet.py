"""WaveNet: speech sample by sample, by dilated convolutions that look only backwards, and made fast by keeping what they saw.

Paper: van den Oord et al., WaveNet: A Generative Model for Raw Audio, 2016 (https://arxiv.org/abs/1609.03499);
    Le Paine et al., Fast Wavenet Generation Algorithm, 2016 (https://arxiv.org/abs/1611.09482)
Data: spoken French, clips of up to 3.2 s at 8 kHz (Debian package tuxpaint-stamps-default 2022.06.04, GPL-2), 256 levels.
Needs: causal dilated convolutions, a `scan` whose carry are the past inputs of every layer.
Goal: bits a sample of clips not in training; the table of which level follows which is the baseline.
"""

# %% The data: 256 levels, finer for quiet samples
import io

import numpy as np
from result import Result, main, picture
from series import clips

import mlkit as keras
from mlkit import layers, ops

RATE, LEVELS = 8000, 256


def coded(samples):
    loud = samples / max(1e-3, np.abs(samples).max())
    return np.round((np.sign(loud) * np.log1p(255 * np.abs(loud)) / np.log(256) + 1) * (LEVELS - 1) / 2).astype("int32")


def decoded(codes):
    loud = codes * 2 / (LEVELS - 1) - 1
    return (np.sign(loud) * (256 ** np.abs(loud) - 1) / 255).astype("float32")


def bigram_bits(train, test):
    counts = np.full((LEVELS, LEVELS), 0.02)
    np.add.at(counts, (train[:-1], train[1:]), 1)
    return float(-np.log2((counts / counts.sum(1, keepdims=True))[test[:-1], test[1:]]).mean())


# %% The model, which can also go on by one sample given what each layer saw `dilation` samples ago
class Block(layers.Layer):
    def __init__(self, channels, skips, dilation, last):
        super().__init__()
        self.dilation, self.last = dilation, last
        self.conv = layers.Conv1D(2 * channels, 2, dilation_rate=dilation, padding="causal")
        self.skip = layers.Dense(skips)
        self.out = None if last else layers.Dense(channels)

    def gated(self, x, h):
        value, gate = ops.split(h, 2, axis=-1)
        h = ops.tanh(value) * ops.sigmoid(gate)
        return x if self.last else x + self.out(h), self.skip(h)

    def call(self, x):
        return self.gated(x, self.conv(x))

    def step(self, x, past):
        kernel = self.conv.kernel
        return self.gated(x, ops.matmul(past, kernel[0]) + ops.matmul(x, kernel[1]) + self.conv.bias)


class WaveNet(keras.Model):
    def __init__(self, channels, skips, depth):
        super().__init__()
        self.embed = layers.Embedding(LEVELS, channels)
        self.blocks = [Block(channels, skips, 2**k, k == depth - 1) for k in range(depth)]
        self.hidden, self.scores = layers.Dense(skips, "relu"), layers.Dense(LEVELS)

    def ending(self, skips):
        return self.scores(self.hidden(ops.relu(sum(skips[1:], skips[0]))))

    def call(self, codes):
        x, skips = self.embed(codes), []
        for block in self.blocks:
            x, skip = block(x)
            skips.append(skip)
        return self.ending(skips)

    def speak(self, noise, temperature):
        """Codes (samples,) and their scores: noise (samples, LEVELS) draws each from what the network expects."""
        channels = self.embed.output_dim

        def step(carry, x):
            code, k, queues = carry
            x_now, skips, after = self.embed(code), [], []
            for block, queue in zip(self.blocks, queues, strict=True):
                place = k % block.dilation
                after.append(ops.slice_update(queue, (place, 0), x_now))
                x_now, skip = block.step(x_now, ops.slice(queue, (place, 0), (1, channels)))
                skips.append(skip)
            scores = self.ending(skips)
            code = ops.cast(ops.argmax(scores / temperature + x, axis=-1), "int32")  # Gumbel noise draws
            return (code, k + 1, after), (code[0], scores[0])

        start = (np.full(1, LEVELS // 2, "int32"), np.int32(0), [ops.zeros((b.dilation, channels)) for b in self.blocks])
        return ops.scan(step, start, noise)[1]


def spectrogram(axes, samples, title):
    axes.specgram(np.concatenate([samples, np.zeros(256)]), NFFT=256, noverlap=128, Fs=RATE, cmap="magma", vmin=-130)
    axes.set(title=title, xlabel="seconds", ylabel="Hz")


# %% Train on windows, measure on other clips with the whole field behind each sample, and speak
def run(quick=False, seed=0):
    said = [coded(s) for _, s in clips("fr", RATE, 0.3 if quick else 3.2, made=quick)]
    order = np.random.default_rng(0).permutation(len(said))
    held_out = len(said) // 12 or 1
    train, test = (np.concatenate([said[k] for k in part]) for part in (order[held_out:], order[:held_out]))
    window, batch, steps, depth = (300, 2, 2, 3) if quick else (4096, 4, 1500, 10)
    field = 2**depth  # samples that each score depends on
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, len(train) - window - 1, steps * batch)
    x = np.stack([train[s : s + window + 1] for s in starts])
    model = WaveNet(*((4, 8) if quick else (24, 64)), depth)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(6e-3, steps), clipnorm=1.0), loss)
    losses = [float(model.train_on_batch(b[:, :-1], b[:, 1:])) for b in np.split(x, steps)]
    count = 1 if quick else min(30, (len(test) - field) // window)
    heard = np.stack([test[k * window : (k + 1) * window + field + 1] for k in range(count)])
    log_p = ops.log_softmax(model.predict(heard[:, :-1], batch_size=2, verbose=0)[:, field:])
    right = ops.take_along_axis(log_p, heard[:, field + 1 :, None], axis=-1)
    bits = -float(ops.mean(right)) / np.log(2)

    length = 64 if quick else 3 * RATE
    noise = rng.gumbel(size=(length, LEVELS)).astype("float32")
    codes, scores = (ops.convert_to_numpy(v) for v in keras.function(lambda n: model.speak(n, 0.9))(noise))
    seen = np.concatenate([[LEVELS // 2], codes[: 64 if quick else 2000]])[None, :-1].astype("int32")
    gap = float(np.abs(ops.convert_to_numpy(model(seen))[0] - scores[: seen.shape[1]]).max())
    if gap > 1e-3:
        raise ArithmeticError(f"Kept inputs give scores that are {gap} off.")

    def draw(figure):
        for axes, sound, title in zip(figure.subplots(1, 2), (test[:length], codes), ("spoken", "made"), strict=True):
            spectrogram(axes, decoded(sound), title)

    files = {"sound.png": picture(draw, 9.0, 3.0)}
    if not quick:
        import soundfile  # of the extra `gallery`

        file = io.BytesIO()
        soundfile.write(file, decoded(codes), RATE, format="OGG")
        files["sound.ogg"] = file.getvalue()
    baseline = bigram_bits(train, heard[:, field:].reshape(-1))
    text = f"kept inputs give the scores of the whole computation to {gap:.1e}"
    return Result("bits a sample", bits, baseline, round(0.85 * baseline, 3), losses, files, text, lower=True)


# %%
if __name__ == "__main__":
    main(run, __file__)
