"""The one table of layer samples: each row is checked by `check_layer` and compared with Keras.

A row is ``S(name, *input shapes, option=value, ...)``. An option that is a function is called with the `layers` module of the
library under test, which makes inner layers. Keywords with an underscore say how to test: _inputs="list" (one list of tensors)
or "separate" (one argument each); _ints=n: inputs are whole numbers below n; _random: outputs of training calls are random;
_call: further arguments of the call; _atol.
"""

from dataclasses import dataclass, field


@dataclass
class Sample:
    name: str
    shapes: tuple
    options: dict
    inputs: str = "single"
    ints: int = 0
    random: bool = False
    call: dict = field(default_factory=dict)
    atol: float = 1e-5

    def __str__(self):
        options = ",".join(f"{k}={'...' if callable(v) else v}" for k, v in self.options.items())
        return f"{self.name}({options}){'x'.join(map(str, self.shapes[0]))}"


def S(name, *shapes, **keywords):
    settings = {k[1:]: v for k, v in keywords.items() if k.startswith("_")}
    return Sample(name, shapes, {k: v for k, v in keywords.items() if not k.startswith("_")}, **settings)


SEQ, IMG, VOL, VEC = (2, 5, 3), (2, 6, 7, 4), (2, 4, 5, 3, 2), (2, 5)

DENSE = [
    S("Dense", VEC, units=3, activation="relu", kernel_regularizer="l2", bias_constraint="non_neg"),
    S("Dense", SEQ, units=4, use_bias=False, kernel_initializer="he_normal"),
    S("EinsumDense", SEQ, equation="abc,cd->abd", output_shape=(None, 8), bias_axes="d"),
    S("EinsumDense", SEQ, equation="abc,cde->abde", output_shape=(None, 2, 4), activation="tanh"),
    S("Embedding", VEC, input_dim=6, output_dim=3, _ints=6),
    S("Embedding", VEC, input_dim=6, output_dim=3, mask_zero=True, embeddings_constraint="unit_norm", _ints=6),
    S("Embedding", VEC, input_dim=6, output_dim=3, lora_rank=2, _ints=6),
    S("EinsumDense", SEQ, equation="abc,cde->abde", output_shape=(None, 2, 4), lora_rank=2, lora_alpha=3),
    S("ReversibleEmbedding", VEC, input_dim=6, output_dim=3, mask_zero=True, lora_rank=2, _ints=6),
    S("ReversibleEmbedding", SEQ, input_dim=6, output_dim=3, logit_soft_cap=2.0, _call={"reverse": True}),
    S("Identity", SEQ),
    S("Masking", SEQ, mask_value=0.5),
    S("Activation", VEC, activation="swish"),
    S("ReLU", VEC, max_value=1.0, negative_slope=0.2, threshold=0.1),
    S("LeakyReLU", VEC, negative_slope=0.1),
    S("ELU", VEC, alpha=0.7),
    S("PReLU", IMG, shared_axes=[1, 2], alpha_initializer="ones"),
    S("PReLU", VEC),
    S("Softmax", SEQ),
    S("Softmax", SEQ, axis=[1, 2]),
]

CONVOLUTION = [
    S("Conv1D", SEQ, filters=4, kernel_size=2),
    S("Conv1D", SEQ, filters=4, kernel_size=2, padding="causal", dilation_rate=2, activation="tanh"),
    S("Conv2D", IMG, filters=3, kernel_size=3, strides=2, padding="same"),
    S("Conv2D", IMG, filters=4, kernel_size=(2, 3), groups=2, use_bias=False, kernel_regularizer="l2"),
    S("Conv2D", IMG, filters=3, kernel_size=2, dilation_rate=(2, 1)),
    S("Conv2D", (2, 4, 6, 7), filters=3, kernel_size=2, data_format="channels_first"),
    S("Conv3D", VOL, filters=3, kernel_size=2, padding="same"),
    S("Conv1DTranspose", SEQ, filters=4, kernel_size=3, strides=2),
    S("Conv2DTranspose", IMG, filters=3, kernel_size=3, strides=2, padding="same", output_padding=1),
    S("Conv2DTranspose", IMG, filters=3, kernel_size=2, dilation_rate=2, activation="relu"),
    S("Conv3DTranspose", VOL, filters=2, kernel_size=2, strides=(2, 1, 1)),
    S("DepthwiseConv1D", SEQ, kernel_size=2, depth_multiplier=2),
    S("DepthwiseConv2D", IMG, kernel_size=3, depth_multiplier=2, padding="same", strides=2, depthwise_regularizer="l2"),
    S("DepthwiseConv2D", IMG, kernel_size=2, strides=2, dilation_rate=2),
    S("SeparableConv1D", SEQ, filters=4, kernel_size=3, padding="same"),
    S("SeparableConv2D", IMG, filters=3, kernel_size=2, strides=(2, 1), dilation_rate=2, padding="same"),
    S("SeparableConv2D", IMG, filters=5, kernel_size=3, depth_multiplier=2, activation="relu"),
]

POOLING = [
    S("MaxPooling1D", SEQ),
    S("MaxPooling2D", IMG, pool_size=3, strides=2, padding="same"),
    S("MaxPooling3D", VOL, pool_size=2),
    S("AveragePooling1D", SEQ, pool_size=2, padding="same"),
    S("AveragePooling2D", IMG, pool_size=(3, 2), strides=2, padding="same"),
    S("AveragePooling3D", VOL, pool_size=2, data_format="channels_first"),
    S("GlobalMaxPooling1D", SEQ),
    S("GlobalMaxPooling2D", IMG, keepdims=True),
    S("GlobalMaxPooling3D", VOL, data_format="channels_first"),
    S("GlobalAveragePooling1D", SEQ, keepdims=True),
    S("GlobalAveragePooling2D", IMG),
    S("GlobalAveragePooling3D", VOL),
    S("AdaptiveAveragePooling1D", SEQ, output_size=2),
    S("AdaptiveAveragePooling2D", IMG, output_size=(4, 3)),
    S("AdaptiveAveragePooling3D", VOL, output_size=2),
    S("AdaptiveMaxPooling1D", SEQ, output_size=3),
    S("AdaptiveMaxPooling2D", IMG, output_size=4),
    S("AdaptiveMaxPooling3D", VOL, output_size=(2, 2, 1)),
]

NORMALIZATION = [
    S("BatchNormalization", IMG),
    S("BatchNormalization", VEC, momentum=0.7, epsilon=0.01, scale=False, _atol=3e-5),
    S("BatchNormalization", (4, 3, 5), axis=1, center=False, beta_regularizer="l2"),
    S("BatchNormalization", IMG, renorm=True, renorm_clipping={"rmax": 1.5, "rmin": 0.5, "dmax": 0.3}),
    S("LayerNormalization", SEQ, gamma_initializer="ones"),
    S("LayerNormalization", IMG, axis=[2, 3], center=False),
    S("LayerNormalization", IMG, axis=1),
    S("GroupNormalization", IMG, groups=2),
    S("GroupNormalization", SEQ, groups=-1, scale=False),
    S("RMSNormalization", SEQ),
    S("UnitNormalization", SEQ, axis=[1, 2]),
    S("SpectralNormalization", VEC, layer=lambda L: L.Dense(3, name="inner"), power_iterations=2),
    S("SpectralNormalization", IMG, layer=lambda L: L.Conv2D(3, 2, name="inner")),
    S("Normalization", VEC, mean=0.5, variance=2.0),
]

NOISE = [
    S("Dropout", VEC, rate=0.4, seed=3, noise_shape=(None, 1), _random=True),
    S("SpatialDropout1D", SEQ, rate=0.4, _random=True),
    S("SpatialDropout2D", IMG, rate=0.4, data_format="channels_first", _random=True),
    S("SpatialDropout3D", VOL, rate=0.4, seed=1, _random=True),
    S("GaussianDropout", VEC, rate=0.4, _random=True),
    S("GaussianNoise", VEC, stddev=0.4, _random=True),
    S("AlphaDropout", VEC, rate=0.4, _random=True),
    S("ActivityRegularization", VEC, l1=0.1, l2=0.2),
]


def A(name, *shape, **options):
    """A row of an augmentation: images pass as they are in inference, and what training gives is random."""
    return S(name, shape or (2, 6, 7, 3), **options, _random=True, _call={"training": False})


AUGMENTATION = [
    A("RandomFlip"),
    A("RandomRotation", factor=0.2),
    A("RandomTranslation", height_factor=0.2, width_factor=(-0.1, 0.2)),
    A("RandomZoom", height_factor=0.2),
    A("RandomShear", x_factor=0.2, y_factor=(0.1, 0.3)),
    A("RandomPerspective", factor=0.8, scale=0.5),
    A("RandomElasticTransform", scale=(0.5, 0.6)),
    A("RandomErasing", fill_value=0.5),
    A("MixUp"),
    A("CutMix", factor=0.5),
    A("RandomBrightness", factor=0.2),
    A("RandomContrast", factor=0.2, value_range=(0, 1)),
    A("RandomColorDegeneration", 2, 3, 6, 7, factor=0.5, data_format="channels_first"),
    A("RandomGrayscale", factor=0.4),
    A("RandomHue", 2, 3, 6, 7, factor=(0.1, 0.4), data_format="channels_first"),
    A("RandomSaturation", factor=(0.2, 0.7)),
    A("RandomColorJitter", brightness_factor=0.2, hue_factor=0.1),
    A("RandomInvert", value_range=(0, 1)),
    A("RandomPosterization", factor=(2, 5)),
    A("RandomSharpness", factor=0.6),
    A("RandomGaussianBlur", kernel_size=(3, 5), sigma=(0.3, 0.8)),
    A("Solarization", threshold_factor=0.5),
    A("Equalization", bins=16, value_range=(-2, 2)),
    S("ContrastLimitedAdaptiveHistogramEqualization", (2, 9, 8, 3), tile_grid_size=(2, 3), value_range=(-3, 3), _atol=1e-3),
    S("MaxNumBoundingBoxes", (2, 6, 7, 3), max_number=3),
    A("RandAugment"),
    A("AugMix", num_chains=2, all_ops=False),
    S("AutoContrast", (2, 6, 7, 3), value_range=(-1, 2)),
    A("RandomCrop", height=6, width=7, seed=1),
]

SHAPING = [
    S("Flatten", IMG),
    S("Flatten", IMG, data_format="channels_first"),
    S("Reshape", SEQ, target_shape=(3, 5)),
    S("Reshape", SEQ, target_shape=(-1, 1)),
    S("Permute", SEQ, dims=(2, 1)),
    S("RepeatVector", VEC, n=3),
    S("ZeroPadding1D", SEQ, padding=(1, 2)),
    S("ZeroPadding2D", IMG, padding=((1, 0), (2, 1))),
    S("ZeroPadding3D", VOL, padding=1),
    S("Cropping1D", SEQ, cropping=(1, 2)),
    S("Cropping2D", IMG, cropping=(1, 2)),
    S("Cropping3D", VOL, cropping=((1, 0), (0, 2), (1, 1))),
    S("UpSampling1D", SEQ, size=3),
    S("UpSampling2D", IMG, size=(2, 3)),
    S("UpSampling2D", IMG, size=2, interpolation="bilinear"),
    S("UpSampling3D", VOL, size=(1, 2, 2)),
    S("Rescaling", IMG, scale=1 / 255, offset=-0.5),
    S("Resizing", IMG, height=4, width=9),
    S("CategoryEncoding", VEC, num_tokens=6, _ints=6),
    S("CategoryEncoding", VEC, num_tokens=6, output_mode="count", _ints=6),
    S("CategoryEncoding", (2, 1), num_tokens=6, output_mode="one_hot", _ints=6),
    S("Discretization", VEC, bin_boundaries=[-0.5, 0.3, 1.0]),
    S("Discretization", (4, 1), bin_boundaries=[-0.5, 0.3], output_mode="one_hot"),
    S("CenterCrop", IMG, height=4, width=3),
    S("CenterCrop", IMG, height=9, width=8),
]

MERGING = [
    S("Add", SEQ, SEQ, SEQ, _inputs="list"),
    S("Subtract", SEQ, SEQ, _inputs="list"),
    S("Multiply", SEQ, (2, 3), _inputs="list"),
    S("Average", SEQ, SEQ, _inputs="list"),
    S("Maximum", SEQ, (2, 1, 3), _inputs="list"),
    S("Minimum", SEQ, SEQ, _inputs="list"),
    S("Concatenate", SEQ, (2, 4, 3), axis=1, _inputs="list"),
    S("Dot", SEQ, SEQ, axes=(1, 1), normalize=True, _inputs="list"),
    S("Dot", SEQ, (2, 4, 3), axes=-1, _inputs="list"),
]

RECURRENT = [
    S("SimpleRNN", SEQ, units=4),
    S("SimpleRNN", SEQ, units=4, activation="relu", return_sequences=True, go_backwards=True, use_bias=False),
    S("LSTM", SEQ, units=4, return_sequences=True, go_backwards=True, activation="relu"),
    S("LSTM", SEQ, units=4, unit_forget_bias=False, recurrent_regularizer="l2"),
    S("GRU", SEQ, units=4, return_sequences=True),
    S("GRU", SEQ, units=4, reset_after=False),
    S("GRU", SEQ, units=4, reset_after=False, use_bias=False, return_sequences=True, go_backwards=True),
    S("LSTM", SEQ, units=4, return_sequences=True, return_state=True, go_backwards=True),
    S("RNN", SEQ, cell=lambda L: L.LSTMCell(4, name="cell"), return_sequences=True),
    S("RNN", SEQ, cell=lambda L: L.StackedRNNCells([L.GRUCell(3, name="a"), L.SimpleRNNCell(2, name="b")], name="stack")),
    S("Bidirectional", SEQ, layer=lambda L: L.LSTM(3, return_sequences=True, name="inner")),
    S("Bidirectional", SEQ, layer=lambda L: L.GRU(3, name="inner"), merge_mode="sum"),
    S("Bidirectional", SEQ, layer=lambda L: L.GRU(3, reset_after=False, return_sequences=True, name="inner")),
    S("ConvLSTM1D", (2, 3, 5, 2), filters=3, kernel_size=2, return_sequences=True, bias_regularizer="l2"),
    S("ConvLSTM2D", (2, 3, 4, 5, 2), filters=3, kernel_size=3, padding="same", strides=2, return_state=True),
    S("ConvLSTM2D", (2, 3, 2, 4, 5), filters=3, kernel_size=(2, 3), data_format="channels_first", go_backwards=True),
    S("ConvLSTM3D", (2, 2, 3, 4, 3, 2), filters=2, kernel_size=2, unit_forget_bias=False),
    S("TimeDistributed", SEQ, layer=lambda L: L.Dense(4, name="inner")),
]

ATTENTION = [
    S("MultiHeadAttention", SEQ, (2, 4, 3), num_heads=2, key_dim=3, _inputs="separate"),
    S("MultiHeadAttention", SEQ, SEQ, num_heads=2, key_dim=3, use_bias=False, _inputs="separate", _call={"use_causal_mask":
    True}),
    S("MultiHeadAttention", SEQ, SEQ, num_heads=2, key_dim=3, use_gate=True, sliding_window=2, _inputs="separate", _call={
    "return_attention_scores": True}),
    S("MultiHeadAttention", (2, 3, 4, 2), (2, 3, 5, 2), num_heads=2, key_dim=3, value_dim=2, attention_axes=2, use_gate=True,
    activity_regularizer="l2", output_shape=(2, 5), _inputs="separate"),
    S("GroupQueryAttention", SEQ, (2, 4, 3), head_dim=2, num_query_heads=4, num_key_value_heads=2, _inputs="separate"),
    S("GroupQueryAttention", SEQ, SEQ, head_dim=2, num_query_heads=4, num_key_value_heads=1, use_gate=True, use_bias=False,
    sliding_window=2, _inputs="separate", _call={"use_causal_mask": True}),
    S("Attention", SEQ, (2, 4, 3), use_scale=True, _inputs="list"),
    S("Attention", SEQ, (2, 4, 3), (2, 4, 3), score_mode="concat", use_scale=True, _inputs="list", _call={"use_causal_mask": True}),
    S("AdditiveAttention", SEQ, (2, 4, 3), _inputs="list", _call={"return_attention_scores": True}),
]  # fmt: skip

AUDIO = [
    S("STFTSpectrogram", (2, 20, 3), frame_length=6, mode="psd"),
    S("STFTSpectrogram", (2, 20, 3), frame_length=8, frame_step=3, mode="stft", scaling=None, expand_dims=True),
    S("STFTSpectrogram", (2, 3, 20), frame_length=8, mode="log", data_format="channels_first", padding="same", _atol=1e-4),
    S("STFTSpectrogram", (2, 20, 1), frame_length=8, mode="imag", window="hamming", periodic=True, scaling="spectrum"),
    S("MelSpectrogram", (2, 60), fft_length=16, sequence_stride=8, sampling_rate=1000, num_mel_bins=5, _atol=1e-3),
]

SAMPLES = (
    AUDIO + DENSE + CONVOLUTION + POOLING + NORMALIZATION + NOISE + AUGMENTATION + SHAPING + MERGING + RECURRENT + ATTENTION
)

# exported names without a row: what is no layer by itself, or is tested elsewhere
NO_ROW = {
    "Layer",
    "Input",
    "InputLayer",
    "InputSpec",
    "Wrapper",
    "Lambda",
    "SimpleRNNCell",
    "LSTMCell",
    "GRUCell",
    "StackedRNNCells",
    "Hashing",
    "HashedCrossing",
    "TFSMLayer",
    "JaxLayer",
    "FlaxLayer",
    "TorchModuleWrapper",
    "IntegerLookup",
    "StringLookup",
    "TextVectorization",
    "Pipeline",
}
