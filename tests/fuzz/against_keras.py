"""Draws models of layers and compares them with Keras: `python -m tests.fuzz.against_keras --count 100 --seed 7`.

A model is 3 to 8 layers of the table of samples, in a chain or with branches, with arguments inside their ranges and, in one of
three models, one just outside. Both libraries build it from one source text, get the same weights, and must agree: in what they
refuse, in configs, in predictions, in the losses and metrics of three training steps, and in predictions of each other's files.
A model on which they do not is made smaller and printed as a script of a few lines.
"""

import argparse
import collections
import dataclasses
import json
import logging
import multiprocessing
import os
import random
import sys
import tempfile
import time
import traceback
import warnings
import zipfile

os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported

import keras  # noqa: E402
import numpy as np  # noqa: E402

import mlkit  # noqa: E402
from tests.fuzz.layer_arguments import WRAPPERS, drawn_options  # noqa: E402
from tests.layers.samples import SAMPLES  # noqa: E402
from tests.models.saving.test_keras_files import differences, flat  # noqa: E402

STEPS, BATCH = 3, 4
OPTIMIZERS = [
    "SGD(0.01)", "SGD(0.01, momentum=0.9, nesterov=True)", "Adam(0.003)", "AdamW(0.003, weight_decay=0.01)", "RMSprop(0.003)",
    "Adagrad(0.01)", "Nadam(0.003)", "Lion(0.001)", "SGD(0.01, clipnorm=0.5)",
]  # fmt: skip
LOSSES = ["mse", "mae", "huber", "log_cosh", "cosine_similarity"]
METRICS = ["mse", "mae", "root_mean_squared_error", "cosine_similarity", "mean_absolute_percentage_error"]


class Disagreement(Exception):
    """kind: what the libraries disagree about, by which a smaller model is known to fail in the same way."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


@dataclasses.dataclass(frozen=True)
class Call:
    """One line of a model: ``out = L.layer(options)(inputs)``; option values are source text."""

    out: str
    layer: str
    options: tuple
    inputs: tuple
    form: str = "single"

    def line(self):
        inputs = ", ".join(self.inputs)
        options = ", ".join(f"{k}={v}" for k, v in self.options)
        return f"{self.out} = L.{self.layer}({options})({f'[{inputs}]' if self.form == 'list' else inputs})"


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A model as it was drawn. shape: of the inputs, with the batch. ints: inputs are whole numbers below it; 0: normal ones."""

    shape: tuple
    ints: int
    calls: tuple
    optimizer: str
    loss: str
    metric: str

    def source(self):
        lines = [f'x = keras.Input({self.shape[1:]}, dtype="{"int32" if self.ints else "float32"}")']
        lines += [c.line() for c in self.calls]
        body = "\n    ".join(["L = keras.layers", *lines, f"return keras.Model(x, {self.calls[-1].out})"])
        return f"def make(keras):\n    {body}\n"

    def make(self, library):
        """The model in a library."""
        space = {}
        exec(self.source(), space)
        library.utils.clear_session(free_memory=False)
        return space["make"](library)

    def arrays(self):
        rng = np.random.default_rng(0)
        shape = (BATCH, *self.shape[1:])
        return rng.integers(0, self.ints, shape).astype("int32") if self.ints else rng.normal(size=shape).astype("float32")

    def script(self, kind):
        """A program of its own that fails as the model does."""
        fields = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self))
        return (
            f"# {kind}\n{self.source()}\nfrom tests.fuzz.against_keras import Call, Drawn, check\n\n"
            f"# the same as data: three steps of {self.optimizer} on {self.loss}\ncheck({fields.join(('Drawn(', ')'))})\n"
        )


# ---- drawing -------------------------------------------------------------------------------------------------------------


ROWS = [s for s in SAMPLES if not s.random and not any(callable(v) for v in s.options.values()) and not s.call]
ROWS += WRAPPERS
FIRST = [(BATCH, 5), (BATCH, 5, 3), (BATCH, 6, 7, 4), (BATCH, 4, 5, 3, 2)]


def draw(seed):
    """The model of a seed."""
    rng = random.Random(seed)
    wanted, outside = rng.randint(3, 8), rng.random() < 1 / 3
    first = rng.choices(FIRST, [3, 4, 3, 1])[0]
    ints = 6 if len(first) == 2 and rng.random() < 0.3 else 0
    x = mlkit.Input(first[1:], dtype="int32" if ints else "float32")
    made, calls, names = {"x": x}, [], ["x"]
    at = rng.randrange(wanted) if outside else -1
    while len(calls) < wanted:
        source = names[-1] if rng.random() < 0.7 else rng.choice(names)
        call = _drawn_call(rng, made, source, f"y{len(calls) + 1}", ints and source == "x", len(calls) == at)
        try:
            made[call.out] = _called(call, made)
        except Exception:  # what is refused ends the model, for check() to ask whether Keras refuses it too; not too often
            if len(calls) == at or rng.random() < 0.1:
                return _drawn(rng, first, ints, [*calls, call])
            continue
        calls.append(call)
        names.append(call.out)
    return _drawn(rng, first, ints, calls)


def _drawn(rng, shape, ints, calls):
    used, kept = {calls[-1].out}, []
    for call in reversed(calls):
        if call.out in used:
            used.update(call.inputs)
            kept.append(call)
    return Drawn(shape, ints, tuple(kept[::-1]), rng.choice(OPTIMIZERS), rng.choice(LOSSES), rng.choice(METRICS))


def _drawn_call(rng, made, source, out, ints, outside):
    rank = len(made[source].shape)
    row = rng.choice([s for s in ROWS if bool(s.ints) == bool(ints) and len(s.shapes[0]) == rank])
    inputs = [source]
    if row.inputs != "single":
        alike = [n for n, t in made.items() if t.shape == made[source].shape and t.dtype == made[source].dtype]
        inputs += [rng.choice(alike) for _ in row.shapes[1:]]
    options = drawn_options(rng, row, made[source].shape, outside)
    return Call(out, row.name, tuple(options.items()), tuple(inputs), row.inputs)


def _called(call, made):
    space = {"L": mlkit.layers, **made}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(call.line(), space)
    found = space[call.out]
    if not hasattr(found, "shape"):
        raise ValueError("several outputs")
    return found


# ---- comparing -----------------------------------------------------------------------------------------------------------


def check(drawn):
    """Raise Disagreement where the libraries differ. Returns "same" or, where both refuse the model, "refused"."""
    x = drawn.arrays()
    ours, refusal = _attempt(lambda: _predicted(drawn.make(mlkit), x, None))
    theirs, other = _attempt(lambda: _predicted(drawn.make(keras), x, None if ours is None else ours[0]))
    if refusal or other:
        if refusal and other:
            return "refused"
        who, error = ("mlkit", refusal) if refusal else ("Keras", other)
        raise Disagreement(f"only {who} refuses", f"{type(error).__name__}: {str(error)[:300]}")
    (ours, a), (theirs, b) = ours, theirs
    if [w.path for w in ours.weights] != [w.path for w in theirs.weights]:
        raise Disagreement("paths", f"{[w.path for w in ours.weights]} and {[w.path for w in theirs.weights]}")
    _agree("predictions", a, b)
    with tempfile.TemporaryDirectory() as folder:
        _check_files(ours, theirs, x, a, folder)
    if ours.trainable_weights and all(np.isfinite(y).all() for y in a) and len(a) == 1:
        _check_training(drawn, ours, theirs, x, a[0].shape)
    return "same"


def _attempt(function):
    try:
        return function(), None
    except Exception as error:
        return None, error


def _predicted(model, x, other):
    """(model, outputs) with weights that are the same in both libraries."""
    rng = np.random.default_rng(1)
    for w in model.weights if other is None else ():
        if str(w.dtype).startswith("float"):
            w.assign(np.abs(rng.normal(0.3, 0.3, w.shape)).astype("float32") + np.float32(0.05))
    if other is not None:
        if [tuple(w.shape) for w in other.weights] != [tuple(w.shape) for w in model.weights]:
            raise Disagreement("weights", f"{[w.path for w in other.weights]} and {[w.path for w in model.weights]}")
        model.set_weights(other.get_weights())
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return model, [np.asarray(y, "float64") for y in flat(model(x))]


def _agree(what, ours, theirs, tolerance=1e-4):
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            raise Disagreement(f"{what} shape", f"{a.shape} and {b.shape}")
        both = np.isfinite(a) & np.isfinite(b)
        scale = max(1.0, np.abs(a[both]).max(initial=0))
        if (np.isfinite(a) != np.isfinite(b)).any() or (np.abs(a - b)[both] > 10 * tolerance * scale).any():
            raise Disagreement(
                what, f"mlkit {a.ravel()[:4]}, Keras {b.ravel()[:4]}, largest difference {np.abs(a - b).max():.3g}"
            )


def _check_files(ours, theirs, x, expected, folder):
    for saver, model, reader in (("Keras", theirs, mlkit), ("mlkit", ours, keras), ("mlkit", ours, mlkit)):
        path = os.path.join(folder, f"{saver}.keras")
        model.save(path)
        again, error = _attempt(lambda r=reader, p=path: r.saving.load_model(p))
        if error:
            raise Disagreement(f"{saver}'s file in {reader.__name__}", str(error)[:300])
        _agree(f"{saver}'s file in {reader.__name__}", expected, [np.asarray(y, "float64") for y in flat(again(x))])
    ours.save_weights(path := os.path.join(folder, "m.weights.h5"))
    theirs.load_weights(path)
    theirs.save_weights(path)
    ours.load_weights(path)
    configs = [json.loads(zipfile.ZipFile(os.path.join(folder, f"{n}.keras")).read("config.json")) for n in ("mlkit", "Keras")]
    # sizes that Keras does not know, as behind an EinsumDense with None in its output_shape, and mlkit does
    if found := [d for d in differences(*configs) if not (".config.shape[" in d[0] and d[2] is None)]:
        raise Disagreement("configs", str(found[:3]))


def _check_training(drawn, ours, theirs, x, shape):
    y = np.random.default_rng(2).normal(size=shape).astype("float32")
    logs = []
    for library, model in ((mlkit, ours), (keras, theirs)):
        optimizer = eval(f"library.optimizers.{drawn.optimizer}", {"library": library})
        model.compile(optimizer, drawn.loss, metrics=[drawn.metric], run_eagerly=library is keras)
        done, error = _attempt(lambda m=model: [list(m.train_on_batch(x, y)) for _ in range(STEPS)])
        logs.append(error or np.asarray(done, "float64"))
    refusals = [isinstance(e, Exception) for e in logs]
    if any(refusals):
        if all(refusals):
            return
        raise Disagreement(
            f"only {'mlkit' if refusals[0] else 'Keras'} refuses to train", str(logs[refusals.index(True)])[:300]
        )
    for k in range(STEPS):
        _agree("training", logs[0][k : k + 1], logs[1][k : k + 1], 3e-4 * (k + 1))


# ---- a smaller model -----------------------------------------------------------------------------------------------------


def shrunk(drawn, fails, tries=40):
    """The smallest model found by leaving out layers and options while `fails(model)` holds."""
    smaller = True
    while smaller and tries > 0:
        smaller = False
        for candidate in _candidates(drawn):
            tries -= 1
            if fails(candidate):
                drawn, smaller = candidate, True
                break
            if tries <= 0:
                break
    return drawn


def _candidates(drawn):
    for k, call in enumerate(drawn.calls):
        rest = [*drawn.calls[:k], *drawn.calls[k + 1 :]]
        renamed = [dataclasses.replace(c, inputs=tuple(call.inputs[0] if n == call.out else n for n in c.inputs)) for c in rest]
        if renamed:
            yield dataclasses.replace(drawn, calls=tuple(renamed))
    for k, call in enumerate(drawn.calls):
        for name, _ in call.options:
            fewer = dataclasses.replace(call, options=tuple(o for o in call.options if o[0] != name))
            yield dataclasses.replace(drawn, calls=(*drawn.calls[:k], fewer, *drawn.calls[k + 1 :]))
    for field, simple in (("optimizer", "SGD(0.01)"), ("loss", "mse"), ("metric", "mse")):
        if getattr(drawn, field) != simple:
            yield dataclasses.replace(drawn, **{field: simple})


def verdict(drawn):
    """("same" or "refused", "") or (kind, text) of what is wrong; an exception of check() itself is a kind of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return check(drawn), ""
        except Disagreement as error:
            return error.kind, str(error)
        except Exception as error:
            return type(error).__name__, traceback.format_exc(limit=-4)


# ---- the command ---------------------------------------------------------------------------------------------------------


def run(seed):
    """(what became of the model of a seed, report of a disagreement or "")."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    drawn = draw(seed)
    kind, _ = verdict(drawn)
    if kind in ("same", "refused"):
        return kind, ""
    small = shrunk(drawn, lambda d: verdict(d)[0] == kind)
    return kind, f"# seed {seed}: {verdict(small)[1]}\n{small.script(kind)}"


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
    with multiprocessing.get_context("spawn").Pool(options.jobs) if options.jobs > 1 else _Here() as pool:
        for kind, report in pool.imap_unordered(run, seeds):
            kinds[kind] += 1
            if report:
                print(report, flush=True)
            if time.monotonic() > until:
                break
    failed = kinds.total() - kinds["same"] - kinds["refused"]
    print(
        f"{kinds.total()} models from seed {options.seed}: {kinds['same']} the same, {kinds['refused']} refused by both, "
        f"{failed} disagree"
    )
    return failed


class _Here:
    """One process: this one."""

    imap_unordered = staticmethod(map)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


if __name__ == "__main__":
    sys.exit(bool(main()))
