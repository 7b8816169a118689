"""Models behind HTTP: an ASGI application, the server that `mlkit serve` starts, and folders for the servers of others."""

from mlkit.core.lazy_import import offer

_HOMES = {
    ".application": "app",
    ".publishing": "publish",
    ".ray_serve": "ray_app",
    ".repository": "write_repository",
}
__all__, __getattr__, __dir__ = offer(__name__, _HOMES)
