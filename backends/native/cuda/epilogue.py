"""What follows a product in one launch: bias, something added and activation, in place. See `native.epilogue`."""

import functools

from mlkit.backends.native import tiled_chain
from mlkit.backends.native.cuda.expressions import knows
from mlkit.compiler.chain import Chain
from mlkit.core.graph import spec_of
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.epilogue import activation


class LaunchedFinish:
    """plain: the function over CuPy, for activations that have no expression."""

    def __init__(self, device, plain):
        self.device, self._over_cupy = device, plain

    def __call__(self, y, bias, residual, act):
        if act is not None and not knows(activation(act)[0], spec_of(y).dtype):
            return self._over_cupy(y, bias, residual, act)
        more = [a for a in (bias, residual) if a is not None]
        if more or act is not None:
            self._run((spec_of(y), *map(spec_of, more)), act)(y, *more, out=y)
        return y

    plain = __call__  # half floats are computed in float32 by any chain

    @functools.lru_cache(256)  # noqa: B019  # it lives as long as its device
    def _run(self, specs, act):
        n = len(specs)
        steps = [(el.add, (0 if k == 1 else n + k - 2, k), {}) for k in range(1, n)]
        if act is not None:
            op, params = activation(act)
            steps.append((op, (n + len(steps) - 1 if steps else 0,), params))
        chain = tiled_chain.in_single(Chain(n, steps, [n + len(steps) - 1]), specs)
        return self.device.chain(chain, specs, self.device.backend.elementwise_out)
