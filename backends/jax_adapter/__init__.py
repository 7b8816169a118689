"""JAX as a second opinion on the native engine, and as a backend of its own."""

try:
    import jax
except ImportError as error:
    raise ImportError(
        'The "jax" backend needs the package JAX, which is not installed. Install it with: pip install jax'
    ) from error

from mlkit.backends.jax_adapter.backend import JaxBackend


def make_backend():
    """The backend."""
    return JaxBackend()
