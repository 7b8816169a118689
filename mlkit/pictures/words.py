"""Names of any length and in any script, in HTML and in figures."""

import contextlib
import functools
import os
from collections.abc import Iterator

from mlkit.core.deferred import Deferred

html, logging = Deferred("html"), Deferred("logging")  # these take longer to import than this module
font_manager = Deferred("matplotlib.font_manager")

# Fonts that have what matplotlib's own lacks: Chinese, Japanese, Korean, emoji. Those that are installed are used.
_OTHERS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei",
    "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans", "Hiragino Sans GB", "Heiti SC", "Arial Unicode MS", "IPAGothic",
    "Malgun Gothic", "Apple SD Gothic Neo", "Noto Emoji", "Segoe UI Emoji", "Segoe UI Symbol", "Symbola", "Unifont", "Unifont Upper",
)  # fmt: skip
_FILES = (  # with which the names of their files begin
    "notosanscjk", "notosanssc", "sourcehansans", "wqy", "msyh", "simhei", "pingfang", "hiragino", "arialuni", "ipag", "malgun",
    "notoemoji", "seguiemj", "seguisym", "symbola", "unifont",
)  # fmt: skip
_MISSING = "a figure lacks characters of its names, for no font has them: install one, for example Noto Sans CJK or Noto Emoji"


def escaped(text) -> str:
    """Text as HTML shows it. What no encoding has (names of files in a strange one) becomes "?"."""
    return html.escape(str(text).encode("utf-8", "replace").decode("utf-8"))


def shorter(text, most: int = 28) -> str:
    """A text of no more than so many characters: its middle gives way.

    >>> shorter("a photo of a very small cat", 15)
    'a photo…all cat'
    """
    text = " ".join(str(text).split())
    if len(text) <= most:
        return text
    return text[: most // 2] + "…" + text[len(text) - (most - 1 - most // 2) :]


def in_figure(text, most: int = 28) -> str:
    """A name as matplotlib draws it: short, and a dollar sign is a dollar sign and begins no formula."""
    return shorter(text, most).replace("$", r"\$")


@functools.cache
def families() -> list[str]:
    """Names of fonts for matplotlib: its own, and those behind it that have what it lacks."""
    known = set(font_manager.get_font_names())
    if not known.intersection(_OTHERS):  # it lists the fonts once, and does not notice what is installed later
        for path in font_manager.findSystemFonts():
            if os.path.basename(path).lower().replace("-", "").startswith(_FILES):
                with contextlib.suppress(NotImplementedError, RuntimeError, OSError):  # of a kind it cannot draw
                    font_manager.fontManager.addfont(path)
        known = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in _OTHERS if name in known)]


def missing_glyphs(warning) -> str | None:
    """What to say instead of matplotlib's warning, if it is one of characters that no font has."""
    return _MISSING if "missing from" in str(warning.message) and "Glyph" in str(warning.message) else None


@contextlib.contextmanager
def any_weight() -> Iterator[None]:
    """Within, matplotlib does not report that a font which stands in for its own has another weight than the one asked for."""

    def is_news(record):
        text = record.getMessage()
        return not ("font weight" in text and any(name in text for name in _OTHERS))

    log = logging.getLogger("matplotlib.font_manager")
    log.addFilter(is_news)
    try:
        yield
    finally:
        log.removeFilter(is_news)
