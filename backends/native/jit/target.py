"""What passes are told of native code: bodies of loops have no fused ops in it."""

from mlkit.compiler.contract import Target


class LoopTarget(Target):
    """backend: whose kernels compute what is constant."""

    def __init__(self, backend):
        self._backend = backend

    def lacks(self, call):
        return call.op.fallback is not None

    def evaluate(self, call):
        return self._backend.target.evaluate(call)
