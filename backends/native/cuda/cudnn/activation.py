"""Activations and their gradients behind products, which cuDNN compiles, one to three seconds each when they are first needed."""

# Elements of a result from which on it pays: to write and read so many takes some microseconds, as one launch more does.
SMALLEST = 1 << 20

# activation as fused products know it -> cuDNN's methods for it and for its gradient
_METHODS = {
    "relu": ("relu", "relu_backward"), "gelu_exact": ("gelu", "gelu_backward"),
    "gelu": ("gelu_approx_tanh", "gelu_approx_tanh_backward"),
}  # fmt: skip
ACTIVATIONS = frozenset(_METHODS)


def activated(draft, tensor, act):
    """The activation of a tensor of a graph; act: None for none."""
    return tensor if act is None else getattr(draft.graph, _METHODS[act][0])(tensor)


def gradient_behind(draft, loss, kept, act):
    """The gradient of an activation. kept: what that of cuDNN calls its input; relu's may be its result."""
    return getattr(draft.graph, _METHODS[act][1])(loss, kept)
