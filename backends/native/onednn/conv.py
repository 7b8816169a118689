"""Convolution: channels-last activations, weights in the layout that oneDNN prefers (HWIO is up to three times slower)."""

from ctypes import c_int

from mlkit.backends.native.geometry import Geometry
from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.activation import post_ops
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import anyhow, dims, strided
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.row import Row, element_strides, is_dense


def image(operand):
    """(shape, strides) of a channels-last tensor with the channels second, as oneDNN counts axes; None if it cannot be taken."""
    strides = element_strides(operand)
    return strides and (_channels_second(operand.shape), _channels_second(strides))


def _channels_second(axes):
    return axes[0], axes[-1], *axes[1:-1]


def window(operand, groups):
    """(shape, strides) of a kernel (*window, channels / groups, filters) as (groups?, filters, channels, *window); or None."""
    strides = element_strides(operand)
    if strides is None:
        return None
    *cells, channels, filters = operand.shape
    *steps, channel_step, filter_step = strides
    if groups == 1:
        return (filters, channels, *cells), (filter_step, channel_step, *steps)
    each = filters // groups
    return (groups, each, channels, *cells), (each * filter_step, filter_step, channel_step, *steps)


def steps(shape, cells, strides, padding, dilation):
    """(strides, dilations, padding before, padding after) as oneDNN takes them; shape, cells: of input and kernel."""
    pads = Geometry(shape, cells, strides, padding, dilation).pads
    return tuple(strides), tuple(d - 1 for d in dilation), tuple(a for a, _ in pads), tuple(b for _, b in pads)


@or_none
def forward(x, w, bias, y, how, act=None):
    """The primitive of a convolution. x, y: (shape, strides); w: shape; bias: whether there is one; how: `steps`."""
    b = strided((y[0][1],), (1,)) if bias else None
    algorithm = c_int(c.INFERENCE), c_int(c.CONVOLUTION_DIRECT)
    descs = strided(*x), anyhow(w), b, strided(*y)
    return Primitive(
        "dnnl_convolution_forward_primitive_desc_create", *algorithm, *descs, *map(dims, how), post_ops=post_ops(act)
    )


class Conv(Row):
    """Convolution, with bias and activation where the op has them."""

    def __init__(self, name):
        self.name = name

    def build(self, operands, outs, strides, padding, dilation, groups, act=None):
        x, w, *bias = operands
        places = image(x), window(w, groups), image(outs[0])
        bias = bias[0] if bias else None
        if None in places or (bias is not None and not is_dense(bias)):
            return None
        xd, wd, yd = places
        how = steps(x.shape, w.shape[:-2], strides, padding, dilation)
        primitive = forward(xd, wd[0], bias is not None, yd, how, act)
        if primitive is None:
            return None
        kernel = Kernel(operands, outs)
        tensors = {
            c.SRC: kernel.argument(0, strided(*xd)),
            c.WEIGHTS: kernel.converted(1, strided(*wd), primitive.desc(c.WEIGHTS_MD)),
            c.DST: kernel.result(0, strided(*yd)),
        }
        if bias is not None:
            tensors[c.BIAS] = kernel.argument(2, strided((w.shape[-1],), (1,)))
        return kernel.run(primitive, tensors)


ROWS = [Conv("conv"), Conv("conv_bias_act")]
