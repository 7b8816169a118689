"""The learning rate finder: a short training with a rising rate shows which rates work."""

import contextlib
import dataclasses

import numpy as np

from mlkit import data
from mlkit.objects.variable import Variable
from mlkit.pictures.charts import LineChart


@dataclasses.dataclass(repr=False)
class LearningRateSearch:
    """What `lr_find` saw: `rates` and the `losses` of single batches, as arrays (steps,).

    Args:
        rates: learning rates, rising, (steps,).
        losses: of a single batch at each rate, (steps,).
    """

    rates: np.ndarray
    losses: np.ndarray

    @property
    def smoothed(self):
        """Means of the losses of neighbouring steps (a sixth of all), as an array (steps,)."""
        reach = max(1, len(self.losses) // 12)
        padded = np.pad(self.losses, reach, mode="edge")
        return np.convolve(padded, np.full(2 * reach + 1, 1 / (2 * reach + 1)), mode="valid")

    @property
    def suggestion(self):
        """The rate at which the smoothed loss falls most steeply: good as the maximum of `one_cycle`."""
        end = int(self.smoothed.argmin()) + 1
        if end < 3:  # the loss only rises: even the lowest rate is high
            return float(self.rates[0])
        slope = np.gradient(self.smoothed[:end], np.log(self.rates[:end]))
        return float(self.rates[slope.argmin()])

    def __repr__(self) -> str:
        return f"<LearningRateSearch of {len(self.rates)} steps, suggestion {self.suggestion:.2g}>"

    def plot(self):
        """The losses over the rates, as a picture that notebooks show (see `mlkit.visualization`)."""
        lines = {"loss": (self.rates, self.losses), "smoothed": (self.rates, self.smoothed)}
        marks = {f"suggestion {self.suggestion:.2g}": self.suggestion}
        return LineChart(lines, "Learning rate search", "learning rate", "loss", log_x=True, marks=marks)

    def _repr_html_(self) -> str:
        return self.plot()._repr_html_()


def lr_find(
    model,
    x,
    y=None,
    sample_weight=None,
    batch_size: int | None = None,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    stop_factor: float = 4.0,
):
    """Train for some steps while the learning rate rises from very low to very high, and tell at which rate the loss fell
    fastest. Afterwards the model and its optimizer are as they were.

    This is the range test of Smith 2017, "Cyclical Learning Rates for Training Neural Networks",
    https://arxiv.org/abs/1506.01186.

    Args:
        model: a compiled model.
        x, y, sample_weight, batch_size: data, as `fit` takes it; it is gone through as often as it takes.
        lowest, highest: the first and last rate; between them it rises by equal factors.
        steps: number of batches.
        stop_factor: the search ends where the loss (a running mean of it) is this many times its lowest value, or not finite.

    Returns:
        A `LearningRateSearch`.

    Raises:
        ValueError: the model is not compiled, or its optimizer has no single learning rate.

    >>> import mlkit
    >>> mlkit.utils.set_random_seed(0)
    >>> model = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> search = lr_find(model, np.ones((32, 4), "float32"), np.zeros((32, 1), "float32"), batch_size=8, steps=50)
    >>> 1e-4 < search.suggestion < 1
    True
    """
    if not 0 < lowest < highest:
        raise ValueError(f"lr_find: expected 0 < lowest < highest, but got {lowest!r} and {highest!r}.")
    if steps < 3:
        raise ValueError(f"lr_find: `steps` must be at least 3, but is {steps!r}.")
    model._assert_compiled("lr_find")
    batches = _endless(data.get_adapter(x, y, sample_weight, batch_size, shuffle=True, seed=0))
    first = next(batches)
    model._training.prepare(model, first)  # everything is built before its state is noted
    rates, losses, means = [], [], []
    with _unchanged(model), _rate_in_hand(model.optimizer) as rate, contextlib.closing(batches):
        batch = first
        for value in np.geomspace(lowest, highest, steps):
            rate.assign(value)
            loss = float(model.train_on_batch(*batch, return_dict=True)["loss"])
            if not np.isfinite(loss):
                break
            rates.append(value)
            losses.append(loss)
            means.append(_running_mean(losses))
            if means[-1] > stop_factor * min(means):
                break
            batch = next(batches)
    if not losses:
        raise ValueError(f"lr_find: the loss is not finite even at the lowest rate {lowest:g}. Is the data?")
    return LearningRateSearch(np.asarray(rates), np.asarray(losses))


def _endless(adapter):
    index = 0
    while True:
        empty = True
        for batch in adapter.epoch(index):
            empty = False
            yield batch
        if empty:
            raise ValueError(f"lr_find: the data ran out after {index} passes. Pass data that can be gone through again.")
        index += 1


def _running_mean(values, past=0.8):
    """The exponentially weighted mean of the values, the last one counting most."""
    weights = past ** np.arange(len(values))[::-1]
    return float(np.dot(weights, values) / weights.sum())


@contextlib.contextmanager
def _unchanged(model):
    """A block after which all state of the model and its optimizer is as it was before."""
    variables = model.variables + model.optimizer.variables
    before = [np.array(v.numpy()) for v in variables]  # copies: compiled steps reuse the memory of what they read
    try:
        yield
    finally:
        for v, value in zip(variables, before):
            v.assign(value)
        model.reset_metrics()


@contextlib.contextmanager
def _rate_in_hand(optimizer):
    """A block in which the optimizer's learning rate is a Variable, which is given; a schedule waits for its end."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    if hasattr(optimizer, "optimizers"):
        raise ValueError("lr_find: a MultiOptimizer has no single learning rate to search for.")
    own = optimizer._learning_rate
    if isinstance(own, Variable):
        yield own  # its value is put back with all the others
        return
    rate = Variable(0.0, trainable=False, name="searched_rate")
    optimizer.learning_rate = lambda: rate
    try:
        yield rate
    finally:
        optimizer.learning_rate = own
