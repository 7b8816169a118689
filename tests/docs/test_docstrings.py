"""What docstrings say of arguments, shapes and sources: as the reference shows them (`docs/builder`)."""

import inspect
import re

import numpy as np
import pytest

import mlkit
from docs.builder import docstrings, names
from docs.builder.common import ELEMENTWISE

ALL = [d for d in names.described() if docstrings.parameters(d.value)]


def test_all_arguments_are_explained():
    lacking = {d.path: set(docstrings.parameters(d.value)) - docstrings.explained(d.value, d.path).keys() for d in ALL}
    assert {path: names for path, names in lacking.items() if names} == {}


def test_arguments_that_a_docstring_refers_to_are_explained_there():
    assert docstrings.explained(names._resolved("ops.fold"), "ops.fold")["stride"] == ["ints or pairs."]


# a shape such as (batch, ..., n), or a word that tells how many axes there are or what becomes of them
SHAPE = re.compile(
    r"\(\.\.\.|\(\*?\w+(?: ?[*/+-] ?\w+)*,(?: ?[\w.*+/ -]+)?[,)]|\bshapes?\b|element|scalar|\bvectors?\b|matri(?:x|ces)\b"
    r"|\bax[ie]s\b|\brows?\b"
)

# what somebody has published: its docstring says who, where and when
PUBLISHED = {
    "callbacks": "EarlyStopping SwapEMAWeights",
    "constraints": "MaxNorm",
    "distillation": "FeatureDistillation LogitsDistillation",
    "initializers": "GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal LecunUniform Orthogonal VarianceScaling",
    "layers": "AdditiveAttention AlphaDropout Attention AugMix BatchNormalization Bidirectional "
    "ContrastLimitedAdaptiveHistogramEqualization ConvLSTM1D ConvLSTM2D ConvLSTM3D CutMix Dropout ELU GaussianDropout "
    "GlobalAveragePooling1D GroupNormalization GroupQueryAttention GRU GRUCell LayerNormalization LeakyReLU LSTM "
    "LSTMCell MixUp MultiHeadAttention PReLU RandAugment RandomElasticTransform RandomErasing ReversibleEmbedding "
    "RMSNormalization SeparableConv1D SeparableConv2D SimpleRNNCell SpatialDropout1D SpatialDropout2D "
    "SpatialDropout3D SpectralNormalization",
    "losses": "binary_focal_crossentropy categorical_focal_crossentropy categorical_generalized_cross_entropy circle ctc dice "
    "huber kl_divergence tversky",
    "metrics": "AUC concordance_correlation FBetaScore",
    "ops": "associative_scan batch_normalization celu ctc_decode ctc_loss depth_to_space dot_product_attention elu gelu glu "
    "hard_shrink hard_sigmoid hard_silu istft jvp kaiser layer_normalization leaky_relu rearrange relu "
    "rms_normalization selu silu soft_shrink softmax softplus sparsemax squareplus",
    "ops.image": "elastic_transform resize rgb_to_hsv sobel_edges ssim",
    "optimizers": "Adadelta Adafactor Adagrad Adam Adamax AdamW Ftrl Lamb Lion LossScaleOptimizer Muon Nadam RMSprop "
    "ScheduleFreeAdamW SGD",
    "optimizers.schedules": "CosineDecay CosineDecayRestarts one_cycle",
    "random": "dropout",
    "regularizers": "L1 L1L2 L2",
}  # fmt: skip
SOURCE = re.compile(r"arXiv:|https?://|\b(?:19|20)\d\d\b")


def of_tensors(described):
    """Whether a callable takes or gives tensors: layers, losses and metrics do, and functions that are annotated so."""
    value = described.value
    if inspect.isclass(value):
        return issubclass(value, (mlkit.layers.Layer, mlkit.losses.Loss, mlkit.metrics.Metric))
    annotated = "Tensor" in str(inspect.signature(value))  # a classifier takes one only where an activation is a function
    return annotated and described.namespace != "applications" and not described.path.endswith(".get")


def shown(value, path):
    """A docstring without its examples, and what is said of the arguments."""
    said = docstrings.explained(value, path).values()
    return "\n".join(
        [(inspect.getdoc(inspect.unwrap(value)) or "").split(">>>")[0], *(line for lines in said for line in lines)]
    )


def named_in(text, space):
    """The classes and functions of a namespace, or of the library, that a text names."""
    for name in re.findall(r"`(?:mlkit\.)?([\w.]+)`", text):
        for path in (f"{space}.{name}", name):
            try:
                value = names._resolved(path)
            except (AttributeError, ModuleNotFoundError):
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                yield value, path


def test_what_takes_or_gives_tensors_says_shapes():
    """In its own words, or in those of what it refers to: a loss as a class has the shapes of the function."""
    silent = []
    for d in filter(of_tensors, names.described()):
        text = shown(d.value, d.path)
        if not (SHAPE.search(text) or any(SHAPE.search(shown(*other)) for other in named_in(text, d.namespace))):
            silent.append(d.path)
    assert silent == []


def test_what_has_an_author_cites_it():
    published = {f"{space}.{name}" for space, listed in PUBLISHED.items() for name in listed.split()}
    optimizer = mlkit.optimizers.Optimizer
    ours = {"optimizers.Optimizer", "optimizers.MultiOptimizer"}
    every = {d.path for d in names.described() if inspect.isclass(d.value) and issubclass(d.value, optimizer)} - ours
    classifiers = {d.path for d in names.described() if d.namespace == "applications" and inspect.isfunction(d.value)}
    wanted = published | every | {path for path in classifiers if path.rpartition(".")[2][0].isupper()}
    silent = [path for path in sorted(wanted) if not SOURCE.search(inspect.unwrap(names._resolved(path)).__doc__)]
    assert silent == []


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_elementwise_function_keeps_the_shape(name):
    function = getattr(mlkit.ops, name)
    options = {"clip": (0.2, 0.8), "threshold": (0.5, 0.0), "saturate_cast": ("int8",)}.get(name, ())
    for shape in ((2, 3), (0, 2), ()):
        x = np.full(shape, 1 if name.startswith("bitwise") else 0.5)
        assert tuple(function(x.astype("int32") if name.startswith("bitwise") else x, *options).shape) == shape


def test_public_callables_have_docstrings():
    assert [d.path for d in names.described() if not inspect.getdoc(inspect.unwrap(d.value))] == []


def test_nothing_is_explained_that_is_no_argument():
    wrong = {}
    for d in ALL:
        text = inspect.unwrap(d.value).__doc__ or ""
        own = docstrings.arguments(text).keys() if "Attributes:" not in text else set()
        takes = inspect.signature(d.value).parameters
        extra = own - takes.keys()
        if extra and not any(p.kind is p.VAR_KEYWORD for p in takes.values()):
            wrong[d.path] = extra
    assert wrong == {}


def test_a_base_explains_for_its_subclasses():
    said = docstrings.explained(names._resolved("layers.Conv2D"), "layers.Conv2D")
    assert said["filters"] == ["output channels."]
    assert said["kernel_initializer"] == ["initializer of the weight `kernel`: a name, an object or a config."]
    assert "units" in docstrings.explained(names._resolved("layers.LSTM"))  # its cell's


@pytest.mark.parametrize(
    "line, shown",
    [("`x` and `y`s.", "``x`` and ``y``\\ s."), ("a*b, c_", "a\\*b, c\\_"), (">>> a * b_", ">>> a * b_"), ("``a*``", "``a*``")],
)
def test_markdown_of_docstrings(line, shown):
    assert docstrings.as_restructured([line]) == [shown]
