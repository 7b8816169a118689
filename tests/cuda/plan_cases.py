"""Calls that rows of cuDNN are asked for: those of networks, at the sizes they are measured at, and odd ones. See `plan_graphs`."""

HALVES = ("bfloat16", "float16")


def _params(axes=2, **given):
    return {**dict(strides=[1] * axes, padding="same", dilation=[1] * axes, groups=1), **given}


_CONVOLUTIONS = {  # name -> (shape of the input, of the kernel, positions of the window, parameters)
    "convnet, first": ([128, 28, 28, 1], [3, 3, 1, 32], [26, 26], _params(padding="valid")),
    "convnet, second": ([128, 13, 13, 32], [3, 3, 32, 64], [11, 11], _params(padding="valid")),
    "cifar, first": ([1024, 32, 32, 3], [3, 3, 3, 16], [32, 32], _params()),
    "cifar, with steps": ([1024, 32, 32, 16], [3, 3, 16, 32], [16, 16], _params(strides=[2, 2])),
    "cifar, shortcut": ([1024, 16, 16, 32], [1, 1, 32, 64], [8, 8], _params(strides=[2, 2])),
    "resnet50, stem": ([32, 230, 230, 3], [7, 7, 3, 64], [112, 112], _params(strides=[2, 2], padding="valid")),
    "resnet50, 3x3": ([32, 56, 56, 64], [3, 3, 64, 64], [56, 56], _params()),
    "resnet50, wide": ([32, 14, 14, 1024], [1, 1, 1024, 256], [14, 14], _params()),
    "resnet50, last": ([32, 7, 7, 512], [1, 1, 512, 2048], [7, 7], _params()),
    "depthwise": ([32, 28, 28, 64], [3, 3, 1, 64], [28, 28], _params(groups=64)),
    "depthwise, with steps": ([32, 28, 28, 96], [5, 5, 1, 96], [14, 14], _params(groups=96, strides=[2, 2])),
    "groups": ([32, 28, 28, 64], [3, 3, 16, 64], [28, 28], _params(groups=4)),
    "dilated": ([16, 28, 28, 64], [3, 3, 64, 64], [28, 28], _params(dilation=[2, 2])),
    "odd sizes": ([3, 7, 9, 5], [3, 3, 5, 11], [7, 9], _params()),
    "one of all": ([1, 1, 1, 1], [1, 1, 1, 1], [1, 1], _params()),
    "margins of its own": ([4, 9, 9, 8], [3, 3, 8, 8], [9, 11], _params(padding=[[2, 0], [1, 3]])),
    "1d": ([8, 100, 32], [5, 32, 64], [100], _params(1)),
    "3d": ([2, 16, 16, 16, 8], [3, 3, 3, 8, 16], [16, 16, 16], _params(3)),
}


def _convolutions(dtype):
    for name, (x, w, cells, params) in _CONVOLUTIONS.items():
        y = [x[0], *cells, w[-1]]
        image, kernel, result, bias = ([shape, dtype] for shape in (x, w, y, w[-1:]))
        yield f"{name}: conv", ("conv", [image, kernel], params)
        yield f"{name}: bias and relu", ("conv_bias_act", [image, kernel, bias], dict(params, act="relu"))
        yield f"{name}: bias and gelu", ("conv_bias_act", [image, kernel, bias], dict(params, act="gelu"))
        yield f"{name}: bias, addition and relu", ("conv_bias_act", [image, kernel, bias, result], dict(params, act="relu"))
        yield f"{name}: gradient of the input", ("conv_input", [result, kernel], dict(params, shape=x))
        yield f"{name}: gradient of the kernel", ("conv_kernel", [image, result], dict(params, shape=w))
        if dtype in HALVES:
            yield f"{name}: gradient of the kernel, wide", ("conv_kernel_wide", [image, result], dict(params, shape=w))


def _behind_convolutions(dtype):
    for name in ("resnet50, 3x3", "cifar, with steps", "odd channels, large"):
        x, w, cells, params = _CONVOLUTIONS.get(name) or ([64, 60, 60, 5], [3, 3, 5, 11], [60, 60], _params())
        given = [[shape, dtype] for shape in ([x[0], *cells, w[-1]], w, x)]
        yield f"{name}: gradient of relu", ("conv_input_act_grad", given, dict(params, shape=x, act="relu"))
    given = [[shape, dtype] for shape in ([4, 28, 28, 64], [3, 3, 64, 64], [4, 28, 28, 64])]
    yield "small: gradient of relu", ("conv_input_act_grad", given, dict(_params(), shape=given[2][0], act="relu"))


def _products(dtype):
    x, w, bias, y = ([shape, dtype] for shape in ([256, 80, 128], [128, 512], [512], [256, 80, 512]))
    yield "feed forward: bias and relu", ("matmul_bias_act", [x, w, bias], dict(act="relu"))
    yield "feed forward: gelu, kept", ("matmul_act_kept", [x, w, bias], dict(act="gelu_exact"))
    yield "feed forward: gradient of gelu", ("matmul_act_grad", [x, [[512, 128], dtype], y], dict(act="gelu_exact"))
    yield "feed forward: gradient of relu", ("matmul_act_grad", [x, [[512, 128], dtype], y], dict(act="relu"))
    yield "bias and addition", ("matmul_bias_act", [y, [[512, 128], dtype], [[128], dtype], x], dict(act=None))
    odd = [[[20011, 77], dtype], [[77, 65], dtype], [[65], dtype]]
    yield "odd sizes: bias and approximate gelu", ("matmul_bias_act", odd, dict(act="gelu"))
    yield "small: bias and relu", ("matmul_bias_act", [[[80, 128], dtype], w, bias], dict(act="relu"))
    yield "long sums: bias and relu", ("matmul_bias_act", [[[8192, 8192], dtype], [[8192, 512], dtype], bias], dict(act="relu"))
    yield "bias and tanh", ("matmul_bias_act", [x, w, bias], dict(act="tanh"))
    yield "a batch of kernels", ("matmul_bias_act", [x, [[256, 128, 512], dtype], bias], dict(act="relu"))


_ATTENTIONS = {  # name -> (batch, queries, keys, heads, size of a head, that of a value, mask or None, causal)
    "transformer": (32, 80, 80, 4, 32, 32, None, False),
    "masked": (32, 80, 80, 4, 32, 32, [32, 1, 80, 80], False),
    "keys masked, causal": (4, 77, 77, 8, 40, 40, [4, 1, 1, 77], True),
    "other values, causal": (2, 50, 77, 4, 64, 32, None, True),
    "wide heads": (2, 64, 64, 2, 256, 256, None, False),
    "odd heads": (2, 64, 64, 2, 30, 30, None, False),
}


def _attentions(dtype):
    for name, (batch, queries, keys, heads, size, of_values, mask, causal) in _ATTENTIONS.items():
        q, k, v, y = (
            [[batch, length, heads, last], dtype]
            for length, last in ((queries, size), (keys, size), (keys, of_values), (queries, of_values))
        )
        given, params = [q, k, v, mask and [mask, "bool"]], dict(scale=0.125, causal=causal)
        yield f"{name}: attention", ("attention", given, params)
        yield f"{name}: gradient of attention", ("attention_grad", [y, *given], params)


def cases(dtype, with_epilogues):
    """Name -> (op, arguments, parameters) of the calls whose first argument has a dtype. with_epilogues: also those that cuDNN compiles
    for their activations, a second or more each."""
    found = dict(_convolutions(dtype))
    if with_epilogues and dtype != "float16":  # whose engines are those of bfloat16
        found |= dict(_behind_convolutions(dtype)) | dict(_products(dtype))
    return found | (dict(_attentions(dtype)) if dtype == "bfloat16" else {})


def _wrong():
    image, kernel = [[8, 14, 14, 64], "float32"], [[3, 3, 64, 32], "float32"]
    result, params = [[8, 14, 14, 32], "float32"], _params()
    yield "channels that differ", ("conv", [image, [[3, 3, 67, 32], "float32"]], params)
    yield "a gradient for another input", ("conv_input", [result, kernel], dict(params, shape=[8, 19, 14, 64]))
    yield "a gradient for another kernel", ("conv_kernel", [image, result], dict(params, shape=[3, 3, 64, 33]))
    kept = [[8, 14, 14, 64], "float32"], dict(params, shape=[8, 19, 14, 64], act="relu")
    yield "what is kept of another input", ("conv_input_act_grad", [[[640, 14, 14, 32], "float32"], kernel, kept[0]], kept[1])
    rows = [[4096, 128], "float32"]
    yield "sums of different lengths", ("matmul_bias_act", [rows, [[127, 512], "float32"], None], dict(act="relu"))
    yield "a bias of another size", ("matmul_bias_act", [rows, [[128, 512], "float32"], [[511], "float32"]], dict(act="relu"))
    yield "more batches than images", ("conv_kernel", [image, [[9, 14, 14, 32], "float32"]], dict(params, shape=kernel[0]))


WRONG = dict(_wrong())
