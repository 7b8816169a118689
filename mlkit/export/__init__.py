"""Models as programs of other runtimes: `Model.export` writes one, `ExportArchive` several."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(__name__, {"mlkit.export.archive": "ExportArchive"})
