"""Functions of PyTorch's tensors as ops: computed by PyTorch on the CPU, differentiated by its autograd."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.core.deferred import Deferred
from mlkit.core.spec import Spec
from mlkit.primitives.foreign import ForeignFunction

torch = Deferred("torch", "TorchModuleWrapper needs the package torch: pip install torch")


class TorchFunction(ForeignFunction):
    """fn(*tensors) -> list of tensors. It may not change its arguments."""

    def __init__(self, fn: Callable[..., Sequence[Any]]):
        super().__init__()
        self.fn = fn

    def __repr__(self) -> str:
        return f"<TorchFunction {getattr(self.fn, '__name__', self.fn)}>"

    def run(self, *arrays: Any) -> Sequence[Any]:
        with torch.no_grad():
            return [array_of(y) for y in self.fn(*map(tensor_of, arrays))]

    def shapes(self, *specs: Spec) -> tuple[Spec, ...]:
        """Found on tensors without values, or, where these do not do, on zeros."""
        kinds = [(s.shape, getattr(torch, s.dtype)) for s in specs]
        with torch.no_grad():
            try:
                found = self.fn(*(torch.empty(shape, dtype=dtype, device="meta") for shape, dtype in kinds))
            except Exception:  # it looks at values, or holds tensors of its own
                found = self.fn(*(torch.zeros(shape, dtype=dtype) for shape, dtype in kinds))
        return tuple(Spec(tuple(y.shape), str(y.dtype).removeprefix("torch.")) for y in found)

    def make_pullback(self, wanted: tuple[bool, ...], given: tuple[bool, ...]) -> "TorchFunction":
        return _Pullback(self, wanted, given)


class _Pullback(TorchFunction):
    """The gradient of a function by torch.autograd, which runs it anew."""

    def __init__(self, forward: TorchFunction, wanted: tuple[bool, ...], given: tuple[bool, ...]):
        n = len(wanted)

        def pullback(*tensors: Any) -> Sequence[Any]:
            again = torch.is_grad_enabled()  # someone differentiates this
            with torch.enable_grad():
                args = [_followed(x) if w else x for x, w in zip(tensors, wanted)]
                results = [y for y, is_given in zip(forward.fn(*args), given) if is_given]
                pairs = [(y, g) for y, g in zip(results, tensors[n:]) if y.requires_grad]
                sources = [x for x, w in zip(args, wanted) if w]
                if not pairs:
                    return [torch.zeros_like(x) for x in sources]
                ys, gs = zip(*pairs)
                found = torch.autograd.grad(ys, sources, gs, create_graph=again, allow_unused=True)
            return [torch.zeros_like(x) if g is None else g for x, g in zip(sources, found)]

        super().__init__(pullback)
        self._places = [i for i, w in enumerate(wanted) if w]

    def infer(self, *specs: Spec) -> tuple[Spec, ...]:
        return tuple(specs[i] for i in self._places)


def _followed(x):
    """The tensor, which autograd follows."""
    return x if x.requires_grad else x.detach().requires_grad_()


def tensor_of(array: np.ndarray) -> Any:
    """A tensor in the memory of an array. What NumPy cannot hand on by DLPack goes as integers of the same size."""
    kind = dtypes.name_of(array.dtype)
    if kind == "bfloat16":
        return torch.from_dlpack(array.view("uint16")).view(torch.bfloat16)
    return torch.from_dlpack(array)


def array_of(tensor: Any) -> np.ndarray:
    """An array in the memory of a tensor."""
    tensor = tensor.detach().contiguous()
    if tensor.dtype is torch.bfloat16:
        return tensor.view(torch.uint16).numpy().view(dtypes.as_numpy("bfloat16"))
    return tensor.numpy()
