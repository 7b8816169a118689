"""The demo: a convolutional network learns real handwritten digits, and the saved model predicts the same."""

import argparse
import os
import tempfile
import time

import numpy as np

from mlkit import datasets, layers, optimizers, saving, utils
from mlkit.finetuning.command_messages import check_places
from mlkit.models import Sequential

GOAL = 0.97  # accuracy on digits that training has not seen
BATCH = 64
_SHADES = " .:-=+*#%@"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training digits (default 10)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the weights, the order and the split (default 1)")
    parser.add_argument("--save", metavar="FILE", help="where to keep the model, ending in .keras (default: a temporary file)")


def command(options: argparse.Namespace) -> int:
    """Run the command. The exit status."""
    if options.epochs < 1:
        raise ValueError(f"--epochs must be 1 or more, but is {options.epochs}.")
    if options.save and not options.save.endswith(".keras"):
        raise ValueError(f"--save takes a file that ends in .keras, not {options.save!r}.")
    check_places(options.save)
    return run(epochs=options.epochs, seed=options.seed, path=options.save)


def run(epochs: int = 10, seed: int = 1, path=None):
    """Train, evaluate on held-out digits, show predictions, save, load and compare.

    Args:
        epochs: passes over the 4,500 training digits.
        seed: seed of everything random.
        path: `.keras` file to keep; a temporary one unless given.

    Returns:
        Exit status: 0, or 1 if accuracy is below 97 % or the loaded model predicts otherwise.
    """
    utils.set_random_seed(seed)
    (x_train, y_train), (x_test, y_test) = datasets.digits.load_data(test_size=500, seed=seed)
    print(f"Training on {len(x_train)} handwritten digits; {len(x_test)} others are held out.")
    model = build_model(steps=epochs * -(-len(x_train) // BATCH))
    model.summary()
    start = time.perf_counter()
    model.fit(x_train, y_train, batch_size=BATCH, epochs=epochs)
    _, accuracy = model.evaluate(x_test, y_test, batch_size=250, verbose=0)
    print(f"\nAccuracy on the held-out digits: {accuracy:.1%} after {time.perf_counter() - start:.0f} s.")
    probabilities = model.predict(x_test, batch_size=250, verbose=0)
    show(x_test, y_test, probabilities)
    same = survives_saving(model, x_test, probabilities, path)
    if accuracy < GOAL:
        print(f"That is below the {GOAL:.0%} expected of this network.")
    return 0 if accuracy >= GOAL and same else 1


def build_model(steps):
    """A small convolutional network for grey pictures of 28x28 pixels, compiled for training over that many steps."""
    model = Sequential(
        [
            layers.Input((28, 28)),
            layers.Rescaling(1 / 255),
            layers.Reshape((28, 28, 1)),
            *convolution(16),
            *convolution(32),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )
    rate = optimizers.schedules.CosineDecay(3e-3, steps)
    model.compile(optimizer=optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def convolution(filters):
    """The layers of one stage: 3x3 convolution, batch normalization, ReLU, and half the resolution."""
    return [
        layers.Conv2D(filters, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
    ]


def show(images, labels, probabilities, count: int = 5):
    """Print some digits side by side with what the model says, the one it is most wrong about among them."""
    wrongness = -probabilities[np.arange(len(labels)), labels]
    chosen = [*range(count - 1), int(wrongness.argmax())]
    pictures = [picture(images[i]) for i in chosen]
    print()
    for rows in zip(*pictures):
        print("  ".join(rows))
    print("  ".join(verdict(labels[i], probabilities[i]).ljust(len(pictures[0][0])) for i in chosen))


def picture(image):
    """A grey picture as lines of characters, every second row left out (characters are higher than wide)."""
    shades = (image[::2].astype(int) * (len(_SHADES) - 1) + 127) // 255
    return ["".join(_SHADES[s] for s in row) for row in shades]


def verdict(label, probabilities):
    """ "7, sure to 98 %", and the truth where it is another."""
    said = int(probabilities.argmax())
    truth = "" if said == label else f", is {label}"
    return f"{said} ({probabilities[said]:.0%}){truth}"


def survives_saving(model, images, probabilities, path=None):
    """Save the model, load it, and tell whether it predicts the same."""
    with tempfile.TemporaryDirectory() as folder:
        path = path or os.path.join(folder, "digits.keras")
        model.save(path)
        size = os.path.getsize(path) / 1024
        again = saving.load_model(path).predict(images, batch_size=250, verbose=0)
    same = np.array_equal(again, probabilities)
    outcome = "the same" if same else f"otherwise, by up to {np.abs(again - probabilities).max():.1e}"
    print(f"\nSaved to {path} ({size:.0f} KiB) and loaded: the model predicts {outcome}.")
    return same
