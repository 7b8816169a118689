"""The fuzz of models, as a command: ``python -m tests.fuzz.models --models 200 --seed 0``.

A model is a chain of layers of the layer table. It takes three training steps eagerly and compiled: outputs, gradients and weights
must agree, and what it was given must be as before. JAX evaluates and differentiates the first step. A model that fails is made
smaller and printed.
"""

import argparse
import functools
import os
import random
import sys

import numpy as np

STEPS, RATE = 3, 0.001
NUDGES, FACTOR, TIGHT = 4, 16, 2e-5  # runs with moved inputs; how many times what they differ by is allowed; and of the largest


class Disagreement(Exception):
    """kind: what is wrong, by which a smaller model is known to fail in the same way."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


@functools.cache
def rows():
    """The rows of the layer table that a chain of layers can be made of."""
    from tests.layers.samples import SAMPLES

    return [s for s in SAMPLES if s.inputs == "single" and not s.random and not s.call]


def draw(seed):
    """The numbers of the rows of a model that can be built."""
    dice = random.Random(seed)
    numbers = [dice.randrange(len(rows()))]
    wanted = dice.randint(1, 6)
    for _ in range(5 * wanted):
        if len(numbers) == wanted:
            break
        more = [*numbers, dice.choice([k for k, s in enumerate(rows()) if not s.ints])]
        if _is_buildable(more):
            numbers = more
    return numbers


def _is_buildable(numbers):
    import mlkit

    first = rows()[numbers[0]]
    try:
        y = _model(numbers)(mlkit.KerasTensor(first.shapes[0], "int32" if first.ints else "float32"))
    except (ValueError, TypeError, NotImplementedError):
        return False
    return len(mlkit.tree.flatten(y)) == 1 and all(y.shape) and y.dtype == "float32"


def _model(numbers):
    import mlkit

    def layer(sample):
        options = {k: v(mlkit.layers) if callable(v) else v for k, v in sample.options.items()}
        return getattr(mlkit.layers, sample.name)(**options)

    return mlkit.Sequential([layer(rows()[k]) for k in numbers])


def check(numbers, seed=0):
    """Raise Disagreement if the model of these rows does not learn alike everywhere."""
    from tests.layers.check_layer import arrays

    given = arrays(rows()[numbers[0]], seed)[0]
    x = given.copy()
    eager = trained(numbers, x)
    rng = np.random.default_rng(seed)
    moved = [trained(numbers, _moved(x, rng), rng=rng) for _ in range(NUDGES)]
    spreads = [np.max([np.abs(m[k][1] - a) for m in moved], axis=0) for k, (_, a) in enumerate(eager)]
    for how, run in (("compiled", functools.partial(trained, compiled=True)), ("jax", on_jax)):
        found = run(numbers, x)
        if x.tobytes() != given.tobytes():
            raise Disagreement("inputs", f"the model has written into its input ({how})")
        for (name, a), (_, b), spread in zip(eager, found, spreads):
            if b is not None:
                _agree(how, name, a, b, spread)


def _agree(how, name, a, b, spread):
    if a.shape != b.shape or a.dtype != b.dtype:
        raise Disagreement(f"{how} spec", f"{name} is {a.dtype}{a.shape} eagerly and {b.dtype}{b.shape} {how}")
    allowed = FACTOR * spread.max(initial=0) + TIGHT * np.abs(a).max(initial=1e-3)
    bad = ~((np.abs(a - b) <= allowed) | (np.isnan(a) & np.isnan(b)) | (a == b)) & ~np.isnan(allowed)
    if bad.any():
        at = tuple(map(int, np.argwhere(bad)[0]))
        raise Disagreement(f"{how} {name.split()[0]}", f"{name} at {at}: {a[at]} eagerly, {b[at]} {how}")


def _moved(x, rng):
    return x if x.dtype.kind == "i" else (x * (1 + 4e-7 * rng.uniform(-1, 1, x.shape))).astype(x.dtype)


def trained(numbers, x, compiled=False, rng=None):
    """(name, array) of all outputs and gradients of the steps, and of the weights after them. rng: the first weights are moved too."""
    import mlkit
    from tests.fuzz.program import with_gradients

    try:
        model, x = _built(numbers, x)
        if rng is not None:
            model.set_weights([_moved(w, rng) for w in model.get_weights()])
        graded = with_gradients(lambda x: [model(x, training=True)], model.trainable_variables)

        def step(x):
            (y,), slopes = graded(x)
            for v, g in zip(model.trainable_variables, slopes[x.dtype == "float32" :]):
                v.assign_sub(RATE * g)
            return y, slopes

        run = mlkit.function(step) if compiled else step
        found = []
        for k in range(STEPS):
            y, slopes = run(x)
            found += [(f"output of step {k}", y), *((f"gradient {i} of step {k}", g) for i, g in enumerate(slopes))]
        found += [(f"weight {v.path}", v.value) for v in model.weights]
        return [(name, np.array(t)) for name, t in found]
    except Exception as error:
        raise Disagreement(f"{'compiled' if compiled else 'eager'} {type(error).__name__}", str(error)) from error


def on_jax(numbers, x):
    """The beginning of what `trained` gives, by JAX."""
    from tests.fuzz.on_jax import Question, answers

    model, x = _built(numbers, x)
    (answer,) = answers([Question(lambda x: [model(x, training=True)], [x], model.trainable_variables)])
    if isinstance(answer, Exception):
        raise Disagreement(f"jax {type(answer).__name__}", str(answer)) from answer
    return [("output", answer[0][0]), *(("gradient", g) for g in answer[1])]


def _built(numbers, x):
    """The model with the same weights each time, and its input as a tensor."""
    import mlkit

    mlkit.utils.set_random_seed(1)
    model, x = _model(numbers), mlkit.ops.convert_to_tensor(x)
    model.build(x.shape)
    return model, x


def failure(seed):
    """What is wrong with the model of a seed, as a script; None if nothing is."""
    numbers = draw(seed)
    try:
        return check(numbers, seed)
    except Disagreement as error:
        found = error
    smaller = True
    while smaller:
        smaller = next((m for m in _without_one(numbers) if _is_buildable(m) and _fails(m, seed, found.kind)), None)
        numbers = smaller or numbers
    named = "\n".join(f"# {k}: {rows()[k]}" for k in numbers)
    return f"# model {seed}: {found}\n{named}\nfrom tests.fuzz.models import check\n\ncheck({numbers}, seed={seed})\n"


def _without_one(numbers):
    return [numbers[:k] + numbers[k + 1 :] for k in range(len(numbers)) if len(numbers) > 1]


def _fails(numbers, seed, kind):
    try:
        check(numbers, seed)
    except Disagreement as found:
        return found.kind == kind
    return False


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="number of the first model")
    chosen = parser.parse_args(arguments)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    failed = 0
    for seed in range(chosen.seed, chosen.seed + chosen.models):
        text = failure(seed)
        if text:
            failed += 1
            print(text, flush=True)
    print(f"{chosen.models} models from number {chosen.seed} on; {failed} failed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
