"""Activity recognition: which exercise a watch sees, by an LSTM.

Paper: Hammerla, Halloran and Ploetz, Deep, Convolutional, and Recurrent Models for Human Activity Recognition, 2016
    (https://arxiv.org/abs/1604.08880)
Data: accelerometer and gyroscope of a watch, 7 shoulder exercises (pip package seglearn 1.2.5, BSD); subjects 3, 6 and 9 held out.
Needs: a recurrent layer over windows, noise in training only, a confusion matrix.
Goal: accuracy on windows of the subjects held out; logistic regression on moments of each window is the baseline.
"""

# %% The data: windows of 2 seconds, one every half second, scaled by the training subjects
import numpy as np
from result import Result, main, picture
from series import watch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlkit as keras
from mlkit import layers

STEPS, STRIDE, HELD_OUT = 100, 25, (3, 6, 9)


def windows(series, labels, subjects):
    """(windows, steps, 6), their exercises and subjects."""
    cut = [np.lib.stride_tricks.sliding_window_view(x, STEPS, axis=0)[::STRIDE].swapaxes(1, 2) for x in series]
    counts = [len(c) for c in cut]
    return np.concatenate(cut), np.repeat(labels, counts), np.repeat(subjects, counts)


def moments(x):
    """Mean, spread, skewness and kurtosis of each channel."""
    mean, spread = x.mean(1), x.std(1) + 1e-6
    z = (x - mean[:, None]) / spread[:, None]
    return np.concatenate([mean, spread, (z**3).mean(1), (z**4).mean(1)], axis=1)


# %% The model: every second step is enough at 50 steps a second
def network(units):
    return keras.Sequential(
        [
            keras.Input((STEPS, 6)),
            layers.GaussianNoise(0.1),
            layers.Conv1D(units, 5, strides=2, activation="relu"),
            layers.LSTM(units),
            layers.Dropout(0.5),
            layers.Dense(7),
        ]
    )


# %% Train on seven subjects, look at three others
def run(quick=False, seed=0):
    series, labels, subjects, names = watch(made=quick)
    x, y, who = windows(series, labels, subjects)
    test = np.isin(who, HELD_OUT)
    baseline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(moments(x[~test]), y[~test])
    mean, spread = x[~test].mean((0, 1)), x[~test].std((0, 1))
    x = (x - mean) / spread
    model = network(8 if quick else 64)
    epochs = 1 if quick else 12
    steps = epochs * -(-int((~test).sum()) // 64)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    history = model.fit(x[~test], y[~test], batch_size=64, epochs=epochs, verbose=0)
    _, accuracy = model.evaluate(x[test], y[test], batch_size=256, verbose=0)
    found = confusion_matrix(y[test], model.predict(x[test], verbose=0).argmax(1), labels=range(7), normalize="true")

    def draw(figure):
        axes = figure.add_subplot()
        axes.imshow(found, cmap="Blues", vmin=0, vmax=1)
        axes.set(xlabel="exercise found", ylabel="exercise made", xticks=range(7), yticks=range(7))
        axes.set_xticklabels(names), axes.set_yticklabels(names)
        for row, column in np.argwhere(found >= 0.005):
            axes.text(column, row, f"{found[row, column]:.2f}", ha="center", va="center", fontsize=7)

    files = {"confusion.png": picture(draw, 5.0, 4.6)}
    score = baseline.score(moments(windows(series, labels, subjects)[0][test]), y[test])
    return Result("accuracy", accuracy, score, 0.83, history.history["loss"], files)


# %%
if __name__ == "__main__":
    main(run, __file__)
