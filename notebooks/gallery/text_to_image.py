"""Pictures from words: a generator that is told what to draw, and a critic that knows what the words mean.

Paper: Reed et al., Generative Adversarial Text to Image Synthesis, 2016 (https://arxiv.org/abs/1605.05396)
Data: 1,911 emoji with their names (npm package emoji-datasource-twitter 16.0.0, MIT; pictures CC-BY 4.0), 32 x 32 pixels; a tenth
    of the names held out.
Needs: TextVectorization of several words at once, two optimizers in a train step.
Goal: how often the critic prefers a picture's own name to that of another, on names not seen; tossing a coin is the baseline.
"""

# %% The data: pictures on white, and which known words a name has
import numpy as np
from images import emoji
from result import Result, grid, main

import mlkit as keras
from mlkit import layers, ops

NOISE, OTHERS = 16, 4


def words_of(names, train):
    """Rows of 0 and 1, of the words that occur at least twice in the training names."""
    vectorize = layers.TextVectorization(output_mode="multi_hot")
    vectorize.adapt(train)
    known = vectorize(names)
    often = ops.sum(vectorize(train), axis=0) >= 2
    return ops.convert_to_numpy(known)[:, ops.convert_to_numpy(often)].astype("float32")


# %% Two networks that both read the words
def networks(words, width):
    z, text = keras.Input((NOISE,)), keras.Input((words,))
    meaning = layers.Dense(2 * width, "leaky_relu")(text)
    h = layers.Dense(4 * 4 * 4 * width)(layers.Concatenate()([z, meaning]))
    h = layers.Reshape((4, 4, 4 * width))(h)
    for filters in (4 * width, 2 * width, width):
        h = layers.UpSampling2D()(layers.Activation("relu")(layers.GroupNormalization(4)(h)))
        h = layers.Conv2D(filters, 3, padding="same")(h)
    picture = layers.Conv2D(3, 3, padding="same", activation="sigmoid")(layers.Activation("relu")(h))
    generator = keras.Model([z, text], picture, name="generator")

    x, text, seen = keras.Input((32, 32, 3)), keras.Input((words,)), keras.Input((4 * width,))
    h = x
    for filters in (width, 2 * width, 4 * width):
        h = layers.LeakyReLU(0.2)(layers.Conv2D(filters, 4, strides=2, padding="same")(h))
    eye = keras.Model(x, layers.Dense(4 * width)(layers.Dropout(0.3)(layers.Flatten()(h))), name="eye")
    read = layers.Dense(4 * width)(layers.Dropout(0.2)(text))
    alike = layers.Dot(-1)([seen, read])  # whether both mean the same
    score = layers.Add()([alike, layers.Dense(1)(layers.LeakyReLU(0.2)(seen))])
    return generator, eye, keras.Model([seen, text], score, name="judge")


# %% A step: the critic is shown pictures with their names, with others' names, and made ones
class Painter(keras.Model):
    def __init__(self, words, width):
        super().__init__()
        self.generator, self.eye, self.judge = networks(words, width)
        self.critic = keras.Model([self.eye.input, self.judge.input[1]], self.judge([self.eye.output, self.judge.input[1]]))
        self.noise = keras.random.SeedGenerator()
        self.of_generator, self.of_critic = (keras.optimizers.Adam(4e-4, beta_1=0.5) for _ in range(2))
        self.of_generator.build(self.generator.trainable_variables)
        self.of_critic.build(self.critic.trainable_variables)
        self.loss_of = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)

    def paint(self, text):
        return self.generator([keras.random.normal((text.shape[0], NOISE), seed=self.noise), text])

    def judged(self, seen, text, right):
        score = self.judge([seen, text], training=True)
        return self.loss_of(ops.full_like(score, float(right)), score)

    def train_step(self, data):
        picture, text = data[0]
        made = self.paint(text)
        with keras.GradientTape() as tape:
            seen, seen_made = self.eye(picture, training=True), self.eye(made, training=True)
            wrong = sum(self.judged(seen, ops.roll(text, k, axis=0), False) for k in range(1, OTHERS + 1)) / OTHERS
            critic_loss = self.judged(seen, text, True) + 0.5 * (wrong + self.judged(seen_made, text, False))
        self.of_critic.apply(tape.gradient(critic_loss, self.critic.trainable_variables))
        with keras.GradientTape() as tape:
            loss = self.judged(self.eye(self.paint(text), training=True), text, True)
        self.of_generator.apply(tape.gradient(loss, self.generator.trainable_variables))
        return {"critic": critic_loss, "generator": loss}


# %% Train; then ask the critic about names it has not seen
def run(quick=False, seed=0):
    names, pictures = emoji(made=quick)
    order = np.random.default_rng(0).permutation(len(names))
    names, pictures = [names[k] for k in order], pictures[order].astype("float32") / 255
    split = len(names) * 9 // 10
    text = words_of(names, names[:split])
    rng, losses = np.random.default_rng(seed), []
    model = Painter(text.shape[1], 4 if quick else 16)
    model.compile()
    for _ in range(1 if quick else 60):
        mirrored = np.where(rng.random(split)[:, None, None, None] < 0.5, pictures[:split, :, ::-1], pictures[:split])
        history = model.fit((mirrored, text[:split]), batch_size=16 if quick else 64, verbose=0)
        losses += history.history["critic"] + history.history["generator"]
    new, size = text[split:], len(names) - split
    right = model.critic.predict([pictures[split:], new], verbose=0)
    wins = [
        (right > model.critic.predict([pictures[split:], np.roll(new, k, axis=0)], verbose=0)).mean()
        for k in range(1, min(20, size))
    ]
    shown = [k for k in range(split, len(names)) if text[k].sum() > 1][:10]
    made = ops.convert_to_numpy(model.paint(ops.convert_to_tensor(text[shown])))
    pairs = np.concatenate([pictures[shown], made])
    titles = [names[k].lower()[:18] for k in shown] + ["made"] * len(shown)
    files = {"new_names.png": grid(pairs, len(shown), titles)}
    return Result("right name preferred", float(np.mean(wins)), 0.5, 0.75, losses, files)


# %%
if __name__ == "__main__":
    main(run, __file__)
