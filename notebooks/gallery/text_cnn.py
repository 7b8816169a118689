"""Convolutions over words: whether a sentence praises a film.

Paper: Kim, Convolutional Neural Networks for Sentence Classification, 2014 (https://arxiv.org/abs/1408.5882)
Data: sentences of film reviews with ratings (pip package vaderSentiment 0.5, MIT), split 8,543 / 1,500.
Needs: TextVectorization, dropout of whole channels, a norm constraint, a rate that falls.
Goal: accuracy on test sentences; logistic regression on tf-idf of words and pairs of them is the baseline.
"""

# %% The data: sentences as numbers of words
import numpy as np
from result import Result, main
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from texts import film_sentences

import mlkit as keras
from mlkit import layers

LENGTH = 48


def tf_idf(sentences, labels, test, test_labels):
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=4.0, max_iter=500))
    return model.fit(sentences, labels).score(test, test_labels)


# %% The model: filters of three widths, each of which keeps its strongest answer in the sentence
def network(words, width, filters):
    x = keras.Input((LENGTH,), dtype="int32")
    h = layers.SpatialDropout1D(0.3)(
        layers.Embedding(words, width, embeddings_initializer=keras.initializers.RandomUniform(-0.25, 0.25))(x)
    )
    maps = [layers.Conv1D(filters, size, activation="relu", padding="same", name=f"width_{size}")(h) for size in (3, 4, 5)]
    strongest = layers.Concatenate(name="strongest")([layers.GlobalMaxPooling1D()(m) for m in maps])
    limit = keras.constraints.MaxNorm(3)
    y = layers.Dense(1, kernel_constraint=limit, name="verdict")(layers.Dropout(0.5)(strongest))
    return keras.Model(x, y), keras.Model(x, maps)


# %% What a filter has learned: the n-grams that move it most
def n_grams(model, maps, tokens, words, count=4):
    """Lines: of the filters with the largest weights for praise and for blame, the three n-grams that they answer most."""
    answers = maps.predict(tokens, verbose=0)
    weight = model.get_layer("verdict").kernel.numpy()[:, 0]
    filters = answers[0].shape[-1]
    lines = []
    for name, order in (("praise", np.argsort(-weight)), ("blame", np.argsort(weight))):
        for filter in order[:count]:
            group, k = divmod(int(filter), filters)
            size, found = group + 3, []
            for place in np.argsort(-answers[group][..., k], axis=None):
                row, middle = divmod(int(place), LENGTH)
                start = max(middle - (size - 1) // 2, 0)
                gram = " ".join(words[t] for t in tokens[row, start : start + size] if t)
                if gram not in found:
                    found.append(gram)
                if len(found) == 3:
                    break
            lines.append(f"{name:6} width {size} weight {weight[filter]:+.2f}: " + " | ".join(found))
    return "\n".join(lines)


# %% Train with a rate that falls to 0, keep a mean of the last weights, and judge on the sentences held out
def run(quick=False, seed=0):
    sentences, labels = film_sentences(made=quick)
    order = np.random.default_rng(0).permutation(len(labels))  # the split is the same for all seeds
    text, labels = [sentences[k] for k in order], labels[order]
    split, epochs, batch = (-16, 1, 8) if quick else (-1500, 8, 50)
    vectorize = layers.TextVectorization(output_sequence_length=LENGTH)
    vectorize.adapt(text[:split])
    words = vectorize.get_vocabulary()
    tokens = np.asarray(vectorize(text))
    model, maps = network(len(words), *((8, 4) if quick else (100, 100)))
    rate = keras.optimizers.schedules.CosineDecay(1e-3, epochs * len(tokens[:split]) // batch)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    adam = keras.optimizers.Adam(rate, use_ema=True, ema_momentum=0.995)
    model.compile(adam, loss, metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)])
    history = model.fit(tokens[:split], labels[:split], batch_size=batch, epochs=epochs, verbose=0)
    _, accuracy = model.evaluate(tokens[split:], labels[split:], batch_size=250, verbose=0)
    baseline = tf_idf(text[:split], labels[:split], text[split:], labels[split:])
    shown = n_grams(model, maps, tokens[split:], words)
    return Result("accuracy", accuracy, baseline, 0.78, history.history["loss"], text=shown)


# %%
if __name__ == "__main__":
    main(run, __file__)
