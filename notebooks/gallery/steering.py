"""Steering from pictures: a network watches a scripted driver, then drives tracks that neither has seen.

Paper: Bojarski et al., End to End Learning for Self-Driving Cars, 2016 (https://arxiv.org/abs/1604.07316)
Data: CarRacing-v3 of gymnasium (MIT) with Box2D (zlib) and pygame (LGPL): frames of 96 x 96 pixels on random tracks.
Needs: convolutions, `fit`, an answer to a single picture without delay, the gradient of an answer by its picture.
Goal: the lesser of R2 of the steering on a track not seen and the share of the driver's return that the network gets on two such
    tracks; steering always the mean is the baseline.
"""

# %% The driver: knows the track, looks some tiles ahead
import numpy as np
from result import Result, main, picture

import mlkit as keras
from mlkit import layers, ops

AHEAD, START = 5, 50  # tiles; frames in which the camera still comes nearer


def driver(game):
    """(steering, gas, brake) of the script: steers for a point ahead, brakes where the road turns."""
    car, track = game.unwrapped.car, np.array(game.unwrapped.track)
    place, angle = np.array(car.hull.position), car.hull.angle
    nearest = ((track[:, 2:] - place) ** 2).sum(1).argmin()
    to = track[(nearest + AHEAD) % len(track), 2:] - place
    heading = np.array([-np.sin(angle), np.cos(angle)])
    off = np.arctan2(heading[0] * to[1] - heading[1] * to[0], heading @ to)  # radians to the left
    bend = abs(np.sin(track[(nearest + 2 * AHEAD) % len(track), 1] - track[nearest, 1]))
    speed, wanted = np.hypot(*car.hull.linearVelocity), 45 - 25 * min(1.0, bend)
    return float(np.clip(-2 * off, -1, 1)), 0.3 if speed < wanted else 0.0, 0.2 if speed > wanted + 10 else 0.0


# %% What the network sees: a grey picture of half the size, without the instruments
def seen(frame):
    grey = frame[:84].mean(-1, dtype="float32")
    return grey.reshape(42, 2, 48, 2).mean((1, 3))[..., None] / 255


def drive(seed, steps, steer=None, wander=0.0):
    """(frames, the driver's steering, return) of a game. steer: frame -> steering, the driver's own by default."""
    import gymnasium

    game, rng = gymnasium.make("CarRacing-v3"), np.random.default_rng(seed)
    frame, _ = game.reset(seed=seed)
    frames, angles, total, push, over = [], [], 0.0, 0.0, False
    while not over and len(frames) < steps:
        angle, gas, brake = driver(game)
        frames.append(seen(frame))
        angles.append(angle)
        push = 0.9 * push + wander * rng.normal()  # off the line, so that the way back to it is seen too
        action = angle if steer is None or len(frames) < START else steer(frames[-1])
        frame, reward, lost, late, _ = game.step(np.array([np.clip(action + push, -1, 1), gas, brake], "float32"))
        total, over = total + reward, lost or late
    game.close()
    return np.stack(frames[START:]), np.array(angles[START:], "float32"), total


# %% The network
def network(width):
    x = keras.Input((42, 48, 1))
    h = layers.Conv2D(width, 5, strides=2, activation="relu")(x)
    h = layers.Conv2D(2 * width, 3, strides=2, activation="relu")(h)
    h = layers.Conv2D(4 * width, 3, strides=2, activation="relu")(h)
    h = layers.Dense(50, "relu")(layers.Dropout(0.2)(layers.Flatten()(h)))
    model = keras.Model(x, layers.Dense(1, "tanh")(h))
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    return model


def saliency(model, frames):
    """How much each pixel matters: the steering's gradient, its size."""
    slope = keras.grad(lambda x: ops.sum(model(x)))(ops.convert_to_tensor(frames))
    return np.abs(ops.convert_to_numpy(slope))[..., 0]


# %% Watch, train, drive
def watched(quick, seed):
    """((frames, steering) to train on, the same of a track not seen)"""
    if quick:
        rng = np.random.default_rng(seed)
        return [(rng.random((n, 42, 48, 1), "float32"), rng.uniform(-1, 1, n).astype("float32")) for n in (8, 10)]
    drives = [drive(1000 * seed + k, 450, wander=0.1) for k in range(6)]
    train = [np.concatenate([d[part] for d in drives[:5]]) for part in (0, 1)]
    mirrored = train[0][:, :, ::-1], -train[1]
    return [np.concatenate(pair) for pair in zip(train, mirrored, strict=True)], drives[5][:2]


def run(quick=False, seed=0):
    (x, y), (x_test, y_test) = watched(quick, seed)
    model = network(4 if quick else 16)
    losses = model.fit(x, y, batch_size=4 if quick else 64, epochs=1 if quick else 10, verbose=0).history["loss"]
    figure = 1 - float(np.mean((model.predict(x_test, verbose=0)[:, 0] - y_test) ** 2) / y_test.var())
    baseline, text = 1 - float(np.mean((y.mean() - y_test) ** 2) / y_test.var()), f"R2 on frames: {figure:.3f}"
    if not quick:
        by = {
            "driver": None,
            "network": lambda f: float(model.predict_on_batch(f[None])[0, 0]),
            "mean": lambda f: float(y.mean()),
        }
        returns = {name: np.mean([drive(1000 * seed + k, 450, steer)[2] for k in (100, 101)]) for name, steer in by.items()}
        figure = min(figure, float(returns["network"] / returns["driver"]))
        baseline = min(baseline, float(returns["mean"] / returns["driver"]))
        text += "\nReturn of 450 steps: " + ", ".join(f"{name} {value:.0f}" for name, value in returns.items())
    some = x_test[:: max(1, len(x_test) // 6)][:6]
    files = {"film.png": picture(lambda f: draw(f, some, saliency(model, some), model.predict(some, verbose=0)[:, 0]), 9, 3.4)}
    return Result("lesser of R2 and share of return", figure, baseline, 0.6, losses, files, text)


def draw(figure, frames, matters, angles):
    axes = figure.subplots(2, len(frames))
    for k, (frame, matter, angle) in enumerate(zip(frames, matters, angles, strict=True)):
        axes[0, k].imshow(frame[..., 0], cmap="gray")
        axes[0, k].set_title(f"steers {angle:+.2f}", fontsize=8)
        axes[1, k].imshow(matter, cmap="magma")
        for place in axes[:, k]:
            place.set_axis_off()


# %%
if __name__ == "__main__":
    main(run, __file__)
