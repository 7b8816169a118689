"""Random numbers of functions that datasets call: they follow from the dataset's seed, the pass and the element, not from threads."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from mlkit.core.function import Traced
from mlkit.core.interpreter import EAGER, Handing, Interpreter
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor
from mlkit.objects.seed_generator import SeedState, draw_seed
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import as_tensor


class Reseeded(Handing):
    """Seed generators continue from states that follow from a key and their own seeds; what they become is not kept.

    make_key: () -> the key, asked for when the first of them is read. own_seeds: if False their own seeds do not count, but the order
    in which they are read.
    """

    def __init__(self, outer: Interpreter, make_key: Callable[[], Any], own_seeds: bool = True):
        super().__init__(outer)
        self._make_key, self._own_seeds = make_key, own_seeds
        self._states: dict[Any, Tensor] = {}

    def read(self, variable: Any) -> Tensor:
        if not isinstance(variable, SeedState):
            return self.outer.read(variable)
        if variable not in self._states:
            state = self.outer.read(variable) if self._own_seeds else as_tensor(np.array([len(self._states), 0], "uint32"))
            seed = state * as_tensor(np.array([1, 0], "uint32"))  # without how often it was used
            self._states[variable] = el.xor(as_tensor(self._make_key()), seed)
        return self._states[variable]

    def write(self, variable: Any, tensor: Tensor) -> None:
        if isinstance(variable, SeedState):
            self._states[variable] = tensor
        else:
            self.outer.write(variable, tensor)


def fresh_seed() -> int:
    """A seed from the global generator, which `set_random_seed` starts anew."""
    seed, count = draw_seed(None).numpy().tolist()
    return seed << 32 | count


def key_of(*numbers: int) -> np.ndarray:
    """A key for the seed generators in a call: two uint32 that follow from numbers."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return np.frombuffer(digest, "uint32")


class Keyed:
    """A function of tensors with random numbers that follow from a key: `keyed(make_key, *args)`.

    What was compiled (`mlkit.function`) is compiled again with the key among its arguments; the rest runs op by op.
    """

    def __init__(self, function: Any, own_seeds: bool = True):
        self.own_seeds = own_seeds
        is_compiled = isinstance(function, Traced)
        self.function = function.fn if is_compiled else function
        self._program = Traced(self._traced) if is_compiled else None

    def __call__(self, make_key: Callable[[], Any], *args: Any) -> Any:
        # whatever tapes and traces a loop over the dataset stands in
        if self._program is None:
            with swapped(top=Reseeded(EAGER, make_key, self.own_seeds), call=state.call.plain()):
                return self.function(*args)
        with swapped(top=EAGER, call=state.call.plain()):
            return self._program(make_key(), *args)

    def _traced(self, key: Tensor, *args: Any) -> Any:
        with swapped(top=Reseeded(state.top, lambda: key, self.own_seeds)):
            return self.function(*args)
