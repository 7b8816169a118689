"""SeedGenerator: the state of a random number generator, and the global one."""

import random
from typing import Any, SupportsInt, TypeAlias

from mlkit.core import names
from mlkit.core.communicator import replicas
from mlkit.core.interpreter import outside_trace
from mlkit.core.tensor import Tensor
from mlkit.objects.variable import Variable
from mlkit.primitives.convert import cast, convert_to_tensor

_MASK = 0xFFFFFFFF
_global = None


class SeedState(Variable):
    """The state of a SeedGenerator: two uint32, a seed and a count."""


class SeedGenerator:
    """Hands out a new key at each call of `next`.

    The state is a Variable of two uint32, the seed and a count, so that a compiled training step continues the sequence.

    Args:
        seed: int, or None for one drawn from Python's `random` (which `mlkit.utils.set_random_seed` seeds).
        name: part of the state's path.

    >>> import mlkit
    >>> generator = mlkit.random.SeedGenerator(seed=42)
    >>> generator.next().numpy(), generator.next().numpy()
    (array([42,  0], dtype=uint32), array([42,  1], dtype=uint32))
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any):
        if kwargs:
            raise ValueError(f"SeedGenerator: unknown arguments {sorted(kwargs)}. Expected `seed` and `name`.")
        if seed is not None and not _is_int(seed):
            raise ValueError(f"SeedGenerator: `seed` must be an integer or None, but got {seed!r}.")
        self.name = name or names.auto_name("SeedGenerator")
        self.seed = seed
        first = make_default_seed() if seed is None else seed
        with names.name_scope(self.name):
            self.state = SeedState(_key(first), trainable=False, name="seed_generator_state")

    def next(self, ordered: bool = True) -> Tensor:
        """The current key (a uint32 tensor of shape (2,)); the state moves on.

        Args:
            ordered: whether the count goes up by one; if False it jumps about.
        """
        step = 1 if ordered else 0x9E3779B9  # odd, so that all counts are visited
        with self.state.lock:  # no two threads draw the same key
            key = self.state.value
            self.state.assign(key + convert_to_tensor([0, step], dtype="uint32"))
        group = replicas()
        return key if group is None else group.key(key)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__`."""
        return {"seed": self.seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SeedGenerator":
        """A generator made from what `get_config` returned, at the start of its sequence."""
        return cls(**config)


Seed: TypeAlias = (
    int | SeedGenerator | None
)  # what users give: the same numbers at each call, those of a generator, or the global one's


def _is_int(x: object) -> bool:
    return hasattr(x, "__index__") and not isinstance(x, (bool, Tensor))


def _key(seed: SupportsInt) -> Tensor:
    with outside_trace():
        return convert_to_tensor([int(seed) & _MASK, 0], dtype="uint32")


def make_default_seed() -> int:
    """A seed from Python's `random` module."""
    return random.randint(1, 10**9)


def global_seed_generator() -> SeedGenerator:
    """The generator that `seed=None` means."""
    global _global
    if _global is None:
        with outside_trace():
            _global = SeedGenerator(name="global_seed_generator")
    return _global


def lay_out_again() -> None:
    """Another distribution is in force: the global generator, which belongs to no model, follows it."""
    if _global is not None:
        _global.state._lay_out(None)


def set_global_seed(seed: int) -> None:
    """Start the global generator anew. `mlkit.utils.set_random_seed` calls this and seeds Python and NumPy too."""
    state = global_seed_generator().state
    with outside_trace():
        state.assign(_key(seed))


def draw_seed(seed: Seed | Tensor) -> Tensor:
    """A key, uint32 of shape (2,), from what users give as `seed`: None, an int, a SeedGenerator, or a key itself."""
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if seed is None:
        return global_seed_generator().next()
    if type(seed) is Tensor and seed.shape == (2,):
        return cast(seed, "uint32")
    if not _is_int(seed):
        raise ValueError(f"`seed` must be an int, a SeedGenerator or None, but got {seed!r} ({type(seed).__name__}).")
    return _key(seed)
