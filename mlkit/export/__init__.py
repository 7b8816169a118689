"""Models as programs of other runtimes. The door is `Model.export`."""

from mlkit.core.lazy_import import offer

_ABSENT = {"ExportArchive": "a file has one program, `model.export(path)`. See docs/export.md."}
__all__, __getattr__, __dir__ = offer(__name__, {}, _ABSENT)
