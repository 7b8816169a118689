"""Signatures as they are compared with Keras's, which have no types."""

import inspect


def untyped(function):
    """Names, order, kinds and defaults of a function's parameters."""
    signature = inspect.signature(function)
    parameters = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return signature.replace(parameters=parameters, return_annotation=signature.empty)
