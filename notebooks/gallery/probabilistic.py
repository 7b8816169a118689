"""A probabilistic program: the posterior of a logistic regression, by variational inference and by Hamiltonian Monte Carlo.

Paper: Tran et al., Edward: A library for probabilistic modeling, inference, and criticism, 2016 (https://arxiv.org/abs/1610.09787);
    Neal, MCMC Using Hamiltonian Dynamics, 2011 (https://arxiv.org/abs/1206.1901)
Data: breast_cancer, 569 samples of 30 measures (ships with scikit-learn, BSD); 200 made sets for the intervals.
Needs: gradients within `scan` within `scan`, compiled whole.
Goal: the worst of three, each as a share of what is allowed: means of the two posteriors .3 standard deviations apart, an R-hat of
    1.05, 90 % intervals that cover 5 points too many or too few. The most probable weights instead of the mean are the baseline.
"""

# %% The model: weights have a unit normal prior, and the data follow by a logistic function
import numpy as np
from result import Result, main, picture
from sklearn.datasets import load_breast_cancer

import mlkit as keras
from mlkit import ops


def log_joint(theta, x, y):
    """theta (chains, weights), x (samples, weights) or (chains, samples, weights), y as x without weights -> (chains,)."""
    logits = ops.squeeze(ops.matmul(x, theta[..., None]), -1)
    return ops.sum(y * logits - ops.softplus(logits), -1) - 0.5 * ops.sum(ops.square(theta), -1)


def slope(theta, x, y):
    return keras.grad(lambda t: ops.sum(log_joint(t, x, y)))(theta)


def with_constant(x):
    return np.concatenate([np.ones_like(x[..., :1]), x], axis=-1).astype("float32")


# %% Variational inference: independent normals, fitted by the gradient of their bound
def variational(x, y, steps, rng, draws=8, spread=True):
    """(means, deviations, losses). spread=False: deviations of zero, hence the most probable weights."""
    size = x.shape[-1]
    mean, log_sd = keras.Variable(np.zeros(size, "float32")), keras.Variable(np.full(size, -2.0, "float32"))
    variables = [mean, log_sd] if spread else [mean]
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.05, steps))
    optimizer.build(variables)

    @keras.function
    def step(noise):
        with keras.GradientTape() as tape:
            theta = mean + (ops.exp(log_sd) * noise if spread else ops.zeros((1, size)))
            loss = -ops.mean(log_joint(theta, x, y)) - ops.sum(log_sd)
        optimizer.apply(tape.gradient(loss, variables))
        return loss

    losses = [float(step(rng.normal(size=(draws, size)).astype("float32"))) for _ in range(steps)]
    return mean.numpy(), np.exp(log_sd.numpy()), losses


# %% Hamiltonian Monte Carlo: chains move along the gradient; the step's length is found on the way, then kept
def hmc(x, y, start, count, rng, leaps=24):
    """Samples (count, chains, weights), after as many that are thrown away."""

    def leap(carry, _):
        theta, momentum, step = carry
        theta = theta + step * momentum
        return (theta, momentum + step * slope(theta, x, y), step), 0.0

    def propose(carry, drawn):
        theta, log_step, k = carry
        momentum, level, jitter = drawn
        step = ops.exp(log_step) * jitter
        energy = log_joint(theta, x, y) - 0.5 * ops.sum(ops.square(momentum), -1)
        half = momentum + 0.5 * step * slope(theta, x, y)
        (to, momentum, _), _ = ops.scan(leap, (theta, half, step), length=leaps)
        momentum = momentum - 0.5 * step * slope(to, x, y)
        gain = log_joint(to, x, y) - 0.5 * ops.sum(ops.square(momentum), -1) - energy
        taken = ops.exp(ops.minimum(gain, 0.0))
        theta = ops.where((level < taken)[:, None], to, theta)
        log_step = log_step + ops.where(k < count, 0.05 * (ops.mean(taken) - 0.8), 0.0)
        return (theta, log_step, k + 1), theta

    momenta = rng.normal(size=(2 * count, *start.shape)).astype("float32")
    levels = rng.random((2 * count, len(start))).astype("float32")
    jitter = rng.uniform(0.8, 1.2, 2 * count).astype("float32")
    sampled = keras.function(lambda *drawn: ops.scan(propose, (start, np.float32(np.log(0.05)), np.int32(0)), drawn)[1])
    return ops.convert_to_numpy(sampled(momenta, levels, jitter))[count:]


def r_hat(samples):
    """Gelman and Rubin's: of the deviation over all chains to that within them, the largest over the weights."""
    halves = np.concatenate(np.split(samples[: len(samples) // 2 * 2], 2), axis=1)
    within, n = halves.var(0, ddof=1).mean(0), len(halves)
    return float(np.sqrt((n - 1) / n + halves.mean(0).var(0, ddof=1) / within).max())


def covered(sets, count, rng):
    """How often 90 % intervals hold the weights from which data were made."""
    theta = rng.normal(size=(sets, 5)).astype("float32")
    x = with_constant(rng.normal(size=(sets, 60, 4)))
    y = (rng.random((sets, 60)) < 1 / (1 + np.exp(-np.einsum("snd,sd->sn", x, theta)))).astype("float32")
    low, high = np.quantile(hmc(x, y, np.zeros_like(theta), count, rng), [0.05, 0.95], axis=0)
    return float(((low < theta) & (theta < high)).mean())


# %% Both posteriors of the same data
def run(quick=False, seed=0):
    data, rng = load_breast_cancer(), np.random.default_rng(seed)
    x, y = with_constant((data.data - data.data.mean(0)) / data.data.std(0)), data.target.astype("float32")
    steps, count = (3, 4) if quick else (3000, 1000)
    mean, sd, losses = variational(x, y, steps, rng)
    most_probable, _, _ = variational(x, y, steps, rng, spread=False)
    samples = hmc(x, y, np.zeros((4, x.shape[1]), "float32"), count, rng)
    flat = samples.reshape(-1, x.shape[1])
    apart, apart_of_mode = (float((np.abs(m - flat.mean(0)) / flat.std(0)).max()) for m in (mean, most_probable))
    mixed, cover = r_hat(samples), covered(4 if quick else 200, 4 if quick else 400, rng)
    figure = max(apart / 0.3, (mixed - 1) / 0.05, abs(cover - 0.9) / 0.05)

    def draw(picture):
        left, right = picture.subplots(1, 2)
        at = np.arange(x.shape[1])
        left.errorbar(at - 0.15, flat.mean(0), 1.645 * flat.std(0), fmt="o", markersize=3, label="HMC")
        left.errorbar(at + 0.15, mean, 1.645 * sd, fmt="o", markersize=3, label="variational")
        left.set(title="weights with 90 % intervals", xlabel="measure (0: the constant)"), left.legend()
        (
            right.plot(samples[-200:, :, 21], linewidth=0.7),
            right.set(title=f"four chains: {data.feature_names[20]}", xlabel="sample"),
        )

    text = (
        f"means apart by at most {apart:.3f} sd; R-hat {mixed:.3f}; 90 % intervals cover {100 * cover:.1f} % of 1,000 weights"
    )
    return Result(
        "worst share of the limits",
        figure,
        apart_of_mode / 0.3,
        1.0,
        losses,
        {"posterior.png": picture(draw, 9.0, 3.4)},
        text,
        True,
    )


# %%
if __name__ == "__main__":
    main(run, __file__)
