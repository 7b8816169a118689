"""Double DQN sees: Breakout on ten by ten pixels.

Paper: Mnih et al., Human-level control through deep reinforcement learning, 2015 (https://www.nature.com/articles/nature14236); the
    game of Young and Tian, MinAtar, 2019 (https://arxiv.org/abs/1903.03176)
Data: Breakout of the PyPI package MinAtar 1.0.15 (GPL-3.0), installed beside.
Needs: what `dqn` needs, with a convolution in front.
Goal: mean score of 50 greedy games, at least five times that of random moves, the baseline.
"""

# %% The game, and the network of dqn.py with a convolution
import gymnasium
import numpy as np
from dqn import BATCH, greedy, judged, learn, networks, play
from result import Result, grid, main, picture

from mlkit import layers

try:
    import minatar.gym
except ModuleNotFoundError as error:
    message = "dqn_breakout needs MinAtar: pip install MinAtar==1.0.15"
    raise ModuleNotFoundError(message, name=error.name) from error

GAME = "MinAtar/Breakout-v1"
COLOURS = np.array([[0.3, 0.9, 1.0], [1.0, 0.9, 0.2], [0.6, 0.4, 0.1], [0.9, 0.3, 0.3]])  # paddle, ball, its trail, bricks


def body():
    return [layers.Conv2D(16, 3, activation="relu"), layers.Flatten(), layers.Dense(128, "relu")]


# %% Learn as in dqn.py
def run(quick=False, seed=0):
    if GAME not in gymnasium.registry:
        minatar.gym.register_envs()
    rng, game = np.random.default_rng(seed), gymnasium.make(GAME)
    nets, (old, _) = (networks((10, 10, 4), 3, body(), 5e-4) for _ in range(2))
    steps, first = (BATCH + 4, BATCH) if quick else (90_000, 2_000)
    totals, losses = learn(GAME, nets, old, steps, first, seed, 4, 5000)
    choose = greedy(nets[0], rng, 0.01)  # a game without end would be possible otherwise
    figure = judged(game, choose, range(10_000, 10_001 if quick else 10_050))
    baseline = judged(game, lambda s: int(rng.integers(3)), range(2 if quick else 500))
    files = {
        "curve.png": picture(lambda f: draw(f, totals), 6, 3),
        "film.png": grid(np.clip(play(game, choose, 7)[1][:20] @ COLOURS, 0, 1), 10),
    }
    return Result("score a game", figure, baseline, round(5 * baseline, 2), losses, files)


def draw(figure, totals):
    axes = figure.subplots()
    axes.plot([np.mean(totals[max(0, k - 100) : k + 1]) for k in range(len(totals))])
    axes.set(title="score, mean of the last 100 games of the training", xlabel="game")


# %%
if __name__ == "__main__":
    main(run, __file__)
