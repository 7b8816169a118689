"""Rows that run cuDNN: through its graphs convolutions, products with epilogues, attention, and their gradients; recurrent nets, which
graphs do not have, by functions of their own (`rnn`).

`library` finds and loads it; `draft` is what a graph is written on, `plans` makes graphs into plans and keeps them; `row` is what rows have
in common, and each other module has the rows of a family. A graph that cuDNN has no engine for is a decline, and the next row runs. Without
the library every row declines.

A graph is a function of a `Draft` and of values that can be hashed, its `Layout`s among them:

    def gradient_of_kernel(draft, x, g, dw, steps):
        found = draft.graph.conv_wgrad(image=draft.argument(x), loss=draft.argument(g), **steps.options())
        draft.result(found, dw)

and `device.cudnn.find(gradient_of_kernel, x, g, dw, steps)` gives its plan, a function of its arrays in the order in which the draft met
them, or None.
"""

import importlib

_FAMILIES = ("conv", "matmul", "attention", "recurrent")


def rows(device):
    """All rows of a GPU."""
    modules = (importlib.import_module(f"mlkit.backends.native.cuda.cudnn.{family}") for family in _FAMILIES)
    return [row for module in modules for row in module.rows(device)]
