"""A3C: four players in threads of one process teach one network at the same time.

Paper: Mnih et al., Asynchronous Methods for Deep Reinforcement Learning, 2016 (https://arxiv.org/abs/1602.01783)
Data: CartPole-v1 of gymnasium (MIT); games end after 500 steps.
Needs: one model and one compiled step, called by several threads without a lock of one's own.
Goal: mean steps of 100 games, moves drawn from the policy; the network before training is the baseline.
"""

# %% One network: how likely each move is, and what the state is worth
import threading

import gymnasium
import numpy as np
from result import Result, main, picture

import mlkit as keras
from mlkit import layers, ops

WORKERS, DISCOUNT, ROUND = 4, 0.99, 32
WORTH_WEIGHT, ENTROPY_WEIGHT = 0.5, 0.01


def network():
    x = keras.Input((4,))
    h = layers.Dense(64, "tanh")(layers.Dense(64, "tanh")(x))
    worth = layers.Dense(1)(layers.Dense(64, "tanh")(x))
    return keras.Model(x, [layers.Dense(2)(h), worth])


def learner(model, rate):
    """A compiled function: what one round of a worker saw -> loss; it moves the weights that all share."""
    optimizer = keras.optimizers.Adam(rate, clipnorm=0.5)
    optimizer.build(model.trainable_variables)

    @keras.function
    def step(states, actions, returns):
        with keras.GradientTape() as tape:
            logits, worth = model(states)
            gain = returns - worth[:, 0]
            logs = ops.log_softmax(logits)
            chosen = ops.take_along_axis(logs, actions[:, None], axis=-1)[:, 0]
            entropy = -ops.mean(ops.sum(ops.exp(logs) * logs, axis=-1))
            policy = -ops.mean(chosen * ops.stop_gradient(gain))
            loss = policy + WORTH_WEIGHT * ops.mean(ops.square(gain)) - ENTROPY_WEIGHT * entropy
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
        return loss

    return step


# %% A worker: plays a round with the weights as they are now, then adds its step to them
def choose(answer, state, rng):
    """(move, worth of the state): the move is drawn."""
    logits, worth = answer(state[None])
    odds = float(ops.convert_to_numpy(logits[0, 1] - logits[0, 0]))
    return int(rng.random() < 1 / (1 + np.exp(-odds))), float(worth[0, 0])


def returns_of(rewards, over, last):
    """Discounted sums to the end of each game, or to the worth of the last state."""
    sums = np.empty(len(rewards), "float32")
    for t in reversed(range(len(rewards))):
        last = rewards[t] + (0.0 if over[t] else DISCOUNT * last)
        sums[t] = last
    return sums


def work(answer, step, rounds, seed, losses, lengths):
    rng, game = np.random.default_rng(seed), gymnasium.make("CartPole-v1")
    state, length = game.reset(seed=int(seed[1]))[0], 0
    for _ in range(rounds):
        states, actions, rewards, over = [], [], [], []
        for _ in range(ROUND):
            action, _ = choose(answer, state, rng)
            after, reward, lost, late, _ = game.step(action)
            states.append(state), actions.append(action), over.append(lost or late)
            # a game cut off at 500 steps would have gone on: what follows is worth what the network says
            rewards.append(reward / 10 + (DISCOUNT * choose(answer, after, rng)[1] if late else 0.0))
            state, length = after, length + 1
            if lost or late:
                lengths.append(length)
                state, length = game.reset()[0], 0
        sums = returns_of(rewards, over, choose(answer, state, rng)[1])
        losses.append(float(step(np.array(states), np.array(actions, "int32"), sums)))


def play(answer, games, seed):
    """Mean steps."""
    game, rng, total = gymnasium.make("CartPole-v1"), np.random.default_rng(seed), 0
    for k in range(games):
        state, over = game.reset(seed=10_000 + k)[0], False
        while not over:
            state, _, lost, late, _ = game.step(choose(answer, state, rng)[0])
            over, total = lost or late, total + 1
    return total / games


# %% Four threads at once
def run(quick=False, seed=0):
    model, games = network(), 2 if quick else 100
    answer = keras.function(lambda x: model(x))
    step = learner(model, 1e-3)
    baseline = play(answer, games, seed)
    losses, lengths = [[] for _ in range(WORKERS)], [[] for _ in range(WORKERS)]
    rounds = 1 if quick else 800
    threads = [
        threading.Thread(target=work, args=(answer, step, rounds, (seed, k), losses[k], lengths[k])) for k in range(WORKERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = {"curves.png": picture(lambda f: draw(f, lengths))}
    return Result(
        "steps a game, of 500", play(answer, games, seed), baseline, 195.0, [loss for own in losses for loss in own], files
    )


def draw(figure, lengths):
    axes = figure.subplots()
    for k, worker in enumerate(lengths):
        mean = [np.mean(worker[max(0, n - 20) : n + 1]) for n in range(len(worker))]
        axes.plot(np.cumsum(worker), mean, label=f"worker {k + 1}")
    axes.set(title="steps a game, mean of the last 20", xlabel="steps that the worker has played")
    axes.legend()


# %%
if __name__ == "__main__":
    main(run, __file__)
