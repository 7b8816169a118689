"""Draws models of layers and compares them with Keras: `python -m tests.fuzz.against_keras --count 100 --seed 7`.

A model is 3 to 8 layers of the table of samples, in a chain or with branches, with arguments inside their ranges and, in one of
three models, one just outside. Both libraries build it from one source text, get the same weights, and must agree: in what they
refuse, in configs, in predictions, in the losses and metrics of three training steps, and in predictions of each other's files.
A model on which they do not is made smaller and printed as a script of a few lines.

Keras runs on the backend that KERAS_BACKEND names: with "torch" a model takes a tenth of the time that JAX needs to compile it,
and what disagrees there is asked again of Keras on JAX: where mlkit agrees with that, it is Keras that disagrees with itself.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import functools
import json
import logging
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
import warnings
import zipfile

os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported

import keras
import numpy as np

import mlkit
from tests.fuzz.drawn_models import Call, Drawn, draw, shrunk  # noqa: F401  (scripts that are printed import Call and Drawn)
from tests.models.saving.test_keras_files import differences

STEPS = 3
TOLERANCE = 1e-3  # of an array's largest number
ROUNDINGS = [1e-7, 1e-6] * 4  # how far inputs and weights are moved, relatively
AGREE = "same", "same but for rounding", "refused", "refused by one", "Keras disagrees with itself"


class Disagreement(Exception):
    """kind: what the libraries disagree about, by which a smaller model is known to fail in the same way."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


def check(drawn):
    """Raise Disagreement where the libraries differ. Returns one of AGREE."""
    x = drawn.arrays()
    ours, refusal = _attempt(lambda: _weighted(drawn, mlkit, x))
    theirs, other = _attempt(lambda: _weighted(drawn, keras, x, None if ours is None else ours.get_weights()))
    if refusal or other:
        if (refusal and other) or drawn.outside:
            return "refused" if refusal and other else "refused by one"
        if isinstance(other, Disagreement) and _attempt(lambda: _weighted(drawn, keras, x))[1]:
            return "Keras disagrees with itself"  # it builds the model for shapes that its layers do not return
        who, error = ("mlkit", refusal) if refusal else ("Keras", other)
        raise Disagreement(f"only {who} refuses", f"{type(error).__name__}: {str(error)[:300]}")
    if (a := [w.path for w in ours.weights]) != (b := [w.path for w in theirs.weights]):
        raise Disagreement("paths", f"{a} and {b}")
    weights, expected = ours.get_weights(), _outputs(ours, x)
    rounded = _agree("predictions", expected, _outputs(theirs, x), lambda: _moved(drawn, x, weights, _outputs))
    with tempfile.TemporaryDirectory() as folder:
        _check_files(ours, theirs, x, [expected, _outputs(theirs, x)], folder)
    is_float = all(dtype == "float32" for dtype in (*_trained_dtypes(ours, x), *_trained_dtypes(theirs, x)))
    # and it keeps losses of outputs under the names of their layers, so that those of one layer overwrite each other
    is_named = len(expected) == max(1, len(drawn.outputs))
    if ours.trainable_weights and is_float and is_named and all(np.isfinite(y).all() for y in expected):
        y = drawn.labels([y.shape for y in expected])
        train = functools.partial(_trained, drawn, y=y)
        (a, refusal), (b, other) = _attempt(lambda: train(ours, x)), _attempt(lambda: train(theirs, x))
        if refusal and "No gradients provided" in str(refusal):  # the words of Keras's optimizers, but on JAX a gradient is 0
            return "refused"
        if bool(refusal) != bool(other):
            raise Disagreement(f"only {'mlkit' if refusal else 'Keras'} refuses to train", str(refusal or other)[:300])
        rounded |= not refusal and _agree("training", a, b, lambda: _moved(drawn, x, weights, train))
    return "same but for rounding" if rounded else "same"


def _attempt(function):
    try:
        return function(), None
    except Exception as error:
        return None, error


def _weighted(drawn, library, x, weights=None):
    """The model in a library, with these weights or with such as no initializer makes, after it was called once."""
    model = drawn.make(library)
    if weights is None:
        rng = np.random.default_rng(1)
        for w in model.weights:
            if str(w.dtype).startswith("float"):
                w.assign(np.abs(rng.normal(0.3, 0.3, w.shape)).astype("float32") + np.float32(0.05))
    else:
        if (a := [w.shape for w in weights]) != (b := [tuple(w.shape) for w in model.weights]):
            raise Disagreement("weights", f"{a} and {b}")
        model.set_weights(weights)
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    model(_one_or_list(x), training=False)
    return model


def _trained_dtypes(model, x):
    """Dtypes of what losses and penalties are computed from. Keras truncates the labels of outputs that are whole numbers, and the
    factors of penalties on them; and its ReLU of whole numbers answers in them where it has said float32."""
    library = mlkit if isinstance(model, mlkit.Model) else keras
    penalized = [layer.output for layer in model.layers if layer.activity_regularizer is not None]
    found = library.Model(model.inputs, library.tree.flatten([model.outputs, penalized]))(_one_or_list(x), training=False)
    return [library.backend.standardize_dtype(t.dtype) for t in library.tree.flatten(found)]


def _one_or_list(arrays):
    return arrays[0] if len(arrays) == 1 else arrays


def _outputs(model, x):
    """The outputs as arrays, in a list. Inference is asked for in words: in Keras a layer whose call trains by default, as those of
    images do, else makes all layers after it train."""
    library = mlkit if isinstance(model, mlkit.Model) else keras
    return [
        np.asarray(library.ops.convert_to_numpy(y), "float64")
        for y in library.tree.flatten(model(_one_or_list(x), training=False))
    ]


def _trained(drawn, model, x, y):
    """Losses and metrics of training steps, each an array."""
    library = mlkit if isinstance(model, mlkit.Model) else keras
    optimizer = eval(f"library.optimizers.{drawn.optimizer}", {"library": library})
    model.compile(optimizer, [drawn.loss] * len(y), metrics=[[drawn.metric]] * len(y), run_eagerly=library is keras)
    return [np.asarray(model.train_on_batch(_one_or_list(x), _one_or_list(y)), "float64") for _ in range(STEPS)]


def _moved(drawn, x, weights, found):
    """What `found(model, x)` is in Keras when inputs, weights and what each layer answers are moved by roundings, once for each of
    ROUNDINGS."""
    rng = np.random.default_rng(3)

    def factor(y, size):
        return (1 + size * rng.choice([-1, 1], y.shape)).astype("float32")

    def moved(a, size):
        return a * factor(a, size) if a.dtype == "float32" else a

    def moving(call, size):
        def answer(y):
            is_float = keras.backend.standardize_dtype(y.dtype) == "float32"
            return keras.ops.multiply(y, factor(y, size)) if is_float else y

        return lambda *args, **options: keras.tree.map_structure(answer, call(*args, **options))

    for size in ROUNDINGS:
        near, model = [moved(a, size) for a in x], _weighted(drawn, keras, x, [moved(w, size) for w in weights])
        for layer in model.layers:
            layer.call = moving(layer.call, size)
        yield found(model, near)


def _agree(what, ours, theirs, moved=()):
    """Raise Disagreement unless two lists of arrays agree. Returns whether it takes the spread that Keras itself shows in `moved()`:

    what a rounding of the inputs decides, a bin next to whose boundary a number lies or the sign of a gradient that is zero but
    for roundings, is not the same in any two programs.
    """
    if (a := [y.shape for y in ours]) != (b := [y.shape for y in theirs]):
        raise Disagreement(f"{what} shape", f"{a} and {b}")
    far = [_far(a, b) for a, b in zip(ours, theirs)]
    if all((d <= 1).all() for d in far):
        return False
    spread = [np.zeros(y.shape) for y in theirs]
    for near in moved() if moved else ():
        spread = [np.maximum(s, _far(a, b)) for s, a, b in zip(spread, near, theirs)]
    for d, s, a, b in zip(far, spread, ours, theirs):
        if (d > 1 + 4 * s).any():
            worst = np.unravel_index(np.argmax(d), d.shape)
            place = f"at {tuple(map(int, worst))} {a[worst]:.6g} and {b[worst]:.6g}"
            text = f"mlkit {a.ravel()[:4]}, Keras {b.ravel()[:4]}, {place}"
            raise Disagreement(what, f"{text}; roundings move Keras's by {s[worst] * TOLERANCE:.3g}")
    return True


def _far(a, b):
    """How many times the tolerance two arrays lie apart; infinity where only one is finite."""
    both = np.isfinite(a) & np.isfinite(b)
    scale = max(1.0, np.abs(b[both]).max(initial=0))
    apart = np.abs(np.where(both, a, 0) - np.where(both, b, 0)) / (scale * TOLERANCE)
    return np.where(np.isfinite(a) == np.isfinite(b), apart, np.inf)


def _check_files(ours, theirs, x, expected, folder):
    """expected: the predictions of the two models, each of which its file must give in the other library."""
    mine, others = expected
    for saver, model, reader, wanted in (
        ("Keras", theirs, mlkit, mine),
        ("mlkit", ours, keras, others),
        ("mlkit", ours, mlkit, mine),
    ):
        path = os.path.join(folder, f"{saver}.keras")
        model.save(path)
        again, error = _attempt(lambda r=reader, p=path: r.saving.load_model(p))
        if error:
            raise Disagreement(f"{saver}'s file in {reader.__name__}", str(error)[:300])
        _agree(f"{saver}'s file in {reader.__name__}", _outputs(again, x), wanted)
    ours.save_weights(path := os.path.join(folder, "m.weights.h5"))
    theirs.load_weights(path)
    theirs.save_weights(path)
    ours.load_weights(path)
    configs = [json.loads(zipfile.ZipFile(os.path.join(folder, f"{n}.keras")).read("config.json")) for n in ("mlkit", "Keras")]
    # what Keras does not know of a tensor within, and mlkit does: sizes, as behind an EinsumDense with None in its output_shape,
    # and that a layer answers in whole numbers
    unknown = [d for d in differences(*configs) if ".inbound_nodes[" in d[0] and ".config.shape[" in d[0] and d[2] is None]
    unknown += [d for d in differences(*configs) if ".inbound_nodes[" in d[0] and d[0].endswith(".config.dtype")]
    if found := [d for d in differences(*configs) if d not in unknown]:
        raise Disagreement("configs", str(found[:3]))


# ---- verdicts ------------------------------------------------------------------------------------------------------------


def verdict(drawn):
    """(one of AGREE, "") or (kind, text) of what is wrong; an exception of check() itself is a kind of its own."""
    found = _verdict(drawn)
    if found[0] in AGREE or keras.backend.backend() == "jax":
        return found
    again = _on_jax().submit(_verdict, drawn).result()
    return ("Keras disagrees with itself", "") if again[0] in AGREE else again


def _verdict(drawn):
    logging.getLogger("absl").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return check(drawn), ""
        except Disagreement as error:
            return error.kind, str(error)
        except Exception as error:
            return type(error).__name__, traceback.format_exc(limit=-4)


@functools.cache
def _on_jax():
    """A process in which Keras runs on JAX; another takes its place after 40 models, for compiled programs stay in memory."""
    # read by the process when it starts, and no more by this one
    os.environ.update(KERAS_BACKEND="jax", JAX_PLATFORMS="cpu", JAX_DISABLE_MOST_OPTIMIZATIONS="1")
    return concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=40)


# ---- the command ---------------------------------------------------------------------------------------------------------


def run(seed):
    """(what became of the model of a seed, report of a disagreement or "")."""
    drawn = draw(seed)
    kind, _ = verdict(drawn)
    if kind in AGREE:
        return kind, ""
    small = shrunk(drawn, lambda d: _verdict(d)[0] == kind)  # by what is faster
    small, (_, text) = next((d, v) for d in (small, drawn) if (v := verdict(d))[0] == kind)
    return kind, f"# seed {seed}: {text}\n{small.script(kind)}"


def main(arguments=None):
    """The command; returns the number of models that disagree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="number of models")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first; the others have the following ones")
    parser.add_argument("--jobs", type=int, default=1, help="number of processes")
    parser.add_argument("--time", type=float, default=float("inf"), help="seconds after which no model is begun")
    options = parser.parse_args(arguments)
    until, kinds = time.monotonic() + options.time, collections.Counter()
    seeds = range(options.seed, options.seed + options.count)
    with _workers(options.jobs) as each:
        for kind, report in each(run, seeds):
            kinds[kind] += 1
            if report:
                print(report, flush=True)
            if time.monotonic() > until:
                break
    print(f"{kinds.total()} models from seed {options.seed}: " + ", ".join(f"{n} {k}" for k, n in kinds.most_common()))
    return sum(n for k, n in kinds.items() if k not in AGREE)


@contextlib.contextmanager
def _workers(jobs):
    """A `map` that uses that many processes: one is this one."""
    if jobs == 1:
        yield map
        return
    pool = concurrent.futures.ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    sys.exit(bool(main()))
