# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.export.archive import ExportArchive as ExportArchive
