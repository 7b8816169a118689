"""Fine-tune MobileNetV2 on a folder of photos with mlkit or Keras, in this process; prints one line of JSON.

    python benchmarks/measure_job_keras.py {mlkit,keras} FOLDER [--augment]      (Keras: KERAS_BACKEND chooses its engine)

head_s    from the files to a trained head: HEAD_EPOCHS epochs on a frozen network, with the validation after each
all_s     one epoch of all layers, with its validation
total_s   both
"""

import argparse
import importlib
import math
import os
import pathlib

from job_files import SIZE
from timing import clock, peak_mb, print_result

BATCH, HEAD_EPOCHS, RATE = 32, 5, 3e-3


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("library", choices=["mlkit", "keras"])
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--augment", action="store_true")
    given = options.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    keras = importlib.import_module(given.library)
    times = []
    note_end_of_fits(keras, times)
    start = clock()
    job = in_one_call if given.library == "mlkit" else by_hand
    job(keras, given.folder, given.augment)
    head_s, total_s = (t - start for t in times)
    print_result(head_s=head_s, all_s=total_s - head_s, total_s=total_s, rss_mb=peak_mb())


def note_end_of_fits(keras, times):
    """Append the time to a list whenever a `fit` ends."""
    fit = keras.Model.fit

    def timed(*args, **kwargs):
        history = fit(*args, **kwargs)
        times.append(clock())
        return history

    keras.Model.fit = timed


def in_one_call(mlkit, folder, augment):
    """`mlkit.finetune` as it comes."""
    mlkit.finetune(
        "MobileNetV2", folder / "train", folder / "val", weights=folder / "base.weights.h5", augmentation=augment,
        image_size=(SIZE, SIZE), batch_size=BATCH, head_epochs=HEAD_EPOCHS, epochs=1, learning_rate=RATE, verbose=0,
    )  # fmt: skip


def by_hand(keras, folder, augment):
    """The job as Keras's guide to transfer learning has it."""
    layers = keras.layers
    train, val = datasets(keras, folder)
    base = keras.applications.MobileNetV2((SIZE, SIZE, 3), include_top=False, pooling="avg", weights=folder / "base.weights.h5")
    base.trainable = False
    inputs = x = keras.Input((SIZE, SIZE, 3))
    if augment:
        for layer in (layers.RandomFlip("horizontal"), layers.RandomRotation(0.05), layers.RandomZoom(0.1)):
            x = layer(x)
    x = base(layers.Rescaling(1 / 127.5, offset=-1)(x), training=False)
    outputs = layers.Dense(2, activation="softmax")(layers.Dropout(0.2)(x))
    model = keras.Model(inputs, outputs)
    for trains, epochs, rate in ((False, HEAD_EPOCHS, RATE), (True, 1, RATE / 10)):
        base.trainable = trains
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(train, validation_data=val, epochs=epochs, verbose=0)


def datasets(keras, folder):
    """(training, validation) data: decoded once and kept in memory; read anew by threads where Keras has no TensorFlow."""
    if keras.config.backend() in ("torch", "jax"):
        return tuple(photo_batches(keras, folder / part, shuffle) for part, shuffle in (("train", True), ("val", False)))
    options = {"image_size": (SIZE, SIZE), "batch_size": BATCH}
    parts = [keras.utils.image_dataset_from_directory(folder / p, **options, verbose=False) for p in ("train", "val")]
    return tuple(part.cache().prefetch(-1) for part in parts)


def photo_batches(keras, folder, shuffle):
    """A PyDataset over a folder with a sub-folder a class."""
    import numpy as np

    files = [(file, label) for label, where in enumerate(sorted(folder.iterdir())) for file in sorted(where.iterdir())]
    order = np.random.default_rng(0)

    class Photos(keras.utils.PyDataset):
        def __init__(self):
            super().__init__(workers=os.cpu_count())
            self.on_epoch_end()

        def on_epoch_end(self):
            self.order = order.permutation(len(files)) if shuffle else range(len(files))

        def __len__(self):
            return math.ceil(len(files) / BATCH)

        def __getitem__(self, index):
            chosen = [files[i] for i in self.order[index * BATCH : (index + 1) * BATCH]]
            images = [keras.utils.load_img(file, target_size=(SIZE, SIZE), interpolation="bilinear") for file, _ in chosen]
            return np.stack([np.asarray(image, "float32") for image in images]), np.array([label for _, label in chosen])

    return Photos()


if __name__ == "__main__":
    main()
