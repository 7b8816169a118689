"""Double DQN: a network learns to balance a pole from its own mistakes.

Paper: Mnih et al., Human-level control through deep reinforcement learning, 2015 (https://www.nature.com/articles/nature14236);
    van Hasselt, Guez and Silver, Deep Reinforcement Learning with Double Q-learning, 2016 (https://arxiv.org/abs/1509.06461)
Data: CartPole-v1 of gymnasium (MIT); games end after 500 steps.
Needs: a model of two inputs around a model of one, train_on_batch and predict on a single row without delay.
Goal: mean steps of 20 greedy games; random moves are the baseline.
"""

# %% The network, and the same network seen as a function of (state, action)
import gymnasium
import numpy as np
from result import Result, main, picture

import mlkit as keras
from mlkit import layers, ops

DISCOUNT, BATCH, EXPLORATION = 0.99, 64, 0.05


def networks(shape, actions, body, rate):
    """(state -> a value for each action, (state, action) -> value). body: layers between a state and the values."""
    state, action = keras.Input(shape), keras.Input((), dtype="int32")
    x = state
    for layer in body:
        x = layer(x)
    values = keras.Model(state, layers.Dense(actions)(x), name="values")
    of_action = ops.sum(values(state) * ops.one_hot(action, actions), axis=-1)
    trained = keras.Model([state, action], of_action)
    trained.compile(keras.optimizers.Adam(rate, clipnorm=10.0), "huber")
    return values, trained


# %% What was seen: the last steps, drawn from at random
class Replay:
    """Rows of (state, action, reward, next state, whether the game was lost); the oldest are written over."""

    def __init__(self, size, shape):
        self.rows = np.zeros(size, [("s", "f4", shape), ("a", "i4"), ("r", "f4"), ("next", "f4", shape), ("lost", "?")])
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
def greedy(values, rng=None, exploration=0.0):
    """state -> the best action, or now and then any."""

    def choose(state):
        if rng is not None and rng.random() < exploration:
            return int(rng.integers(values.output_shape[-1]))
        return int(values.predict_on_batch(np.asarray(state, "float32")[None]).argmax())

    return choose


def play(game, choose, seed):
    """(sum of the rewards, states) of one game."""
    state, _ = game.reset(seed=seed)
    seen, total, over = [state], 0.0, False
    while not over:
        state, reward, lost, late, _ = game.step(choose(state))
        seen.append(state)
        total, over = total + reward, lost or late
    return total, np.array(seen)


def judged(game, choose, seeds):
    return float(np.mean([play(game, choose, seed)[0] for seed in seeds]))


# %% Learning: one step of the optimizer for every few of the game; of the networks that were tried, the best is kept
def learn(kind, nets, old, steps, first, seed, every, judge_every):
    """(sums of rewards of the games played, losses). first: steps before the optimizer's first. old: a copy of nets' first."""
    (values, trained), rng, game, exam = nets, np.random.default_rng(seed), gymnasium.make(kind), gymnasium.make(kind)
    replay, losses, totals, total = Replay(50_000, values.input_shape[1:]), [], [], 0.0
    best, kept = -np.inf, None
    state, _ = game.reset(seed=seed)
    for step in range(steps):
        exploration = max(EXPLORATION, 1.0 - step / (steps / 6))
        action = greedy(values, rng, exploration)(state)
        after, reward, lost, late, _ = game.step(action)
        replay.add(state, action, reward, after, lost)
        state, total = after, total + reward
        if lost or late:
            totals.append(total)
            state, total = game.reset()[0], 0.0
        if step >= first and step % every == 0:
            rows = replay.draw(rng)
            losses.append(float(trained.train_on_batch([rows["s"], rows["a"]], targets(rows, values, old))))
        if step % 250 == 0:
            old.set_weights(values.get_weights())
        if step >= first and (step + 1) % judge_every == 0:
            score = judged(exam, greedy(values), range(20_000, 20_020))
            if score > best:
                best, kept = score, values.get_weights()
            if score == exam.spec.max_episode_steps:
                break
    if kept:
        values.set_weights(kept)
    return totals, losses


def run(quick=False, seed=0):
    rng, game = np.random.default_rng(seed), gymnasium.make("CartPole-v1")
    steps, first = (BATCH + 4, BATCH) if quick else (60_000, 1_000)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps // 2, alpha=0.05)
    nets, (old, _) = (networks((4,), 2, [layers.Dense(128, "relu"), layers.Dense(128, "relu")], rate) for _ in range(2))
    totals, losses = learn("CartPole-v1", nets, old, steps, first, seed, 2, 1000)
    figure = judged(game, greedy(nets[0]), range(10_000, 10_001 if quick else 10_020))
    baseline = judged(game, lambda s: int(rng.integers(2)), range(2 if quick else 100))
    files = {"curve.png": picture(lambda f: draw(f, totals, play(game, greedy(nets[0]), 7)[1]))}
    return Result("steps a game, of 500", figure, baseline, 475.0, losses, files)


def draw(figure, totals, states):
    left, right = figure.subplots(1, 2)
    left.plot(totals)
    left.set(title="steps of each game of the training", xlabel="game")
    right.plot(states[:, 0], label="cart's place")
    right.plot(states[:, 2], label="pole's angle (rad)")
    right.set(title="a greedy game", xlabel="step")
    right.legend()


# %%
if __name__ == "__main__":
    main(run, __file__)
