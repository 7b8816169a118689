"""Images in blocks of channels over `xp`: laid as others, handed to the kernels for these, and laid back."""

from mlkit.backends.native.norm import pack, unpack
from mlkit.core.blocks import IMAGES, plain_shape
from mlkit.core.state import state


def make(xp):
    """Op name -> kernel."""

    def to_blocks(x, block):
        n, h, w, c = x.shape
        return xp.ascontiguousarray(x.reshape(n, h, w, c // block, block).transpose(0, 3, 1, 2, 4))

    def from_blocks(x):
        return xp.ascontiguousarray(x.transpose(0, 2, 3, 1, 4)).reshape(plain_shape(x.shape))

    def in_blocks(name):
        def kernel(*args, block, blocked, results, **params):
            shape = args[0].shape
            plain = [from_blocks(a) if i in blocked else a for i, a in enumerate(args)]
            if name == "batch_norm_relu_grad":
                plain[5] = pack(xp, from_blocks(unpack(xp, args[5], shape)))
            outs = state.kernels[name](*plain, **params)
            if type(outs) is not tuple:
                return to_blocks(outs, block) if results else outs
            outs = [to_blocks(o, block) if i in results else o for i, o in enumerate(outs)]
            if name == "batch_norm_relu":
                outs[3] = pack(xp, to_blocks(unpack(xp, outs[3], plain_shape(shape)), block))
            return tuple(outs)

        return kernel

    return dict(to_blocks=to_blocks, from_blocks=from_blocks, **{f"{name}_in_blocks": in_blocks(name) for name in IMAGES})
