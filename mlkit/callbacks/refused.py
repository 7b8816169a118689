"""Callbacks of Keras that write formats of other libraries."""

from mlkit.objects.refused import refused

OrbaxCheckpoint = refused(
    "OrbaxCheckpoint",
    "Orbax writes the arrays of JAX programs. Use ModelCheckpoint for files that Keras reads too, or BackupAndRestore to go on "
    "after an interruption.",
)
