"""BaseVariable: the cell of state that traces, tapes and locks know.

Reading one inside a trace makes a graph input, writing it a graph output; outside, both act at once. The public `Variable` adds what
users see of it.
"""

import contextlib
import itertools
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from mlkit.core import autograd, locks
from mlkit.core.spec import Spec
from mlkit.core.state import state
from mlkit.core.tensor import Tensor

_numbers = itertools.count()


class BaseVariable:
    """A tensor in a cell. The first value is a Tensor whose memory nobody else may write to."""

    _layout: Any = None  # how the values lie on several devices, a TensorLayout; None: on the device that computes them

    def __init__(self, value: Tensor, trainable: bool = True):
        self.number, self.lock = next(_numbers), threading.RLock()  # held while a value is read, changed and written back
        self._trainable = self.made_trainable = bool(trainable)
        self._value = Tensor(value.data, autograd.new_node())  # tapes know all its values by one number

    def __getattr__(self, name: str) -> Any:
        """`_value` is not there while a program writes into its memory: wait until it is."""
        lock = vars(self).get("lock") if name == "_value" else None
        if lock is not None:
            with lock:
                if "_value" in vars(self):
                    return vars(self)["_value"]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def trainable(self) -> bool:
        """Whether training changes the value."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)

    @property
    def value(self) -> Tensor:
        """The current value, a Tensor."""
        return self.tracked_value()

    def tracked_value(self) -> Tensor:
        """The current value in its own dtype; what gradients with respect to the variable are taken for."""
        return state.top.read(self)

    def write(self, t: Tensor) -> None:
        """Set the value to a Tensor of its shape and dtype, where values are kept just now."""
        if type(t.data) is not Spec:  # a symbolic run computes specs only, and those do not change
            state.top.write(self, t)

    def __getstate__(self) -> dict[str, Any]:
        with self.lock:
            own = self.__dict__.copy()
        del own["lock"], own["number"]
        own.pop("_layout", None)  # a copy lies as what is made where it is made
        return own

    def __setstate__(self, own: dict[str, Any]) -> None:
        """A copy is a variable of its own: locked alone, and another one to tapes."""
        self.__dict__.update(own)
        self.number, self.lock = next(_numbers), threading.RLock()
        self._value = Tensor(state.backend.own(self._value.data), autograd.new_node())

    __hash__ = object.__hash__


def value_of(x: Any) -> Any:
    """The value of a variable in its own dtype, which tapes know it by; anything else as it is."""
    return x.tracked_value() if isinstance(x, BaseVariable) else x


def alone(variables: Sequence[Any]) -> AbstractContextManager[Any]:
    """A block in which no other thread changes these variables, or sees some of them changed and others not.

    Only where what is assigned is theirs at once: a trace and the like belong to one thread, and who makes one waits for no variable.
    """
    if not state.top.assigns:
        return contextlib.nullcontext()
    if len(variables) == 1:
        return variables[0].lock
    return locks.Writing([v.lock for v in dict.fromkeys(variables)])
