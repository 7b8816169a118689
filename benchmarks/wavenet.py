"""Speech sample by sample: the gallery's WaveNet (10 layers, 24 channels) against the same loop written in NumPy.

    python benchmarks/wavenet.py [--samples 4000] [--rounds 5] [--write]

All compute one sample after another from the same weights and noise, in turns. Needs the extra `jit`, whose native code is waited for.
"""

import argparse
import pathlib
import statistics
import sys
import time

import numpy as np
import processor
import report

import mlkit
from mlkit.backends.native.jit import compiler
from mlkit.core import debug

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "notebooks" / "gallery"))
from wavenet import LEVELS, WaveNet

DEPTH, CHANNELS, SKIPS, TEMPERATURE = 10, 24, 64, 0.9
BETWEEN = "<!-- WaveNet: written by benchmarks/wavenet.py -->", "<!-- end of WaveNet -->"


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def in_numpy(model):
    """What `WaveNet.speak` computes, as a function of noise (samples, LEVELS)."""
    weights = lambda layer: [w.numpy() for w in layer.weights]
    (embedding,) = weights(model.embed)
    blocks = [[*weights(b.conv), *weights(b.skip), *(weights(b.out) if b.out else (None, None))] for b in model.blocks]
    (hidden, hidden_bias), (scores, scores_bias) = weights(model.hidden), weights(model.scores)

    def speak(noise):
        code, codes = LEVELS // 2, []
        queues = [np.zeros((b.dilation, CHANNELS), "float32") for b in model.blocks]
        for k, drawn in enumerate(noise):
            x, skips = embedding[code], 0
            for (kernel, bias, skip, skip_bias, out, out_bias), queue in zip(blocks, queues, strict=True):
                place = k % len(queue)
                h = queue[place] @ kernel[0] + x @ kernel[1] + bias
                queue[place] = x
                h = np.tanh(h[:CHANNELS]) * sigmoid(h[CHANNELS:])
                skips = skips + h @ skip + skip_bias
                x = x if out is None else x + h @ out + out_bias
            last = np.maximum(np.maximum(skips, 0) @ hidden + hidden_bias, 0) @ scores + scores_bias
            code = int(np.argmax(last / TEMPERATURE + drawn))
            codes.append(code)
        return np.array(codes)

    return speak


def compiled(model, noise, mode):
    """`WaveNet.speak` as one program, whose loop is native code or stays in Python."""
    debug.JIT = mode
    speak = mlkit.function(lambda n: model.speak(n, TEMPERATURE)[0])
    speak(noise)
    compiler.wait()
    return lambda n: speak(n).numpy()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--samples", type=int, default=4000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--write", action="store_true", help="write the figures into docs/performance.md")
    given = options.parse_args()
    about = processor.about()
    mlkit.utils.set_random_seed(0)
    model = WaveNet(CHANNELS, SKIPS, DEPTH)
    model(np.zeros((1, 8), "int32"))
    noise = np.random.default_rng(0).gumbel(size=(given.samples, LEVELS)).astype("float32")
    ways = {
        "native code": compiled(model, noise, "wait"),
        "without native code": compiled(model, noise, "off"),
        "NumPy": in_numpy(model),
    }
    codes = {name: speak(noise) for name, speak in ways.items()}
    found = {name: [] for name in ways}
    for _ in range(given.rounds):
        for name, speak in ways.items():
            began = time.process_time()
            speak(noise)
            found[name].append((time.process_time() - began) / given.samples * 1e6)
    times = {name: statistics.median(f) for name, f in found.items()}
    heads = "WaveNet", "a sample, us of the processor", "of NumPy's", "codes as NumPy's"
    lines = [report.row(*heads), report.row(*["---"] * len(heads))]
    for name, us in times.items():
        same = np.mean(codes[name] == codes["NumPy"])
        lines.append(report.row(name, f"{us:.1f}", f"{us / times['NumPy']:.2f}", f"{same:.1%}"))
    print("\n".join(lines))
    if given.write:
        about = f"{about}; {given.rounds} rounds of {given.samples} samples."
        report.replace_between(*BETWEEN, "\n".join([about, "", *lines]))


if __name__ == "__main__":
    main()
