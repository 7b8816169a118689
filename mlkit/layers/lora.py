"""LoRA: fine-tuning a large weight by training two thin ones beside it."""

from mlkit import initializers, ops


class LowRankMixin:
    """A layer whose main weight may be frozen and corrected by ``alpha / rank * a @ b`` (Hu et al., "LoRA", 2021).

    The layer keeps the weight as `_kernel` and reads it as `kernel`. Saved variables hold the corrected weight, so that a file
    fits the layer with and without LoRA.
    """

    lora_enabled = False
    _kernel = None

    @property
    def kernel(self):
        """The main weight: a Variable, or with LoRA the corrected tensor."""
        if self._kernel is None:
            raise AttributeError(f"{type(self).__name__} {self.name!r} is not built, so it has no `kernel` yet.")
        return ops.cast(self._corrected(), self.compute_dtype) if self.lora_enabled else self._kernel

    def _corrected(self):
        return self._kernel + self.lora_alpha / self.lora_rank * ops.matmul(self.lora_kernel_a, self.lora_kernel_b)

    def enable_lora(self, rank, lora_alpha=None, a_initializer="he_uniform", b_initializer="zeros"):
        """Freeze the main weight and train a correction of the given rank, scaled by ``lora_alpha / rank`` (1 by default)."""
        name = f"{type(self).__name__} {self.name!r}"
        if self.kernel_constraint is not None:
            raise ValueError(
                f"enable_lora: {name} has a kernel constraint, which a correction would break. Remove `kernel_constraint`."
            )
        if self._kernel is None:
            raise ValueError(f"enable_lora: {name} is not built. Build it or call it first.")
        if self.lora_enabled:
            raise ValueError(f"enable_lora: {name} has LoRA already; it can be enabled once.")
        *rows, columns = self._kernel.shape
        options = {"dtype": "float32", "regularizer": self.kernel_regularizer}
        self.lora_kernel_a = self.add_weight((*rows, rank), initializers.get(a_initializer), name="lora_kernel_a", **options)
        self.lora_kernel_b = self.add_weight((rank, columns), initializers.get(b_initializer), name="lora_kernel_b", **options)
        self._kernel.trainable = False
        self.lora_enabled = True
        self.lora_rank, self.lora_alpha = rank, rank if lora_alpha is None else lora_alpha

    @property
    def _saved_variables(self):
        if not self.lora_enabled:
            return super()._saved_variables
        return [self._kernel] if self.bias is None else [self._kernel, self.bias]

    def save_own_variables(self, store):
        """Write the corrected weight, and the bias."""
        super().save_own_variables(store)
        if self.lora_enabled:
            del store["0"]
            store["0"] = ops.convert_to_numpy(self._corrected())

    def load_own_variables(self, store):
        """Set the weight and the bias; with LoRA the correction starts anew from zero."""
        super().load_own_variables(store)
        if self.lora_enabled:
            for v in (self.lora_kernel_a, self.lora_kernel_b):
                v.assign(ops.zeros(v.shape, v.dtype))
