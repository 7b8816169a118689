"""LoRA: fine-tuning a large weight by training two thin ones beside it."""

from typing import Any

from mlkit import initializers, ops
from mlkit.core.typing import Identifier
from mlkit.layers.argument_checks import positive, refuse
from mlkit.layers.layer import Layer


class LowRankLayer(Layer):
    """A layer whose main weight may be frozen and corrected by ``alpha / rank * a @ b`` (Hu et al., "LoRA", 2021).

    The layer keeps the weight, say `kernel`, as `_kernel` and reads it as `kernel`; the thin ones are `lora_kernel_a` and
    `lora_kernel_b`. Saved variables hold the corrected weight, so that a file fits the layer with and without LoRA.
    """

    lora_enabled = False
    _main_weight = "kernel"

    def __init__(
        self,
        *args: Any,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        refuse(self, quantization_config=quantization_config)
        self._set_low_rank(lora_rank, lora_alpha)

    def _set_low_rank(self, rank, alpha):
        """The rank, or None, and the scale of the correction, which is the rank by default."""
        self.lora_rank, self.lora_alpha = rank, rank if alpha is None else alpha

    def get_config(self) -> dict[str, Any]:
        """Names the rank and the scale where there is a correction, as in Keras's configs."""
        config = {k: v for k, v in super().get_config().items() if k not in ("lora_rank", "lora_alpha")}
        return {**config, "lora_rank": self.lora_rank, "lora_alpha": self.lora_alpha} if self.lora_rank else config

    @property
    def kernel(self):
        """The main weight: a Variable, or with LoRA the corrected tensor."""
        return self._low_rank_weight()

    def _low_rank_weight(self):
        main = getattr(self, f"_{self._main_weight}", None)
        if main is None:
            raise AttributeError(f"{type(self).__name__} {self.name!r} is not built, so it has no `{self._main_weight}` yet.")
        return ops.cast(self._corrected(), self.compute_dtype) if self.lora_enabled else main

    @property
    def _thin_weights(self):
        return [getattr(self, f"lora_{self._main_weight}_{letter}") for letter in "ab"] if self.lora_enabled else []

    def _corrected(self):
        a, b = self._thin_weights
        return getattr(self, f"_{self._main_weight}") + self.lora_alpha / self.lora_rank * ops.matmul(a, b)

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Identifier = "he_uniform",
        b_initializer: Identifier = "zeros",
    ) -> None:
        """Freeze the main weight and train a correction of the given rank, scaled by ``lora_alpha / rank`` (1 by default)."""
        name, weight = f"{type(self).__name__} {self.name!r}", self._main_weight
        if getattr(self, f"{weight}_constraint") is not None:
            raise ValueError(
                f"enable_lora: {name} has a constraint of its {weight}, which a correction would break. Remove "
                f"`{weight}_constraint`."
            )
        main = getattr(self, f"_{weight}", None)
        if main is None:
            raise ValueError(f"enable_lora: {name} is not built. Build it or call it first.")
        if self.lora_enabled:
            raise ValueError(f"enable_lora: {name} has LoRA already; it can be enabled once.")
        rank = positive(self, lora_rank=rank)
        *rows, columns = main.shape
        for letter, shape, start in (("a", (*rows, rank), a_initializer), ("b", (rank, columns), b_initializer)):
            thin = self.add_weight(
                shape,
                initializers.get(start),
                dtype="float32",
                regularizer=getattr(self, f"{weight}_regularizer"),
                name=f"lora_{weight}_{letter}",
            )
            setattr(self, thin.name, thin)
        main.trainable = False
        self.lora_enabled = True
        self._set_low_rank(rank, lora_alpha)

    @property
    def _saved_variables(self):
        thin = self._thin_weights
        own = [v for v in super()._saved_variables.values() if all(v is not t for t in thin)]
        return {str(i): v for i, v in enumerate(own)}

    def save_own_variables(self, store: Any) -> None:
        """Write the corrected weight, and the other ones."""
        super().save_own_variables(store)
        if self.lora_enabled:
            del store["0"]
            store["0"] = ops.convert_to_numpy(self._corrected())

    def load_own_variables(self, store: Any) -> None:
        """Set the weights; with LoRA the correction starts anew from zero."""
        super().load_own_variables(store)
        for v in self._thin_weights:
            v.assign(ops.zeros(v.shape, v.dtype))
