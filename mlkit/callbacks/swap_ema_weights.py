"""SwapEMAWeights: evaluate with the moving average of the weights."""

from typing import Any

from mlkit.callbacks.callback import Callback


class SwapEMAWeights(Callback):
    """Puts the exponential moving average of the weights in their place for evaluation, and puts them back afterwards.

    The optimizer must keep the average (`use_ema=True`). Averages of the path of the weights often generalize better than the
    last point: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992.

    Args:
        swap_on_epoch: whether the averages stay in the model from the end of an epoch to the beginning of the next, for
            callbacks such as `ModelCheckpoint` that come after this one in the list.
    """

    kept = ("_swapped",)

    def __init__(self, swap_on_epoch: bool = False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def _averages(self):
        """(weight, its average) pairs of the model's optimizer, inside a loss scaling one where there is one."""
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        inner = [o for o in getattr(optimizer, "optimizers", [optimizer]) if getattr(o, "use_ema", False)]
        if not inner:
            raise ValueError(
                "SwapEMAWeights must be used when `use_ema=True` is set on the optimizer: there are no averages to swap in. "
                f"The optimizer is {type(optimizer).__name__} without it."
            )
        return [pair for o in inner for pair in o.moving_averages]

    def _swap(self):
        for weight, average in self._averages():
            present = weight.numpy().copy()
            weight.assign(average)
            average.assign(present)
        self._swapped = not self._swapped

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.swap_on_epoch and self._swapped:
            self._swap()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.swap_on_epoch and not self._swapped:
            self._swap()
            if epoch == self.params["epochs"] - 1:
                # the optimizer overwrites the weights with its averages when training ends: they must be the averages then
                for weight, average in self._averages():
                    average.assign(weight)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._swapped:
            self._swap()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._swapped:
            self._swap()

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._swapped:
            self._swap()

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._swapped:
            self._swap()
