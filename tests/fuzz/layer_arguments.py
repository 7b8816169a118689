"""What the arguments of layers may be: for each name, values inside its range and just outside, as source text."""

import inspect

from tests.layers.samples import Sample

FLAG = (["True", "False"], [])
INITIALIZER = (['"glorot_uniform"', '"he_normal"', '"ones"', '"lecun_uniform"'], ['"no_such"'])
REGULARIZER = (["None", '"l2"', '"l1"', '"l1l2"'], ['"no_such"', '"l1_l2"'])
CONSTRAINT = (["None", '"non_neg"', '"unit_norm"', '"max_norm"'], ['"no_such"'])
ACTIVATION = (
    ["None", '"relu"', '"tanh"', '"sigmoid"', '"elu"', '"softplus"', '"gelu"', '"swish"', '"hard_sigmoid"'],
    ['"no_such"', "3"],
)
SIZES = (["1", "2", "3"], ["0", "-1", "(2, 2, 2, 2)", "2.5"])
COUNT = (["1", "2", "4"], ["0", "-1", '"2"'])

RANGES = {
    "units": COUNT, "filters": COUNT, "output_dim": COUNT, "depth_multiplier": (["1", "2"], ["0", "-1"]), "n": (["1", "3"], ["0", "-1"]),
    "groups": (["1", "2"], ["0", "-1", "7"]), "kernel_size": SIZES, "strides": (["1", "2"], ["0", "-1", "(1, 1, 1, 1)"]),
    "pool_size": SIZES, "dilation_rate": (["1", "2"], ["0", "-1"]), "padding": (['"valid"', '"same"'], ['"full"', '"causal"', "3"]),
    "data_format": (['"channels_last"'], ['"channels"', "1"]), "size": (["1", "2"], ["0", "-1"]),
    "activation": ACTIVATION, "recurrent_activation": ACTIVATION, "use_bias": FLAG, "center": FLAG, "scale": FLAG,
    "keepdims": FLAG, "return_sequences": FLAG, "go_backwards": FLAG, "unroll": FLAG, "reset_after": FLAG, "unit_forget_bias": FLAG,
    "zero_output_for_mask": FLAG, "mask_zero": FLAG,
    "axis": (["-1", "1"], ["0", "9", "-9", "(1, 1)"]), "axes": (["1", "-1"], ["9", "0"]),
    "epsilon": (["1e-3", "1e-5", "0.1"], ["-1", '"a"']), "momentum": (["0.9", "0.0", "1.0"], ["-0.1", "1.5"]),
    "negative_slope": (["0.0", "0.2"], ["-0.1", "None"]), "max_value": (["None", "0.0", "1.0", "6.0"], ["-1.0"]),
    "threshold": (["0.0", "0.3"], ["-0.1", "None"]), "alpha": (["0.0", "0.5", "1.0"], ["-1.0", "None"]),
    "mask_value": (["0.0", "0.5"], []), "offset": (["0.0", "-0.5"], ['"a"']), "cropping": (["0", "1"], ["-1", "9"]),
    "interpolation": (['"nearest"', '"bilinear"'], ['"no_such"']), "merge_mode": (['"sum"', '"mul"', '"ave"', '"concat"'], ['"no_such"']),
    "score_mode": (['"dot"', '"concat"'], ['"no_such"']), "use_scale": FLAG, "normalize": FLAG,
    "num_heads": (["1", "2"], ["0", "-1"]), "key_dim": (["1", "3"], ["0", "-1"]), "value_dim": (["None", "2"], ["-1"]),
    "sliding_window": (["None", "1", "2"], ["0", "-1"]), "output_size": (["1", "2"], ["0", "-1"]),
    "power_iterations": (["1", "2"], ["0", "-1"]), "rate": (["0.0"], ["-0.1", "1.5"]),
    "kernel_constraint": CONSTRAINT, "bias_constraint": CONSTRAINT, "gamma_constraint": CONSTRAINT, "beta_constraint": CONSTRAINT,
    "activity_regularizer": REGULARIZER, "trainable": FLAG, "dtype": (["None", '"float32"'], ['"no_such"']),
    "name": (['"named"'], ['"a/b"', "3"]), "no_such_argument": ([], ["1"]),
}  # fmt: skip
RANGES |= {f"{n}_initializer": INITIALIZER for n in ("kernel", "bias", "gamma", "beta", "depthwise", "pointwise", "embeddings")}
RANGES |= {f"{n}_regularizer": REGULARIZER for n in ("kernel", "recurrent", "bias", "gamma", "beta", "depthwise", "embeddings")}

# what Keras takes and then forgets
FORGOTTEN = {("SimpleRNN", "activity_regularizer")}

WRAPPERS = [
    Sample("TimeDistributed", ((2, 5, 3),), {"layer": "L.Dense(2)"}),
    Sample("TimeDistributed", ((2, 6, 7, 4),), {"layer": "L.Conv1D(3, 2)"}),
    Sample("Bidirectional", ((2, 5, 3),), {"layer": "L.LSTM(3, return_sequences=True)"}),
    Sample("Bidirectional", ((2, 5, 3),), {"layer": "L.GRU(2)"}),
    Sample("RNN", ((2, 5, 3),), {"cell": "[L.GRUCell(3), L.LSTMCell(2)]"}),
    Sample("SpectralNormalization", ((2, 5),), {"layer": "L.Dense(3)"}),
]


def drawn_options(rng, sample, shape, outside):
    """Arguments for a layer, name -> source text: those of its sample, some of them and of its others drawn anew.

    outside: whether one of them gets a value just outside its range.
    """
    import keras

    wraps = {"layer", "cell"} & set(sample.options)
    options = {k: v if k in wraps else repr(v) for k, v in sample.options.items()}
    parameters = inspect.signature(getattr(keras.layers, sample.name).__init__).parameters
    taken = [n for n in RANGES if n in parameters or n in ("trainable", "name", "dtype", "no_such_argument")]
    taken = [n for n in taken if (sample.name, n) not in FORGOTTEN]
    for name in taken:
        inside = RANGES[name][0]
        if inside and name not in ("name", "trainable", "dtype") and rng.random() < 0.25:
            options[name] = rng.choice(inside)
    if outside:
        name = rng.choice([n for n in taken if RANGES[n][1]])
        options[name] = rng.choice(RANGES[name][1])
    return options
