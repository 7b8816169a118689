"""Which kinds of image files can be read here, and what to do about the others."""

import functools

from PIL import Image, features

from mlkit.core.deferred import Deferred

pillow_heif = Deferred("pillow_heif")  # an optional package

HEIF = (".heic", ".heif")
_ALWAYS = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff")
_WHERE_BUILT_IN = {"webp": (".webp",), "avif": (".avif",), "jpg_2000": (".j2k", ".jp2")}  # Pillow's name of the codec
_RAW = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2")
_OTHERS = {
    **dict.fromkeys(HEIF, "pip install pillow-heif"),
    **dict.fromkeys(_RAW, "raw files of a camera: save them as JPEG"),
    **dict.fromkeys((".eps", ".pdf", ".psd", ".svg"), "no photos: save them as PNG"),
    ".jxl": "save them as JPEG",
}


@functools.cache
def readable_formats() -> tuple[str, ...]:
    """The endings, in small letters, of the image files that can be read with what is installed.

    >>> ".jpg" in readable_formats(), ".txt" in readable_formats()
    (True, False)
    """
    found = [*_ALWAYS, *(e for codec, endings in _WHERE_BUILT_IN.items() if features.check(codec) for e in endings)]
    return tuple(sorted([*found, *HEIF] if _heif_opens() else found))


def advice() -> dict[str, str]:
    """What to do about images that cannot be read: ending -> a few words.

    >>> advice()[".svg"]
    'no photos: save them as PNG'
    """
    unread = {e: f"this Pillow was built without {codec}" for codec, endings in _WHERE_BUILT_IN.items() for e in endings}
    return {ending: words for ending, words in {**unread, **_OTHERS}.items() if ending not in readable_formats()}


def _heif_opens():
    """Whether Pillow opens photos of iPhones, for which pillow-heif has to be installed."""
    try:
        pillow_heif.register_heif_opener()
    except ImportError:
        return ".heic" in Image.registered_extensions()
    return True
