"""Rows that run cuDNN through its graphs: convolutions, products with what follows them, attention, and the gradients.

`library` finds and loads it; `draft` is what a graph is written on, `plans` makes graphs into plans and keeps them; `row` is what rows have
in common, and each other module has the rows of a family. A graph that cuDNN has no engine for is a decline, and the next row runs. Without
the library every row declines.

A graph is a function of a `Draft` and of values that can be hashed, its `Layout`s among them:

    def gelu_of_product(draft, a, b, y):
        product = draft.graph.matmul(draft.argument(a), draft.argument(b))
        draft.result(draft.graph.gelu(product), y)

and `device.cudnn.find(gelu_of_product, a, b, y)` gives its plan, a function of its arrays in the order in which the draft met them, or
None.
"""

import importlib

_FAMILIES = ("conv",)


def rows(device):
    """All rows of a GPU."""
    modules = (importlib.import_module(f"mlkit.backends.native.cuda.cudnn.{family}") for family in _FAMILIES)
    return [row for module in modules for row in module.rows(device)]
