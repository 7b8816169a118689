"""Rows for random numbers, which have the CPU's bits: Philox in one launch."""

import math

import numpy as np

from mlkit.backends.native.cuda.row import KernelRow, number
from mlkit.core import dtypes
from mlkit.primitives.bernoulli import thresholds


def rows(device):
    return [RandomBits(device), RandomUniform(device), Bernoulli(device)]


class _Random(KernelRow):
    parts = ("random",)
    dtypes = ("uint32",)

    def draw(self, function, parameters, call, per_thread, args):
        blocks = max(1, min(-(-int(args[2]) // (256 * per_thread)), self.device.most_blocks))
        self.run(function, parameters, call, blocks, 256, args)


class RandomBits(_Random):
    name = "random_bits"

    def launch(self, args, outs, params):
        (key,), (out,) = args, outs
        parameters = "unsigned* key, unsigned char* out, long long bytes"
        self.draw("random_bits", parameters, "random_words(key, out, bytes)", 32, [key, out.view("uint8"), number(out.nbytes)])


class RandomUniform(_Random):
    name = "random_uniform"

    def fits(self, key, shape, dtype, low=0.0, high=1.0):
        return dtype in ("float32", "float64")

    def launch(self, args, outs, params):
        (key,), (out,) = args, outs
        kind = {"float32": "float", "float64": "double"}[dtypes.name_of(out.dtype)]
        parameters = f"unsigned* key, {kind}* out, long long n, double low, double high"
        limits = [np.float64(params.get("low", 0.0)), np.float64(params.get("high", 1.0))]
        call = "random_floats(key, out, n, low, high)"
        self.draw(f"random_uniform_{kind}", parameters, call, 32 // out.itemsize, [key, out, number(out.size), *limits])


class Bernoulli(_Random):
    name = "bernoulli"

    def launch(self, args, outs, params):
        (key,), (out,) = args, outs
        _, width, whole, part = thresholds(out.shape, params["p"])
        parameters = "unsigned* key, bool* out, long long n, long long width, unsigned whole, unsigned part"
        sizes = [number(math.prod(out.shape)), number(width), np.uint32(whole), np.uint32(part)]
        self.draw("bernoulli", parameters, "bernoulli(key, out, n, width, whole, part)", 1, [key, out, *sizes])
