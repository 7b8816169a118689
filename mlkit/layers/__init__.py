"""Layers: the namespace `keras.layers`."""

from mlkit.core.lazy_import import offer

_HOMES = {
    ".layer": "Layer",
    ".input_layer": "Input InputLayer",
    ".input_spec": "InputSpec",
    ".dense": "Dense",
    ".activation": "ELU Activation LeakyReLU PReLU ReLU Softmax",
    ".conv": "Conv1D Conv2D Conv3D Convolution1D Convolution2D Convolution3D",
    ".conv_variants": (
        "Conv1DTranspose Conv2DTranspose Conv3DTranspose Convolution1DTranspose Convolution2DTranspose Convolution3DTranspose "
        "DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D"
    ),
    ".pool": (
        "MaxPooling1D MaxPool1D AveragePooling1D AvgPool1D GlobalMaxPooling1D GlobalMaxPool1D GlobalAveragePooling1D "
        "GlobalAvgPool1D MaxPooling2D MaxPool2D AveragePooling2D AvgPool2D GlobalMaxPooling2D GlobalMaxPool2D "
        "GlobalAveragePooling2D GlobalAvgPool2D MaxPooling3D MaxPool3D AveragePooling3D AvgPool3D GlobalMaxPooling3D "
        "GlobalMaxPool3D GlobalAveragePooling3D GlobalAvgPool3D"
    ),
    ".pool_adaptive": (
        "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D "
        "AdaptiveMaxPooling3D"
    ),
    ".batch_norm": "BatchNormalization",
    ".layer_norm": "GroupNormalization LayerNormalization RMSNormalization UnitNormalization",
    ".dropout": (
        "ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise SpatialDropout1D SpatialDropout2D "
        "SpatialDropout3D"
    ),
    ".reshape": "Flatten Permute RepeatVector Reshape",
    ".padding": (
        "ZeroPadding1D ZeroPadding2D ZeroPadding3D Cropping1D Cropping2D Cropping3D UpSampling1D UpSampling2D UpSampling3D"
    ),
    ".merge": (
        "Add Average Concatenate Dot Maximum Minimum Multiply Subtract add average concatenate dot maximum minimum multiply "
        "subtract"
    ),
    ".wrappers": "Identity Lambda Masking Wrapper",
    ".spectral_norm": "SpectralNormalization",
    ".embedding": "Embedding ReversibleEmbedding",
    ".einsum_dense": "EinsumDense",
    ".recurrent_cells": "GRUCell LSTMCell SimpleRNNCell StackedRNNCells",
    ".recurrent": "GRU LSTM RNN SimpleRNN",
    ".conv_recurrent": "ConvLSTM1D ConvLSTM2D ConvLSTM3D",
    ".sequence": "Bidirectional TimeDistributed",
    ".multi_head_attention": "GroupQueryAttention MultiHeadAttention",
    ".attention": "AdditiveAttention Attention",
    ".preprocess": "CenterCrop Normalization Rescaling Resizing",
    ".categories": "CategoryEncoding Discretization",
    ".hashing": "HashedCrossing Hashing",
    ".jax_layer": "FlaxLayer JaxLayer",
    ".torch_module": "TorchModuleWrapper",
    ".refused": "TFSMLayer",
    ".index_lookup": "IntegerLookup StringLookup",
    ".text": "TextVectorization",
    ".random_geometry": "RandomElasticTransform RandomFlip RandomPerspective RandomRotation RandomShear RandomTranslation RandomZoom",
    ".color": (
        "RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomGrayscale RandomHue RandomInvert "
        "RandomPosterization RandomSaturation"
    ),
    ".enhance": (
        "AutoContrast ContrastLimitedAdaptiveHistogramEqualization Equalization RandomGaussianBlur RandomSharpness Solarization"
    ),
    ".crop_and_mix": "CutMix MaxNumBoundingBoxes MixUp RandomCrop RandomErasing",
    ".rand_augment": "AugMix Pipeline RandAugment",
    ".audio": "MelSpectrogram STFTSpectrogram",
    ".serialization": "deserialize serialize",
}
__all__, __getattr__, __dir__ = offer(__name__, _HOMES)
