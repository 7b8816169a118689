"""A model drawn as boxes and arrows: `plot_model`, `model_to_dot`. Boxes are placed here, so that no other program is needed."""

import os
from itertools import pairwise
from typing import Any

from mlkit.core import tree
from mlkit.core.spec import show
from mlkit.models.diagram_layout import Box, Diagram


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Diagram:
    """A model as a `Diagram`, which has `to_string()` (text in the DOT language), `svg()` and `write(path)`.

    Args:
        model: a built model.
        show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable: what stands in the boxes beside the
            classes.
        rankdir: "TB" from top to bottom, "LR" from left to right.
        expand_nested: models within are drawn with their own layers.
        dpi: dots an inch of pictures.
        subgraph: for DOT, as a cluster of another graph.
        splines: for DOT.

    >>> import mlkit
    >>> model = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(2, name="head")])
    >>> print(model_to_dot(model, show_shapes=True).to_string().count("->"))
    1
    """
    if kwargs.pop("layer_range", None) is not None:
        raise ValueError("Argument `layer_range` is no longer supported.")
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments: {kwargs}")
    if not model.built:
        raise ValueError(
            "This model has not yet been built. Build the model first by calling `build()` or by calling it on data."
        )
    if rankdir not in ("TB", "LR"):
        raise ValueError(f"`rankdir` must be 'TB' or 'LR', but got {rankdir!r}.")
    shown = _Shown(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable, expand_nested)
    boxes, arrows = shown.graph(model)
    return Diagram(model.name, boxes, arrows, rankdir, dpi, subgraph, splines)


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Diagram:
    """Draw a model into a file. Returns the `Diagram`, which a notebook shows.

    Args:
        to_file: path; what follows its last dot decides: png, svg, pdf, jpg or dot; png without one.

    The other arguments are those of `model_to_dot`.
    """
    diagram = model_to_dot(
        model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi, False, show_layer_activations, show_trainable,
        splines, **kwargs,
    )  # fmt: skip
    path = os.fspath(to_file)
    diagram.write(path if os.path.splitext(path)[1] else f"{path}.png")
    return diagram


class _Shown:
    """What is shown of each layer."""

    def __init__(self, shapes, dtype, names, activations, trainable, nested):
        self.shapes, self.dtype, self.names = shapes, dtype, names
        self.activations, self.trainable, self.nested = activations, trainable, nested

    def graph(self, model):
        """(boxes, pairs of boxes) of a model's layers. One whose calls are not known has its layers below one another."""
        if getattr(model, "_graph", None) is None:
            layers = [layer for layer in getattr(model, "layers", ()) if layer.built] if hasattr(model, "_stack") else [model]
            boxes = [self.box(layer) for layer in layers]
            return boxes, list(pairwise(boxes))
        own = {id(node) for node in model._graph._nodes}
        box_of = {}
        for operation in model.operations:
            nodes = [n for n in operation._inbound_nodes if id(n) in own] or operation._inbound_nodes[:1]
            box_of[id(operation)] = self.box(operation, nodes[0] if nodes else None)
        arrows = {}
        for operation in model.operations:
            for node in operation._inbound_nodes:
                if id(node) in own:
                    for parent in node.parents:
                        pair = box_of.get(id(parent.operation)), box_of[id(operation)]
                        if None not in pair:
                            arrows[id(pair[0]), id(pair[1])] = pair
        return list(box_of.values()), list(arrows.values())

    def box(self, operation, node=None):
        lines = [_class_name(operation) if not self.names else f"{operation.name} ({_class_name(operation)})"]
        activation = getattr(operation, "activation", None)
        if self.activations and activation is not None:
            lines.append(f"Activation: {getattr(activation, '__name__', None) or getattr(activation, 'name', activation)}")
        if self.shapes and node is not None:
            if node.input_tensors:
                inputs = [show(t.spec.shape) for t in node.input_tensors]
                lines.append(f"Input shape: {inputs[0] if len(inputs) == 1 else inputs}")
            lines.append(f"Output shape: {tree.map_structure(lambda t: show(t.spec.shape), node.outputs)}")
        if self.dtype:
            dtypes = {t.dtype for t in node.output_tensors} if node is not None else {getattr(operation, "dtype", "?")}
            lines.append(f"Output dtype: {', '.join(sorted(dtypes))}")
        if self.trainable and getattr(operation, "weights", None):
            lines.append(f"Trainable: {operation.trainable}")
        inner = self.graph(operation) if self.nested and hasattr(operation, "layers") else None
        return Box(operation.name, lines, *(inner or ()))


def _class_name(operation):
    function = getattr(operation, "fn", None)
    return (
        function.__name__ if hasattr(operation, "fn") and type(operation).__name__ == "RecordedOp" else type(operation).__name__
    )
