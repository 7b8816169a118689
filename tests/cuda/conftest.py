import pytest

from mlkit.core.backend import _owners
from mlkit.core.state import State, state
from tests.cuda import fake_cupy
from tests.cuda.double import make_gpu, make_reference

_made = {}


def _once(make):
    if make not in _made:
        _made[make] = make()
    return _made[make]


@pytest.fixture
def gpu():
    """A GPU that is not there, not in force."""
    fake_cupy.counts.clear()
    return _once(make_gpu)


@pytest.fixture
def reference():
    """The CPU with the kernels that run on a GPU too."""
    return _once(make_reference)


@pytest.fixture
def use():
    """A function that puts a backend in force until the test ends."""
    before = State.backend, State.kernels

    def use(backend):
        for holder in (State, state):
            holder.backend, holder.kernels = backend, backend.kernels

    yield use
    for holder in (State, state):
        holder.backend, holder.kernels = before


@pytest.fixture(scope="session", autouse=True)
def _forget():
    yield
    _owners.pop(fake_cupy.ndarray, None)
