"""Learning to learn by gradient descent: an optimizer that is an LSTM, trained on what it is to minimise.

Paper: Andrychowicz et al., Learning to learn by gradient descent by gradient descent, 2016 (https://arxiv.org/abs/1606.04474)
Data: random quadratics |W theta - y|^2 in 10 dimensions, as in the paper: made here; and perceptrons that read digits (which ship
    with mlkit), 64 others in each step, judged on digits and starts that the training did not see.
Needs: gradients within a `scan` and through it; two cells that are called on states of one's own.
Goal: mean loss of new quadratics after 20 steps; the best of SGD, RMSprop and Adam, each at its best rate, is the baseline.
"""

# %% The problems, many at once: theta (problems, coordinates) and the data of a step -> losses (problems,)
import numpy as np
from result import Result, main, picture

import mlkit as keras
from mlkit import layers, ops

STEPS, SIZE, PIXELS, HIDDEN, P = 20, 10, 14 * 14, 20, 10.0


def quadratic(theta, w, y):
    return ops.sum(ops.square(ops.einsum("pij,pj->pi", w, theta) - y), axis=-1)


def quadratics(count, rng, steps=STEPS):
    """Starts, and for each step of `steps` and the end the data, here always the same."""
    w, y, theta = (rng.normal(size=(count, SIZE, *more)).astype("float32") for more in ((SIZE,), (), ()))
    return [theta, *(np.repeat(v[None], steps + 1, 0) for v in (w, y))]


def perceptron(theta, x, y):
    """theta: the weights of 20 sigmoids and of 10 logits, one behind the other. x: (problems, images, pixels). y: one-hot."""
    first, second = PIXELS * HIDDEN, (PIXELS + 10) * HIDDEN
    h = ops.matmul(x, ops.reshape(theta[:, :first], (-1, PIXELS, HIDDEN))) + theta[:, None, second : second + HIDDEN]
    h = ops.matmul(ops.sigmoid(h), ops.reshape(theta[:, first:second], (-1, HIDDEN, 10))) + theta[:, None, second + HIDDEN :]
    return ops.mean(ops.logsumexp(h, axis=-1) - ops.sum(h * y, axis=-1), axis=-1)


def perceptrons(images, labels):
    """Like `quadratics`, of such digits."""
    x = images.reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(-1, PIXELS).astype("float32") / 255
    y = np.eye(10, dtype="float32")[labels]

    def make(count, rng, steps=STEPS):
        rows = rng.integers(0, len(x), (steps + 1, count, 64))
        return [rng.normal(0, 0.1, (count, (PIXELS + 11) * HIDDEN + 10)).astype("float32"), x[rows], y[rows]]

    return make


# %% The optimizer, for each coordinate the same: (gradient, states of two LSTM cells) -> (step, states)
class LearnedOptimizer(layers.Layer):
    def __init__(self, width):
        super().__init__()
        self.cells = [layers.LSTMCell(width) for _ in range(2)]
        self.out = layers.Dense(1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.05))

    def call(self, gradient, states):
        size = ops.abs(gradient)  # as in the paper's appendix: how large it is, and its sign; a tiny one as it is
        small = size < np.exp(-P)
        far = ops.where(small, -1.0, ops.log(ops.maximum(size, 1e-30)) / P)
        x = ops.concatenate([far, ops.where(small, np.exp(P) * gradient, ops.sign(gradient))], axis=-1)
        x, first = self.cells[0](x, states[0])
        x, second = self.cells[1](x, states[1])
        return 0.1 * self.out(x), [first, second]

    def path(self, loss, theta, *data):  # -> losses (steps + 1,) on the way, mean over the problems
        def step(carry, now):
            theta, states = carry
            change, states = self(ops.reshape(slope(loss, theta, *now), (-1, 1)), states)
            return (theta + ops.reshape(change, theta.shape), states), ops.mean(loss(theta, *now))

        states = [cell.get_initial_state(theta.shape[0] * theta.shape[1]) for cell in self.cells]
        return ops.scan(step, (theta, states), data)[1]


def slope(loss, theta, *data):  # by each problem's theta; the paper has no gradient go through it
    return ops.stop_gradient(keras.grad(lambda t: ops.sum(loss(t, *data)))(theta))


# %% Its training: the sum of the losses on the way is what it minimises
def learned(loss, make, count, rounds, width, rng):
    """(the optimizer, losses of its training)."""
    learner = LearnedOptimizer(width)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, rounds), clipnorm=1.0)
    learner.path(loss, *make(1, rng, 0))
    optimizer.build(learner.trainable_variables)

    @keras.function
    def step(*problem):
        with keras.GradientTape() as tape:
            total = ops.mean(learner.path(loss, *problem)[1:])
        optimizer.apply(tape.gradient(total, learner.trainable_variables))
        return total

    return learner, [float(step(*make(count, rng))) for _ in range(rounds)]


# %% The rivals, each at the best of several rates
def by_hand(optimizer, loss, theta, *data):
    variable = keras.Variable(theta)
    optimizer.build([variable])

    @keras.function
    def step(*now):
        value = ops.mean(loss(variable.value, *now))
        optimizer.apply([slope(loss, variable.value, *now)])
        return value

    return [float(step(*now)) for now in zip(*data, strict=True)]


def compared(loss, learner, problem, rates):
    curves = {}
    for kind in (keras.optimizers.SGD, keras.optimizers.RMSprop, keras.optimizers.Adam):
        tries = {rate: by_hand(kind(rate), loss, *problem) for rate in rates}
        best = min(tries, key=lambda r: tries[r][STEPS] if np.isfinite(tries[r][STEPS]) else np.inf)
        curves[f"{kind.__name__}, rate {best:g}"] = tries[best]
    return curves | {"LSTM": ops.convert_to_numpy(learner.path(loss, *map(ops.convert_to_tensor, problem))).tolist()}


def run(quick=False, seed=0):
    rng, found, losses = np.random.default_rng(seed), {}, []
    digits, new = keras.datasets.digits.load_data()
    rates = (0.1,) if quick else (0.003, 0.01, 0.02, 0.03, 0.06, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
    for name, loss, make, judge, count, rounds, judged in (
        ("quadratics", quadratic, quadratics, quadratics, 128, 400, 1000),
        ("perceptrons for digits", perceptron, perceptrons(*digits), perceptrons(*new), 1, 250, 20),
    ):
        learner, seen = learned(loss, make, *((2, 2, 4) if quick else (count, rounds, 20)), rng)
        problem = judge(2 if quick else judged, np.random.default_rng(seed + 1), 2 * STEPS)
        found[name], losses = compared(loss, learner, problem, rates), losses + seen
    rows = [(f"{name}, {by}", c[STEPS], c[-1]) for name, curves in found.items() for by, c in curves.items()]
    text = "\n".join(f"{what}: {then:.3g} after {STEPS} steps, {end:.3g} after {2 * STEPS}" for what, then, end in rows)
    *by_rule, figure = (c[STEPS] for c in found["quadratics"].values())
    goal, files = float(f"{min(by_rule):.4g}"), {"curves.png": picture(lambda f: draw(f, found))}
    return Result(f"loss of quadratics after {STEPS} steps", figure, min(by_rule), goal, losses, files, text, lower=True)


def draw(figure, found):
    for axes, (name, curves) in zip(figure.subplots(1, 2), found.items(), strict=True):
        for by, values in curves.items():
            axes.semilogy(values, label=by)
        axes.axvline(STEPS, color="gray", linewidth=0.5)
        axes.set(title=f"mean loss of new {name}", xlabel=f"step (trained on {STEPS})")
        axes.legend(fontsize=8)


# %%
if __name__ == "__main__":
    main(run, __file__)
