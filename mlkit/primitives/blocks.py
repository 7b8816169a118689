"""Images whose channels lie in blocks: (batch, channels / block, height, width, block)."""

# op -> numbers of the arguments and of the results that are images
IMAGES = {
    "conv": ((0,), (0,)),
    "conv_bias_act": ((0, 3), (0,)),
    "conv_input": ((0,), (0,)),
    "conv_kernel": ((0, 1), ()),
    "conv_kernel_wide": ((0, 1), ()),
    "batch_norm": ((0,), (0,)),
    "batch_norm_grad": ((0, 1), (0,)),
    "batch_norm_relu": ((0,), (0,)),
    "batch_norm_relu_grad": ((0, 1), (0,)),
    "max_pool": ((0,), (0,)),
    "max_pool_grad": ((0, 1, 2), (0,)),
    "avg_pool": ((0,), (0,)),
    "avg_pool_grad": ((0,), (0,)),
}


def shape_in_blocks(shape, block):
    n, h, w, c = shape
    return n, c // block, h, w, block


def plain_shape(shape):
    n, blocks, h, w, block = shape
    return n, h, w, blocks * block
