"""Call: a user's function of tensors as a function of elements, with the random numbers of its element."""

from typing import Any

from mlkit.core import tree
from mlkit.core.interpreter import on_shapes
from mlkit.core.spec import Dim, Spec, show
from mlkit.core.tensor import Tensor, from_numpy
from mlkit.data.pipeline import elements
from mlkit.data.pipeline.elements import STRING, DatasetSpec, Strings, TensorSpec, is_node, to_element
from mlkit.data.pipeline.node import UNKNOWN, Node
from mlkit.data.randomness import Keyed, key_of


class Call:
    """Called with (pass, number, element) it gives the element that the function makes of an element.

    what: for messages. seed: of random numbers in it; own_seeds: whether those of its seed generators count too. dataset: the class
    that datasets within elements are shown as.
    """

    def __init__(self, function: Any, what: str, seed: int, dataset: Any, own_seeds: bool = True):
        if not callable(function):
            raise TypeError(f"{what}: expected a function of an element, but got {function!r}.")
        self.function, self.what, self.seed, self.dataset = function, what, seed, dataset
        self.keyed = Keyed(function, own_seeds)

    def __call__(self, task: tuple[int, int, Any]) -> Any:
        epoch, number, element = task
        try:
            return to_element(self.keyed(lambda: key_of(self.seed, epoch, number), *self.arguments(element)))
        except StopIteration as error:  # it would end the dataset in silence
            raise RuntimeError(f"{self.what}: the function raised StopIteration at element {number}.") from error
        except Exception as error:
            error.add_note(f"in {self.what}, at element {number}: {elements.spec_of(element)}")
            raise

    def arguments(self, element: Any) -> tuple[Any, ...]:
        """What the function is called with: the parts of a tuple one by one."""
        shown = present(element, self.dataset)
        return shown if type(shown) is tuple else (shown,)

    def spec(self, node: Any) -> Any:
        """The kind of the results of a node's elements: found by running on shapes, else by running on the first one."""
        source = node.source.spec()
        try:
            symbols = tree.map_structure(lambda s: _symbol(s, self.dataset), source)
            with on_shapes():
                found = self.keyed.function(*(symbols if type(symbols) is tuple else (symbols,)))
            return _spec_of_result(found)
        except Exception:  # it looks at values, works on strings, or fails, which the first element will show
            return _of_any_size(source, node.first_spec())


def present(element: Any, dataset: Any) -> Any:
    """An element as users see it: tensors, `Strings` and datasets."""
    return tree.map_structure(lambda x: _presented(x, dataset), element)


def _presented(leaf: Any, dataset: Any) -> Any:
    if leaf is None:
        return None
    if is_node(leaf):
        return dataset(leaf)
    return leaf.view(Strings) if leaf.dtype == object else from_numpy(leaf)


def _symbol(spec: Any, dataset: Any) -> Any:
    if spec is None:
        return None
    if isinstance(spec, DatasetSpec):
        return dataset(_OfKind(spec.element_spec))
    if spec.dtype == STRING or spec.shape is None:
        raise TypeError("no symbol can stand for it")
    return Tensor(Spec((Dim() if n is None else n for n in spec.shape), spec.dtype))


class _OfKind(Node):
    """A dataset of which only the kind of its elements is known."""

    def __init__(self, spec: Any):
        super().__init__()
        self._spec = spec

    def cardinality(self):
        return UNKNOWN

    def spec(self):
        return self._spec


def _spec_of_result(leaf: Any) -> Any:
    if isinstance(leaf, (tuple, dict)):
        return tree.map_structure_up_to(elements.shallow(leaf), _spec_of_result, leaf)
    if type(leaf) is Tensor:
        return TensorSpec(show(leaf.shape), leaf.dtype)
    if hasattr(leaf, "element_spec"):
        return DatasetSpec(leaf.element_spec)
    return elements.spec_of(to_element(leaf))


def _of_any_size(source: Any, found: Any) -> Any:
    """The kind of the first result, for any size of batch where the source's batches have any size."""
    leading = {s.shape[0] for s in tree.flatten(source) if isinstance(s, TensorSpec) and s.shape}
    if leading != {None}:
        return found
    return elements.map_spec(lambda s: TensorSpec((None, *s.shape[1:]), s.dtype) if s.shape else s, found)
