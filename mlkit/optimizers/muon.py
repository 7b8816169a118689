"""Muon: momentum steps, orthogonalized for weight matrices."""

import math
import re
from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.core.tensor import Tensor
from mlkit.core.typing import LearningRate
from mlkit.objects.variable import Variable
from mlkit.optimizers.adam import adam_step, update_moments
from mlkit.optimizers.optimizer import Optimizer, common_options


class Muon(Optimizer):
    """Steps matrices by the orthogonal matrix nearest to their momentum; everything else by AdamW.

    Args:
        adam_beta_1, adam_beta_2, adam_weight_decay, epsilon: of the AdamW part.
        weight_decay: of the Muon part.
        exclude_layers: patterns (regular expressions); weights whose path matches one go to AdamW, as the output layer should.
        exclude_embeddings: likewise for embeddings.
        muon_a, muon_b, muon_c: coefficients of the Newton-Schulz polynomial.
        adam_lr_ratio: learning rate of the AdamW part over that of Muon.
        momentum, nesterov: as in SGD.
        ns_steps: Newton-Schulz iterations.
        rms_rate: root mean square of a step, which makes Adam's rates fit; None for none.

    Further arguments: those of `Optimizer`. Jordan 2024, https://kellerjordan.github.io/posts/muon; Liu et al. 2025,
    https://arxiv.org/abs/2502.16982.
    """

    @common_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        *,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float = 0.2,
        **options: Any,
    ):
        super().__init__(learning_rate, weight_decay=weight_decay, **options)
        self.adam_beta_1, self.adam_beta_2, self.epsilon = adam_beta_1, adam_beta_2, epsilon
        self.adam_weight_decay, self.adam_lr_ratio = adam_weight_decay, adam_lr_ratio
        self.exclude_layers, self.exclude_embeddings = exclude_layers or [], exclude_embeddings
        self.muon_a, self.muon_b, self.muon_c, self.ns_steps = muon_a, muon_b, muon_c, ns_steps
        self.momentum, self.nesterov, self.rms_rate = momentum, nesterov, rms_rate

    def _uses_adamw(self, variable: Variable):
        embedding = self.exclude_embeddings and "embedding" in variable.path.lower()
        return len(variable.shape) != 2 or embedding or any(re.search(p, variable.path) for p in self.exclude_layers)

    def build_slots(self, variables: Sequence[Variable]) -> None:
        for v in variables:
            self.add_slots([v], momentum="zeros")
            if self._uses_adamw(v):
                self.add_slots([v], velocity="zeros")

    def _decay_of(self, variable: Variable):
        decay = super()._decay_of(variable)
        return self.adam_weight_decay if decay is not None and self._uses_adamw(variable) else decay

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        m = self.slot(variable, "momentum")
        if self._uses_adamw(variable):
            v, betas = self.slot(variable, "velocity"), (self.adam_beta_1, self.adam_beta_2)
            update_moments(m, v, gradient, *betas)
            step = self.step_number(variable)
            variable.assign_sub(adam_step(m, v, step, learning_rate * self.adam_lr_ratio, *betas, self.epsilon))
            return
        m.assign_add(gradient + m * (self.momentum - 1))
        ahead = gradient + self.momentum * m if self.nesterov else m
        variable.assign_sub(self.lr_adjust(learning_rate * self.zeropower_via_newtonschulz5(ahead, self.ns_steps)))

    def lr_adjust(self, x: Tensor) -> Any:
        """A step scaled by ``rms_rate * sqrt(max(x.shape))``, which gives it the root mean square `rms_rate`."""
        return x if self.rms_rate is None else x * (math.sqrt(max(x.shape)) * self.rms_rate)

    def zeropower_via_newtonschulz5(self, x: Tensor, steps: int) -> Tensor:
        """Nearly the orthogonal matrix nearest to `x`: `steps` iterations push the singular values towards 1."""
        if len(x.shape) < 2:
            raise ValueError(f"Muon orthogonalizes matrices, but got a tensor of shape {tuple(x.shape)}.")
        tall = x.shape[-2] > x.shape[-1]
        x = ops.swapaxes(x, -1, -2) if tall else x  # the products below are of the smaller size
        x = x / (ops.sqrt(ops.sum(ops.square(x), axis=(-2, -1), keepdims=True)) + 1e-7)
        for _ in range(steps):
            gram = x @ ops.swapaxes(x, -1, -2)
            x = self.muon_a * x + (self.muon_b * gram + self.muon_c * gram @ gram) @ x
        return ops.swapaxes(x, -1, -2) if tall else x
