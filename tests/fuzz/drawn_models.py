"""Models of layers drawn from a seed, as data from which any library with the interface of Keras builds them."""

import dataclasses
import random
import warnings

import numpy as np

import mlkit
from tests.fuzz.layer_arguments import WRAPPERS, drawn_options
from tests.layers.samples import SAMPLES

BATCH = 4
OPTIMIZERS = [
    "SGD(0.01)", "SGD(0.01, momentum=0.9, nesterov=True)", "Adam(0.003)", "AdamW(0.003, weight_decay=0.01)", "RMSprop(0.003)",
    "Adagrad(0.01)", "Nadam(0.003)", "Lion(0.001)", "SGD(0.01, clipnorm=0.5)",
]  # fmt: skip
LOSSES = ["mse", "mae", "huber", "log_cosh", "cosine_similarity"]
# losses of classes, and the activations whose answers they take
CLASSES = {
    "categorical_crossentropy": "softmax", "sparse_categorical_crossentropy": "softmax", "categorical_focal_crossentropy": "softmax",
    "binary_crossentropy": "sigmoid", "binary_focal_crossentropy": "sigmoid",
}  # fmt: skip
METRICS = ["mse", "mae", "root_mean_squared_error", "cosine_similarity", "mean_absolute_percentage_error"]


@dataclasses.dataclass(frozen=True)
class Call:
    """One line of a model: ``out = L.layer(options)(inputs)``; option values are source text."""

    out: str
    layer: str
    options: tuple
    inputs: tuple
    form: str = "single"

    def made(self):
        """The layer."""
        return f"L.{self.layer}({', '.join(f'{k}={v}' for k, v in self.options)})"

    def line(self):
        inputs = ", ".join(self.inputs)
        return f"{self.out} = {self.made()}({f'[{inputs}]' if self.form == 'list' else inputs})"


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A model as it was drawn. shape: of each input, with the batch. ints: inputs are whole numbers below it; 0: normal ones.
    outside: whether an argument lies outside its range, so that a library may refuse it. inputs, outputs: names of tensors; the
    output is by default that of the last call. sequential: it is a Sequential, and each call takes what the one before it gave."""

    shape: tuple
    ints: int
    calls: tuple
    optimizer: str
    loss: str
    metric: str
    outside: bool = False
    inputs: tuple = ("x",)
    outputs: tuple = ()
    sequential: bool = False

    def source(self):
        lines = [f'{n} = keras.Input({self.shape[1:]}, dtype="{"int32" if self.ints else "float32"}")' for n in self.inputs]
        if self.sequential:
            lines.append(f"return keras.Sequential([{', '.join(['x', *(c.made() for c in self.calls)])}])")
        else:
            lines += [c.line() for c in self.calls]
            lines.append(
                f"return keras.Model({_one_or_list(self.inputs)}, {_one_or_list(self.outputs or [self.calls[-1].out])})"
            )
        body = "\n    ".join(["L = keras.layers", *lines])
        return f"def make(keras):\n    {body}\n"

    def make(self, library):
        """The model in a library."""
        space = {}
        exec(self.source(), space)
        library.utils.clear_session(free_memory=False)
        return space["make"](library)

    def arrays(self):
        """One array for each input."""
        rng = np.random.default_rng(0)
        shape = (len(self.inputs), BATCH, *self.shape[1:])
        return [*(rng.integers(0, self.ints, shape).astype("int32") if self.ints else rng.normal(size=shape).astype("float32"))]

    def labels(self, shapes):
        """What outputs of these shapes are trained to be: an array for each."""
        rng = np.random.default_rng(2)
        if self.loss not in CLASSES:
            return [rng.normal(size=s).astype("float32") for s in shapes]
        if CLASSES[self.loss] == "sigmoid":
            return [rng.integers(0, 2, s).astype("float32") for s in shapes]
        classes = [rng.integers(0, s[-1], s[:-1]) for s in shapes]
        return (
            classes if self.loss.startswith("sparse") else [np.eye(s[-1], dtype="float32")[c] for s, c in zip(shapes, classes)]
        )

    def script(self, kind):
        """A program of its own that fails as the model does."""
        fields = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self))
        return (
            f"# {kind}\n{self.source()}\nfrom tests.fuzz.against_keras import Call, Drawn, check\n\n"
            f"# the same as data: three steps of {self.optimizer} on {self.loss}\ncheck({fields.join(('Drawn(', ')'))})\n"
        )


def _one_or_list(names):
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"


ROWS = [s for s in SAMPLES if not s.random and not any(callable(v) for v in s.options.values()) and not s.call]
ROWS += WRAPPERS
FIRST = [(BATCH, 5), (BATCH, 5, 3), (BATCH, 6, 7, 4), (BATCH, 4, 5, 3, 2)]


def draw(seed):
    """The model of a seed."""
    rng = random.Random(seed)
    wanted, outside = rng.randint(3, 8), rng.random() < 1 / 3
    first = rng.choices(FIRST, [3, 4, 3, 1])[0]
    ints = 6 if len(first) == 2 and rng.random() < 0.3 else 0
    sequential = rng.random() < 0.25
    names = ["x"] if sequential or rng.random() < 0.7 else ["x", "x2"]
    made, calls = {n: mlkit.Input(first[1:], dtype="int32" if ints else "float32") for n in names}, []
    at = rng.randrange(wanted) if outside else -1
    while len(calls) < wanted:
        source = names[-1] if sequential or rng.random() < 0.7 else rng.choice(names)
        call = _drawn_call(rng, made, source, f"y{len(calls) + 1}", ints and source in ("x", "x2"), len(calls) == at)
        if sequential and call.form != "single":
            continue
        try:
            made[call.out] = _called(call, made)
        except Exception:  # what is refused ends the model, for check() to ask whether Keras refuses it too; not too often
            if len(calls) == at or rng.random() < 0.1:
                return _drawn(rng, first, ints, [*calls, call], at, sequential, [])
            continue
        calls.append(call)
        names.append(call.out)
    others = [c.out for c in calls[:-1] if not sequential and rng.random() < 0.1]
    return _drawn(rng, first, ints, calls, at, sequential, others)


def _drawn(rng, shape, ints, calls, at, sequential, others):
    """others: outputs besides that of the last call. Where the loss is one of classes, each output gets a layer that answers with
    probabilities."""
    training = rng.choice(OPTIMIZERS), rng.choice(LOSSES), rng.choice(METRICS)
    outputs = [*others, calls[-1].out]
    if rng.random() < 1 / 3:
        loss = rng.choice(list(CLASSES))
        training = training[0], loss, "accuracy"
        options = ("units", "3"), ("activation", f'"{CLASSES[loss]}"')
        calls = [*calls, *(Call(f"p{k}", "Dense", options, (out,)) for k, out in enumerate(outputs))]
        outputs = [f"p{k}" for k in range(len(outputs))]
    used, kept = {*outputs}, []
    for call in reversed(calls):
        if call.out in used:
            used.update(call.inputs)
            kept.append(call)
    inputs = tuple(n for n in ("x", "x2") if n in used)
    return Drawn(shape, ints, tuple(kept[::-1]), *training, f"y{at + 1}" in used, inputs, tuple(outputs), sequential)


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
    for out in drawn.outputs if len(drawn.outputs) > 1 else ():
        yield dataclasses.replace(drawn, outputs=tuple(n for n in drawn.outputs if n != out))
    for k, call in enumerate(drawn.calls):

        def renamed(names, call=call):
            return tuple(call.inputs[0] if n == call.out else n for n in names)

        rest = [dataclasses.replace(c, inputs=renamed(c.inputs)) for c in [*drawn.calls[:k], *drawn.calls[k + 1 :]]]
        if rest:
            yield dataclasses.replace(drawn, calls=tuple(rest), outputs=renamed(drawn.outputs))
    for k, call in enumerate(drawn.calls):
        for name, _ in call.options:
            fewer = dataclasses.replace(call, options=tuple(o for o in call.options if o[0] != name))
            yield dataclasses.replace(drawn, calls=(*drawn.calls[:k], fewer, *drawn.calls[k + 1 :]))
    for field, simple in (("optimizer", "SGD(0.01)"), ("loss", "mse"), ("metric", "mse")):
        if getattr(drawn, field) != simple:
            yield dataclasses.replace(drawn, **{field: simple})
