"""Fused ops: calls that a backend may run by one kernel, each with a fallback in other ops that means the same.

A backend without the kernel, or whose kernel declines, runs the fallback; second derivatives go through it too.
"""

from mlkit.primitives.fused import blocked_images
from mlkit.primitives.fused.activation import gelu, gelu_grad, relu, relu6, relu6_grad, relu_grad, silu, silu_grad, softplus
from mlkit.primitives.fused.attention import attention, attention_grad
from mlkit.primitives.fused.elementwise_chain import fused_elementwise, multi_tensor_apply
from mlkit.primitives.fused.epilogue import conv_bias_act, matmul_bias_act
from mlkit.primitives.fused.gradient_epilogue import conv_input_act_grad, matmul_act_grad, matmul_act_kept
from mlkit.primitives.fused.group_norm import group_norm, group_norm_grad
from mlkit.primitives.fused.gru import gru, gru_grad
from mlkit.primitives.fused.lstm import lstm, lstm_grad
from mlkit.primitives.fused.mask import masked_scale
from mlkit.primitives.fused.norm_relu import (
    batch_norm_add_relu,
    batch_norm_add_relu_grad,
    batch_norm_relu,
    batch_norm_relu_grad,
)
from mlkit.primitives.fused.normalization import (
    batch_norm,
    batch_norm_grad,
    layer_norm,
    layer_norm_grad,
    rms_norm,
    rms_norm_grad,
)
from mlkit.primitives.fused.pack import pack, unpack
from mlkit.primitives.fused.resample import resample, resample_grad
from mlkit.primitives.fused.simple_rnn import rnn, rnn_grad
from mlkit.primitives.fused.softmax import (
    log_softmax,
    log_softmax_grad,
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_grad,
    softmax_grad,
)
from mlkit.primitives.fused.update import adam_update, rmsprop_update, sgd_update
from mlkit.primitives.fused.widening import conv_kernel_wide, matmul_wide, sum_wide
