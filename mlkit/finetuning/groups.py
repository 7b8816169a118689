"""Groups of layers by depth, and learning rates that fall from the head of a model to its input."""

from mlkit.models.freezing import weighted_layers


def layer_groups(model, groups: int = 3):
    """The layers of a model that have weights, cut by depth into groups of about equally many weights.

    Args:
        model: a built model; its last layer is a group of its own, for it is the new head as a rule.
        groups: number of groups, at least 2; no more than there are layers.

    Returns:
        List of lists of layers, from the input to the head. Layers of nested models are among them.

    >>> import mlkit
    >>> model = mlkit.Sequential([mlkit.Input((4,)), *(mlkit.layers.Dense(4, name=f"d{i}") for i in range(4))])
    >>> [[layer.name for layer in group] for group in layer_groups(model, 3)]
    [['d0'], ['d1', 'd2'], ['d3']]
    """
    layers = weighted_layers(model)
    if not 2 <= groups <= max(2, len(layers)):
        raise ValueError(f"layer_groups: `groups` must be from 2 to {len(layers)}, the layers with weights, but is {groups!r}.")
    *body, head = layers
    total, seen, cut = sum(layer.count_params() for layer in body), 0, [[] for _ in range(groups - 1)]
    for i, layer in enumerate(body):
        middle = (seen + layer.count_params() / 2) / max(total, 1)
        seen += layer.count_params()
        at_least, at_most = groups - 1 - (len(body) - i), i  # so that no group stays empty
        cut[min(max(int(middle * (groups - 1)), at_least), at_most, groups - 2)].append(layer)
    return [*cut, [head]]


def discriminative_rates(model, decay: float = 2.6, groups: int = 3):
    """Factors on the learning rate, 1 for the head and `decay` times smaller with every group of layers towards the input.

    The first layers of a pretrained network see edges and colours, which serve any task; the last ones belong to the old task.
    So the former should change less. Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text Classification"
    (discriminative fine-tuning), https://arxiv.org/abs/1801.06146, which found 2.6 a good `decay`.

    Args:
        model: a built model.
        decay: quotient of the rates of neighbouring groups, at least 1.
        groups: number of groups, see `layer_groups`.

    Returns:
        Dict from Variable to factor, for `optimizer.rate_factors`.

    >>> import mlkit
    >>> model = mlkit.Sequential([mlkit.Input((4,)), *(mlkit.layers.Dense(4, name=f"d{i}") for i in range(3))])
    >>> optimizer = mlkit.optimizers.SGD(0.1)
    >>> optimizer.rate_factors = discriminative_rates(model, decay=2.0)
    >>> [optimizer.rate_factors[layer.kernel] for layer in model.layers]
    [0.25, 0.5, 1.0]
    """
    if not decay >= 1:
        raise ValueError(f"discriminative_rates: `decay` must be at least 1, but is {decay!r}.")
    parts = layer_groups(model, groups)
    depths = range(len(parts) - 1, -1, -1)
    return {v: float(decay) ** -depth for depth, part in zip(depths, parts) for layer in part for v in layer.weights}
