"""Node: a transformation as such; Pass: one way through its elements, whose position can be saved."""

from typing import Any

from mlkit.data.pipeline import elements

INFINITE, UNKNOWN = -1, -2  # numbers of elements
INNER = 1 << 32  # more passes than anybody makes: where passes of passes are numbered by one number


class Node:
    """A transformation of `sources`, which are nodes. It does not change: passes over it have what changes.

    A subclass names the class of its passes, `Pass`, and says what it knows of its elements: how many there are and of which kind.
    """

    Pass: Any = None
    name = None  # given by the user
    works_ahead = False  # whether threads make its elements before they are asked for

    def __init__(self, *sources: Any):
        self.sources = sources

    @property
    def source(self) -> Any:
        """The only or first source."""
        return self.sources[0]

    def start(self, epoch: int) -> Any:
        """Pass number `epoch`: random orders and numbers follow from that number."""
        return self.Pass(self, epoch)

    def cardinality(self) -> int:
        """Number of elements, INFINITE or UNKNOWN."""
        return self.source.cardinality()

    def spec(self) -> Any:
        """The kind of the elements: a structure of TensorSpecs."""
        return self.source.spec()

    def at(self, i: int) -> Any:
        """Element number i, of nodes that can be asked for any: see `is_indexed`."""
        raise NotImplementedError

    def block(self, numbers: Any) -> Any:
        """The elements of these numbers (an array or a slice) as a batch, of nodes that can be asked for any."""
        raise NotImplementedError

    @property
    def is_indexed(self) -> bool:
        """Whether elements are asked for by number, so that buffers need to hold numbers only."""
        return type(self).at is not Node.at

    def first_spec(self) -> Any:
        """The kind of the first element."""
        one = self.start(0)
        try:
            return elements.spec_of(next(one))
        except StopIteration:
            raise ValueError(f"{self.title()}: there is no element to tell the kind of elements from.") from None
        finally:
            one.close()

    def title(self) -> str:
        """For messages: what it is, and the name that it was given."""
        own = type(self).__name__.lower()
        return f"{own} {self.name!r}" if self.name else own

    def chain(self) -> str:
        """For `repr`: the transformations up to this one."""
        return " -> ".join([*(s.chain() for s in self.sources[:1]), self.title()])


class Pass:
    """An iterator over the elements of a node. `saved` names the attributes that make its position, beside its sources' positions."""

    saved: tuple[str, ...] = ()

    def __init__(self, node: Any, epoch: int):
        self.node, self.epoch = node, epoch
        self.sources = [source.start(epoch) for source in node.sources]
        self.begin()

    def begin(self) -> None:
        """Set the attributes that change to what they are at first."""

    @property
    def source(self) -> Any:
        return self.sources[0]

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        raise NotImplementedError

    def block(self, count: int) -> Any:
        """The next elements, `count` of them or what is left, as a batch; None at the end."""
        found = []
        for element in self:
            found.append(element)
            if len(found) == count:
                break
        return elements.stack(found) if found else None

    def get_state(self) -> dict[str, Any]:
        """The position, to be given to `set_state` of a new pass of the same number over the same kind of node."""
        own = {name: _copy(getattr(self, name)) for name in self.saved}
        return {"node": type(self.node).__name__, "sources": [s.get_state() for s in self.sources], **own}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go to a position; the pass must be new."""
        self.check_state(state)
        for source, saved in zip(self.sources, state["sources"]):
            source.set_state(saved)
        for name in self.saved:
            setattr(self, name, _copy(state[name]))

    def check_state(self, state: Any) -> None:
        """Raise unless the position is one of a pipeline of this form."""
        own = type(self.node).__name__
        there = state.get("node") if isinstance(state, dict) else None
        if there != own or (self.node.sources and len(state["sources"]) != len(self.sources)):
            raise ValueError(
                f"set_state: the position was saved by another pipeline: it is of {str(there).lower()!r} where this one has "
                f"{self.node.chain()!r}. Build the dataset as it was when the position was saved."
            )

    def close(self) -> None:
        """End what runs in the background."""
        for source in self.sources:
            source.close()


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, (list, dict)) else value
