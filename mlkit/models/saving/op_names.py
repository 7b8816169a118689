"""Functions of `mlkit.ops` as the operations Keras writes into functional models, and back.

Keras has a class for each function, `ops.expand_dims` -> `keras.src.ops.numpy.ExpandDims`. Options of the function are the
class's config, tensors the arguments of the call. Which parameters are which follows from their names, with few exceptions.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from mlkit import ops

_CLASS_OF = {  # where the class is not the function's name in capitals
    "allclose": "AllClose", "batch_normalization": "BatchNorm", "cdist": "CDist", "ctc_decode": "CTCDecode",
    "ctc_loss": "CTCLoss", "fft": "FFT", "fft2": "FFT2", "hard_swish": "HardSilu", "ifft2": "IFFT2", "irfft": "IRFFT",
    "isin": "IsIn", "istft": "ISTFT", "layer_normalization": "LayerNorm", "psnr": "PSNR", "rfft": "RFFT",
    "rms_normalization": "RMSNorm", "searchsorted": "SearchSorted", "stft": "STFT", "svd": "SVD", "swish": "Silu",
    "abs": "Absolute", "conj": "Conjugate",
}  # fmt: skip
_OF_CORE = (
    "associative_scan cast convert_to_tensor map saturate_cast scan scatter scatter_update slice slice_update stop_gradient switch "
    "unstack vectorized_map"
).split()
_OF_MATH = (
    "cdist erf erfc erfinv extract_sequences fft fft2 ifft2 in_top_k irfft istft logdet logsumexp rfft rsqrt segment_max "
    "segment_min segment_prod segment_sum stft top_k view_as_complex view_as_real"
).split()
_OF_LINALG = (
    "cholesky cholesky_inverse det eig eigh inv lstsq lu_factor matrix_rank norm pinv qr solve solve_triangular svd"
).split()
_OF_IMAGE = (
    "affine_transform crop_images elastic_transform extract_patches extract_patches_3d gaussian_blur hsv_to_rgb "
    "map_coordinates pad_images perspective_transform resize rgb_to_grayscale rgb_to_hsv scale_and_translate"
).split()
_OF_NN = (
    "adaptive_average_pool adaptive_max_pool average_pool batch_normalization binary_crossentropy "
    "categorical_crossentropy celu conv conv_transpose ctc_decode ctc_loss depth_to_space depthwise_conv "
    "dot_product_attention elu fold gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh layer_normalization "
    "leaky_relu log_sigmoid log_softmax max_pool moments multi_hot normalize one_hot polar psnr relu relu6 "
    "rms_normalization selu separable_conv sigmoid silu soft_shrink softmax softplus softsign space_to_depth "
    "sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparsemax squareplus swish tanh_shrink threshold unfold"
).split()
_MODULE_OF = {
    name: f"keras.src.ops.{module}"
    for module, group in dict(
        core=_OF_CORE, einops=["rearrange"], math=_OF_MATH, linalg=_OF_LINALG, image=_OF_IMAGE, nn=_OF_NN
    ).items()
    for name in group
}
_NUMPY = "keras.src.ops.numpy"
_ALIASES = ("abs", "conj", "hard_swish", "swish")  # second names: a class is read as the function of the first
_WITHOUT_CLASS = (  # Keras's classes do not tell the functions that these call; it has no digamma and lgamma
    "vectorize cond fori_loop jvp while_loop digamma lgamma"
).split()

_TENSORS = frozenset(  # parameters that are arguments of the call; all others are options
    "x x1 x2 y xs a b array inputs kernel depthwise_kernel pointwise_kernel target output indices values updates query "
    "key value bias mask scale start_indices mean variance offset gamma beta condition targets predictions data "
    "segment_ids images weights sorted_sequence bins target_length output_length sequence_lengths variable fill_value q "
    "abs_ angle condlist choicelist default operands tensor pattern".split()
)
_EXCEPTIONS = {  # function -> its call parameters, where the names mislead
    "bincount": ("x",), "trapezoid": ("y",), "trace": ("x",), "diagonal": ("x",), "squareplus": ("x",), "vander": ("x",),
    "histogram": ("x",), "unique": ("x",), "threshold": ("x",), "get_item": ("x", "key"),
    "isclose": ("x1", "x2", "rtol", "atol"), "arange": ("start", "stop", "step"),
    "linspace": ("start", "stop"), "logspace": ("start", "stop"), "geomspace": ("start", "stop"),
    "pad": ("x", "constant_values"), "full": ("fill_value",), "associative_scan": ("f", "elems"), "map": ("f", "xs"),
    "scan": ("f", "init", "xs"), "switch": ("index", "branches", "*operands"), "vectorized_map": ("elements",),
}  # fmt: skip


def class_of(function: Callable[..., Any]) -> tuple[str, str]:
    """(module, class name) that Keras has for a function of `mlkit.ops`.

    >>> from mlkit import ops
    >>> class_of(ops.expand_dims)
    ('keras.src.ops.numpy', 'ExpandDims')
    """
    name = function.__name__
    if name in _WITHOUT_CLASS:
        raise ValueError(f"ops.{name} has no form in model files. Put the computation into a layer's call().")
    return _MODULE_OF.get(name, _NUMPY), _CLASS_OF.get(name) or _capitals(name)


def _capitals(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def is_operation(module: str) -> bool:
    """Whether a module path is one that Keras's operation classes live in."""
    return isinstance(module, str) and module.startswith(("keras.src.ops.", "keras.ops."))


def function_of(module: str, name: str) -> Callable[..., Any] | None:
    """The function of `mlkit.ops` for a class of operations that a config names, or None."""
    return _functions().get((module.replace("keras.ops.", "keras.src.ops.", 1), name))


def module_of(name):
    """The module of Keras's class of operations of that name, or None."""
    return next((module for module, known in _functions() if known == name), None)


@functools.cache
def _functions() -> dict[tuple[str, str], Callable[..., Any]]:
    table = {}
    for name in dir(ops):
        function = getattr(ops, name)
        own = inspect.isfunction(function) and function.__name__ == name
        if own and not name.startswith("_") and name not in (*_ALIASES, *_WITHOUT_CLASS):
            table.setdefault(class_of(function), function)
    return table


@functools.cache
def _parameters(function: Callable[..., Any]) -> Mapping[str, Any]:
    return inspect.signature(function).parameters


def call_parameters(function: Callable[..., Any]) -> list[str]:
    """Names of the parameters that are arguments of the call, in order; a name with a star takes any number."""
    parameters = _parameters(function)
    if function.__name__ in _EXCEPTIONS:
        return [p for p in _EXCEPTIONS[function.__name__] if p.lstrip("*") in parameters]
    return [
        f"*{p.name}" if p.kind is p.VAR_POSITIONAL else p.name
        for p in parameters.values()
        if p.kind is p.VAR_POSITIONAL or (p.name in _TENSORS and p.kind is not p.VAR_KEYWORD)
    ]


def to_class_form(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A call ``function(*args, **kwargs)`` -> (call arguments, config) of Keras's class for it."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    given = dict(bound.arguments)
    call = []
    for name in call_parameters(function):
        value = given.pop(name.lstrip("*"))
        call.extend(value) if name.startswith("*") else call.append(value)
    for name, p in _parameters(function).items():
        if p.kind is p.VAR_KEYWORD and not given.get(name):
            given.pop(name, None)
    while call and call[-1] is None:
        call.pop()  # trailing defaults
    return call, given


def from_class_form(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], config: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of Keras's class for a function -> (args, kwargs) of the function itself."""
    names = call_parameters(function)
    if function.__name__ == "get_item" and len(args) > 1 and isinstance(args[1], list):
        args = (args[0], tuple(args[1]))  # JSON has no tuples, and x[[0, 1]] is not x[0, 1]
    if any(n.startswith("*") for n in names):
        first = [config[n] for n in _parameters(function) if n in config and not _is_keyword(function, n)]
        rest = {n: v for n, v in config.items() if _is_keyword(function, n)}
        return (*first, *args), {**rest, **kwargs}
    return (), {**dict(zip(names, args)), **kwargs, **config}


def _is_keyword(function: Callable[..., Any], name: str) -> bool:
    return _parameters(function)[name].kind is inspect.Parameter.KEYWORD_ONLY
