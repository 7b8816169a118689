"""The core: specs, tensors, operations through one entrance, gradients, tracing, graphs and plans."""
