"""What the native engine answers to passes."""

from mlkit.backends.native import elementwise_out
from mlkit.backends.native.table import Rows
from mlkit.compiler.chain import Chain
from mlkit.compiler.contract import KernelTarget
from mlkit.core.graph import spec_of
from mlkit.core.state import state
from mlkit.primitives.fused.elementwise_chain import fused_elementwise


class NativeTarget(KernelTarget):
    """kernels: op name -> kernel; elementwise_out: the same of those that write into given memory; device: where they run."""

    def __init__(self, kernels, elementwise_out, device):
        super().__init__(kernels)
        self.elementwise_out, self.device = elementwise_out, device

    @property
    def smallest_chain(self):
        return self.device.smallest_chain

    @property
    def channel_block(self):
        return self.device.channel_block()

    @property
    def overlaps(self):
        return state.communicator is not None and state.communicator.overlaps

    def can_chain(self, call):
        if call.op.name not in self.elementwise_out:
            return False
        tensor = next((a for a in call.args if hasattr(a, "dtype")), None)
        return tensor is not None and elementwise_out.accepts(call.op, tensor.dtype)

    def gains_alone(self, call):
        """Those of bfloat16 and its comparisons do, which chains compute in float32, and what a row for chains asks for."""
        out = call.outs[0].dtype
        if out == "bfloat16" or (out == "bool" and any(a.dtype == "bfloat16" for a in call.inputs)):
            return True
        rows = self.kernels.get(fused_elementwise.name)
        return isinstance(rows, Rows) and any(k.gains_alone(call) for _, k in rows.rows if hasattr(k, "gains_alone"))

    def joins(self, call):
        kernel = self.kernels.get(call.op.name) if self.device.joins_chains else None
        if isinstance(kernel, Rows):
            kernel = kernel.choose(call.args, call.params)
        if hasattr(kernel, "as_chain"):
            chain = kernel.as_chain(call.args, call.params)
        elif kernel is not None and self.can_chain(call):
            chain = Chain.of([call], [a for a in call.args if hasattr(a, "shape")], call.outs)
        else:
            return None
        operands = [spec_of(a) for a in call.args if hasattr(a, "shape")]
        return chain if len(operands) == chain.operands and self.device.can_join(chain, operands) else None

    def keeps(self, call):
        kernel = self.kernels[call.op.name]
        if isinstance(kernel, Rows):
            kernel = kernel.choose(call.args, call.params)
        return kernel.keeps(*call.args, **call.params) if hasattr(kernel, "keeps") else None
