"""Learning to learn by gradient descent: an optimizer that is an LSTM, trained on what it is to minimise.

Paper: Andrychowicz et al., Learning to learn by gradient descent by gradient descent, 2016 (https://arxiv.org/abs/1606.04474)
Data: random quadratics |W theta - y|^2 in 10 dimensions, as in the paper: made here.
Needs: gradients within a `scan` and through it; two cells that are called on states of one's own.
Goal: mean loss of new quadratics after 20 steps; the best of SGD, RMSprop and Adam, each at its best rate, is the baseline.
"""

# %% The problems: a batch of quadratics at once
import numpy as np
from result import Result, main, picture

import mlkit as keras
from mlkit import layers, ops

SIZE, STEPS = 10, 20


def problems(count, rng):
    """W (count, SIZE, SIZE), y and the start (count, SIZE)."""
    return [rng.normal(size=(count, SIZE, *more)).astype("float32") for more in ((SIZE,), (), ())]


def losses_of(theta, w, y):
    return ops.sum(ops.square(ops.einsum("pij,pj->pi", w, theta) - y), axis=-1)


def slope(theta, w, y):
    """By each problem's theta. The paper has no gradient go through it."""
    return ops.stop_gradient(keras.grad(lambda t: ops.sum(losses_of(t, w, y)))(theta))


# %% The optimizer: two LSTM cells and a line, the same for each coordinate
class LearnedOptimizer(layers.Layer):
    """(gradient of a coordinate, states) -> (its step, states)."""

    def __init__(self, width):
        super().__init__()
        self.cells = [layers.LSTMCell(width) for _ in range(2)]
        self.out = layers.Dense(1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.05))

    def start(self, coordinates):
        return [cell.get_initial_state(coordinates) for cell in self.cells]

    def call(self, gradient, states):
        x, after = gradient, []
        for cell, state in zip(self.cells, states, strict=True):
            x, state = cell(x, state)
            after.append(state)
        return self.out(x), after

    def path(self, w, y, theta, steps):
        """Losses (steps + 1,) on the way, mean over the problems."""

        def step(carry, _):
            theta, states = carry
            gradient = ops.reshape(slope(theta, w, y), (-1, 1))
            squeezed = ops.sign(gradient) * ops.log1p(ops.abs(gradient))  # over many sizes, much as in the paper's appendix
            change, states = self(squeezed, states)
            theta = theta + ops.reshape(change, theta.shape)
            return (theta, states), ops.mean(losses_of(theta, w, y))

        start = ops.mean(losses_of(theta, w, y))
        _, values = ops.scan(step, (theta, self.start(theta.shape[0] * SIZE)), length=steps)
        return ops.concatenate([start[None], values])


# %% Its training: the sum of the losses on the way is what it minimises
def learned(quick, seed):
    """(the optimizer, losses of its training)."""
    learner, rng = LearnedOptimizer(4 if quick else 20), np.random.default_rng(seed)
    rounds = 2 if quick else 400
    rate = keras.optimizers.schedules.CosineDecay(1e-2, rounds)
    optimizer = keras.optimizers.Adam(rate, clipnorm=1.0)
    learner(np.zeros((SIZE, 1), "float32"), learner.start(SIZE))
    optimizer.build(learner.trainable_variables)

    @keras.function
    def step(w, y, theta):
        with keras.GradientTape() as tape:
            total = ops.mean(learner.path(w, y, theta, STEPS)[1:])
        optimizer.apply(tape.gradient(total, learner.trainable_variables))
        return total

    return learner, [float(step(*problems(8 if quick else 128, rng))) for _ in range(rounds)]


# %% The rivals, each at the best of several rates
def by_hand(optimizer, w, y, theta, steps):
    variable = keras.Variable(theta)
    optimizer.build([variable])

    @keras.function
    def step():
        optimizer.apply([slope(variable.value, w, y)])
        return ops.mean(losses_of(variable.value, w, y))

    return [float(ops.mean(losses_of(variable.value, w, y)))] + [float(step()) for _ in range(steps)]


def run(quick=False, seed=0):
    learner, losses = learned(quick, seed)
    w, y, theta = problems(8 if quick else 1000, np.random.default_rng(seed + 1))
    rates = (0.1,) if quick else (0.003, 0.01, 0.02, 0.03, 0.06, 0.1, 0.2, 0.3, 0.5, 1.0)
    curves = {}
    for kind in (keras.optimizers.SGD, keras.optimizers.RMSprop, keras.optimizers.Adam):
        tries = {rate: by_hand(kind(rate), w, y, theta, 2 * STEPS) for rate in rates}
        best = min(tries, key=lambda r: tries[r][STEPS] if np.isfinite(tries[r][STEPS]) else np.inf)
        curves[f"{kind.__name__}, rate {best:g}"] = tries[best]
    baseline = min(c[STEPS] for c in curves.values())
    curves["LSTM"] = ops.convert_to_numpy(learner.path(w, y, ops.convert_to_tensor(theta), 2 * STEPS)).tolist()
    text = "\n".join(f"{name}: {c[STEPS]:.3g} after {STEPS} steps, {c[-1]:.3g} after {2 * STEPS}" for name, c in curves.items())
    files = {"curves.png": picture(lambda f: draw(f, curves))}
    return Result(
        f"loss after {STEPS} steps", curves["LSTM"][STEPS], baseline, float(f"{baseline:.4g}"), losses, files, text, lower=True
    )


def draw(figure, curves):
    axes = figure.subplots()
    for name, values in curves.items():
        axes.semilogy(values, label=name)
    axes.axvline(STEPS, color="gray", linewidth=0.5)
    axes.set(title=f"mean loss of 1,000 new quadratics; the LSTM was trained on {STEPS} steps", xlabel="step")
    axes.legend()


# %%
if __name__ == "__main__":
    main(run, __file__)
