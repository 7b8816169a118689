"""GraphModel: what a model made from KerasTensors tells of its layers, inputs and outputs."""

from typing import Any

from mlkit.core import tree
from mlkit.core.spec import show
from mlkit.core.typing import Structure
from mlkit.layers.layer import Layer
from mlkit.models.function import input_shapes
from mlkit.models.layer_graph import LayerGraph, find_layer
from mlkit.objects.keras_tensor import KerasTensor


class GraphModel(Layer):
    """The part of `Model` that knows the layer graph, if it has one."""

    _graph: LayerGraph | None = None  # of a model made from KerasTensors, and of a Sequential that knows its inputs

    @property
    def _is_functional(self):
        """Whether it was made from KerasTensors; a Sequential is a list of layers, though it may have a graph."""
        return self._graph is not None

    @property
    def _is_made_of_layers(self):
        """Whether its parts are its `layers`, and not what its attributes hold."""
        return self._graph is not None

    def _known_graph(self, what):
        if self._graph is None:
            raise AttributeError(
                f"Model {self.name!r} has no `{what}`: it is not made from KerasTensors, or does not know its input shape yet. "
                "Start it with an Input, or build it."
            )
        return self._graph

    @property
    def inputs(self) -> list[KerasTensor]:
        """The input KerasTensors, flat."""
        return self._known_graph("inputs").inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The output KerasTensors, flat."""
        return self._known_graph("outputs").outputs

    @property
    def input(self) -> Structure:
        return self._graph._inputs_struct if self._graph else super().input

    @property
    def output(self) -> Structure:
        return self._graph._outputs_struct if self._graph else super().output

    @property
    def input_shape(self) -> Any:
        return input_shapes(self._known_graph("input_shape"))

    @property
    def output_shape(self) -> Any:
        return tree.map_structure(lambda t: show(t.spec.shape), self._known_graph("output_shape")._outputs_struct)

    @property
    def input_names(self) -> list[str]:
        return self._known_graph("input_names").input_names

    @property
    def output_names(self) -> list[str]:
        return self._known_graph("output_names").output_names

    @property
    def operations(self) -> list[Any]:
        """Layers and recorded functions of the graph, input layers included, in Keras's order."""
        return self._known_graph("operations").operations

    def _notes_masks(self, args, kwargs):
        return self._graph is not None or super()._notes_masks(args, kwargs)  # a graph converts each input for itself

    @property
    def layers(self) -> list[Layer]:
        """The layers of the model, not those within them."""
        found = self._graph_layers if self._graph is not None else self._layers
        return list(found)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that place in `layers`. Raises ValueError if there is none."""
        return find_layer(self.layers, name, index)
