"""What hands buffers to oneDNN: memory objects, and the calls that work on them. With MLKIT_GUARD=1 these let no primitive see or
touch more than it was given."""

from mlkit.core import debug

if debug.GUARD:
    from mlkit.backends.native.onednn.guard import Memory, address_of, execution
else:
    from mlkit.backends.native.onednn.memory import Memory, address_of
    from mlkit.backends.native.onednn.primitive import execution

__all__ = ["Memory", "address_of", "execution"]
