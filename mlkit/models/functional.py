"""Functional models, and their configs."""

from mlkit.models.model import Model
from mlkit.objects.registry import custom_object_scope

__all__ = ["Functional"]


class Functional(Model):
    """What `Model(inputs, outputs)` makes: the layers between KerasTensors, run as one.

    Inputs may be given to a call in the structure of `inputs`, as a list in their order, or as a dict by name.
    """

    def __init__(self, inputs, outputs, name=None, **kwargs):
        trainable = kwargs.pop("trainable", None)
        Model.__init__(self, inputs=inputs, outputs=outputs, name=name, **kwargs)
        if trainable is False:
            self.trainable = False


def functional_config(model):
    """The config of a functional model: its layers, and the calls that connect them, in Keras's form."""
    from mlkit.models.saving.graph_form import graph_config

    graph = model._graph
    form = graph_config(model.operations, graph._nodes, graph._inputs_struct, graph._outputs_struct)
    return {"name": model.name, "trainable": model.trainable, **form}


def is_functional_config(config):
    """Whether a config describes a layer graph."""
    return all(key in config for key in ("name", "layers", "input_layers", "output_layers"))


def model_from_functional_config(cls, config, custom_objects=None):
    """A model of class `cls` with the layer graph of a config."""
    from mlkit.models.saving.graph_form import read_graph

    with custom_object_scope(custom_objects or {}):
        inputs, outputs = read_graph(config)
    options = {k: v for k, v in config.items() if k not in ("layers", "input_layers", "output_layers")}
    trainable = options.pop("trainable", True)
    made = Functional if cls is Model else cls
    model = made(inputs=inputs, outputs=outputs, **options)
    if trainable is False:
        model.trainable = False
    return model
