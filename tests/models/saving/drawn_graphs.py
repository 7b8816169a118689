"""Functional models drawn from a seed, the same ones in any library with the interface of Keras: with masks, shared layers,
nested models, several inputs and outputs, operations used as functions, and layers around layers."""

import random

STEPS, SIZE = 4, 3  # one size for all tensors, so that many layers have weights of equal shapes


def draw(keras, seed):
    """The model of a seed. Its layers are named after the order in which they were made."""
    return _Draw(keras, random.Random(seed)).model()


class _Draw:
    def __init__(self, keras, rng):
        self.keras, self.rng, self.made, self.shared = keras, rng, 0, {}

    def layer(self, name, *args, **kwargs):
        self.made += 1
        return getattr(self.keras.layers, name)(*args, name=f"{name.lower()}_{self.made}", **kwargs)

    def model(self, depth=0):
        rng = self.rng
        inputs, sequences = [], []
        for _ in range(rng.randint(1, 3)):
            self.made += 1
            if rng.random() < 0.3 and not depth:
                inputs.append(self.keras.Input((STEPS,), dtype="int32", name=f"ids_{self.made}"))
                sequences.append(self.layer("Embedding", 5, SIZE, mask_zero=rng.random() < 0.7)(inputs[-1]))
            else:
                inputs.append(self.keras.Input((STEPS, SIZE), name=f"input_{self.made}"))
                sequences.append(inputs[-1])
        for _ in range(rng.randint(3, 9)):
            sequences.append(rng.choice(self.steps())(sequences, depth))
            if rng.random() < 0.5:
                sequences.pop(rng.randrange(len(sequences) - 1))
        outputs = [self.ended(x) for x in rng.sample(sequences, rng.randint(1, min(3, len(sequences))))]
        if depth:
            outputs = rng.sample(sequences, 1)
        if len(outputs) > 1 and rng.random() < 0.5:
            outputs = [self.layer("Dense", 2)(self.layer("Concatenate")(outputs))]
        self.made += 1
        return self.keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0], name=f"model_{self.made}")

    def steps(self):
        return [self.plain] * 3 + [
            self.masking,
            self.recurrent,
            self.merged,
            self.merged,
            self.again,
            self.op,
            self.attention,
            self.nested,
        ]

    def plain(self, xs, depth):
        kind = self.rng.choice(["Dense", "Dense", "LayerNormalization", "Activation", "Dropout", "TimeDistributed", "Conv1D"])
        x = self.rng.choice(xs)
        if kind == "TimeDistributed":
            return self.layer(kind, self.layer("Dense", SIZE))(x)
        options = {"Dense": (SIZE,), "Activation": ("tanh",), "Dropout": (0.5,), "Conv1D": (SIZE, 2)}.get(kind, ())
        return self.layer(kind, *options, **({"padding": "same"} if kind == "Conv1D" else {}))(x)

    def masking(self, xs, depth):
        return self.layer("Masking")(self.rng.choice(xs))

    def recurrent(self, xs, depth):
        x, kind = self.rng.choice(xs), self.rng.choice(["LSTM", "GRU", "SimpleRNN"])
        if self.rng.random() < 0.4:
            # not unrolled: on JAX, Keras then forgets that the outputs of steps left out are 0 in both directions
            inner = self.layer(kind, SIZE, return_sequences=True)
            return self.layer("Bidirectional", inner, merge_mode="sum")(x)
        layer = self.layer(kind, SIZE, return_sequences=True, unroll=True)
        return layer(x, training=False) if self.rng.random() < 0.2 else layer(x)

    def merged(self, xs, depth):
        kind = self.rng.choice(["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"])
        pair = [self.rng.choice(xs), self.rng.choice(xs)]
        out = self.layer(kind)(pair)
        return self.layer("Dense", SIZE)(out) if kind == "Concatenate" else out

    def again(self, xs, depth):
        """A shared layer."""
        kind = self.rng.choice(["Dense", "SimpleRNN"])
        if (depth, kind) not in self.shared:
            options = {"return_sequences": True, "unroll": True} if kind == "SimpleRNN" else {}
            self.shared[depth, kind] = self.layer(kind, SIZE, **options)
        return self.shared[depth, kind](self.rng.choice(xs))

    def op(self, xs, depth):
        ops, a, b = self.keras.ops, self.rng.choice(xs), self.rng.choice(xs)
        return self.rng.choice([
            lambda: ops.add(a, b), lambda: a * b, lambda: ops.tanh(a), lambda: ops.maximum(a, b), lambda: a + 0.5,
            lambda: ops.concatenate([a[:, :1], b[:, 1:]], axis=1),
        ])()  # fmt: skip

    def attention(self, xs, depth):
        a, b = self.rng.choice(xs), self.rng.choice(xs)
        if self.rng.random() < 0.5:
            # Keras's layer takes the masks off the tensors it is given, so that others no longer see them: it gets its own
            a, b = (self.layer("Activation", "tanh")(x) for x in (a, b))
            return self.layer("MultiHeadAttention", 1, SIZE)(a, b)
        return self.layer("Attention")([a, b])

    def nested(self, xs, depth):
        if depth:
            return self.plain(xs, depth)
        model = self.model(depth + 1)
        out = model([self.rng.choice(xs) for _ in model.inputs] if len(model.inputs) > 1 else self.rng.choice(xs))
        if self.rng.random() < 0.3:
            out = self.keras.ops.add(out, model([xs[0]] * len(model.inputs) if len(model.inputs) > 1 else xs[0]))
        return out

    def ended(self, x):
        kind = self.rng.choice(["GlobalAveragePooling1D", "Flatten", "LSTM", "GlobalMaxPooling1D"])
        return self.layer("Dense", 2)(self.layer(kind, *((SIZE,) if kind == "LSTM" else ()))(x))
