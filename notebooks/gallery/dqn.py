"""Double DQN: a network learns to balance a pole from its own mistakes.

Paper: Mnih et al., Human-level control through deep reinforcement learning, 2015; van Hasselt, Guez and Silver, Deep Reinforcement
    Learning with Double Q-learning, 2016 (https://arxiv.org/abs/1509.06461)
Data: CartPole-v1 of gymnasium 1.4.0 (MIT); games end after 500 steps.
Needs: a model of two inputs around a model of one, train_on_batch and predict on a single row without delay.
Goal: mean steps of 20 greedy games; random moves are the baseline.
"""

# %% The network, and the same network seen as a function of (state, action)
import collections

import gymnasium
import numpy as np
from result import Result, main, picture

import mlkit as keras
from mlkit import layers, ops

DISCOUNT, BATCH = 0.99, 64


def networks(states, actions):
    state, action = keras.Input((states,)), keras.Input((), dtype="int32")
    h = layers.Dense(128, "relu")(layers.Dense(128, "relu")(state))
    values = keras.Model(state, layers.Dense(actions)(h), name="values")
    of_action = ops.sum(values(state) * ops.one_hot(action, actions), axis=-1)
    trained = keras.Model([state, action], of_action)
    trained.compile(keras.optimizers.Adam(1e-3, clipnorm=10.0), "huber")
    return values, trained


# %% What was seen: the last games' steps, drawn from at random
class Replay:
    """Rows of (state, action, reward, next state, whether the game was lost); the oldest are written over."""

    def __init__(self, size, states):
        self.rows = np.zeros(size, [("s", "f4", states), ("a", "i4"), ("r", "f4"), ("next", "f4", states), ("lost", "?")])
        self.count = 0

    def add(self, *row):
        self.rows[self.count % len(self.rows)] = row
        self.count += 1

    def draw(self, rng):
        return self.rows[rng.integers(0, min(self.count, len(self.rows)), BATCH)]


def targets(rows, values, old):
    """Reward and what follows: the network chooses the next move, its older copy says what that is worth."""
    best = values.predict_on_batch(rows["next"]).argmax(1)
    worth = old.predict_on_batch(rows["next"])[np.arange(len(rows)), best]
    return rows["r"] + DISCOUNT * worth * ~rows["lost"]


# %% Playing
def play(game, choose, seed):
    """(steps, states) of one game."""
    state, _ = game.reset(seed=seed)
    seen, over = [state], False
    while not over:
        state, _, lost, late, _ = game.step(choose(state))
        seen.append(state)
        over = lost or late
    return len(seen) - 1, np.array(seen)


def judged(game, values, games):
    return np.mean([play(game, lambda s: int(values.predict_on_batch(s[None]).argmax()), 10_000 + k)[0] for k in range(games)])


def run(quick=False, seed=0):
    rng, game = np.random.default_rng(seed), gymnasium.make("CartPole-v1")
    values, trained = networks(4, 2)
    old, _ = networks(4, 2)
    old.set_weights(values.get_weights())
    best, kept = 0.0, values.get_weights()
    replay, losses, lengths = Replay(50_000, 4), [], []
    baseline = np.mean([play(game, lambda s: int(rng.integers(2)), seed + k)[0] for k in range(2 if quick else 100)])
    steps, first = (BATCH + 4, BATCH) if quick else (40_000, 1_000)
    recent = collections.deque(maxlen=10)
    state, length = game.reset(seed=seed)[0], 0
    for step in range(steps):
        curious = max(0.05, 1.0 - step / 10_000)
        action = int(rng.integers(2) if rng.random() < curious else values.predict_on_batch(state[None]).argmax())
        after, reward, lost, late, _ = game.step(action)
        replay.add(state, action, reward, after, lost)
        state, length = after, length + 1
        if lost or late:
            lengths.append(length)
            recent.append(length)
            state, length = game.reset()[0], 0
        if step >= first and step % 2 == 0:
            rows = replay.draw(rng)
            losses.append(float(trained.train_on_batch([rows["s"], rows["a"]], targets(rows, values, old))))
        if step % 500 == 0:
            old.set_weights(values.get_weights())
        if len(recent) == 10 and lost | late and np.mean(recent) > best:  # the paper keeps the best network too
            score = judged(game, values, 5)
            if score > best:
                best, kept = score, values.get_weights()
                if best == 500:
                    break
    if best:
        values.set_weights(kept)
    figure = judged(game, values, 1 if quick else 20)
    _, states = play(game, lambda s: int(values.predict_on_batch(s[None]).argmax()), 7)
    files = {"curve.png": picture(lambda f: draw(f, lengths, states))}
    return Result("steps a game, of 500", figure, baseline, 475.0, losses, files)


def draw(figure, lengths, states):
    left, right = figure.subplots(1, 2)
    left.plot(lengths)
    left.set(title="steps of each game of the training", xlabel="game")
    right.plot(states[:, 0], label="cart's place")
    right.plot(states[:, 2], label="pole's angle (rad)")
    right.set(title="a greedy game", xlabel="step")
    right.legend()


# %%
if __name__ == "__main__":
    main(run, __file__)
