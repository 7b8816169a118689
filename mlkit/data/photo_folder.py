"""Looking at a folder of photos before training on it: what there is, what cannot be read, what will do harm."""

import collections
import dataclasses
import functools
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.core.machine import usable_cores
from mlkit.core.typing import FilePath
from mlkit.data.decode import fitted, unreadable
from mlkit.data.duplicates import duplicates
from mlkit.data.folder_walk import FolderWalk
from mlkit.data.photo_kinds import advice, readable_formats
from mlkit.data.photo_layout import parts as layout
from mlkit.data.workers import ordered_map
from mlkit.pictures.gallery import Gallery
from mlkit.pictures.picture import Page, Paged
from mlkit.pictures.table import Table
from mlkit.utils.progbar import Progbar

Image = Deferred("PIL.Image")

_PARTS = ("train", "val", "test")
_ODD_RATIO = 3.0  # of the longer side to the shorter
_SMALL_SIDE = 32  # pixels
_THUMBNAIL = (96, 96)
_WORDS = 5  # names in a sentence
_SAMPLED_CLASSES = 60  # on the page

__all__ = ["PhotoFolder", "verify_images"]


@dataclasses.dataclass
class Photo:
    """What is known of one file. error: why it cannot be read, or None. kind: Pillow's name of the format. size: (width, height)."""

    path: str
    part: str
    label: str
    error: str | None = None
    kind: str = ""
    size: tuple[int, int] = (0, 0)
    sample: Any = None


def verify_images(folder: FilePath, smallest_class: int = 10, samples: int = 3, verbose: bool = True) -> "PhotoFolder":
    """Read every photo below a folder, and say what was found.

    Args:
        folder: one sub-folder a class; folders `train`, `val` and `test` that hold such; or photos without classes.
        smallest_class: classes with fewer photos are named.
        samples: photos of each class to show.
        verbose: whether to show progress.

    Returns:
        A `PhotoFolder`, which prints as a summary and is a page in a notebook; `problems` are its findings, `save("photos.html")`
        writes the page.

    Example: `print(verify_images("photos"))`
    """
    walk = FolderWalk(folder, readable_formats())
    paths = walk.files()
    folders = layout(walk.directory)
    parts = {os.path.basename(f): part for f, part in zip(folders, _PARTS) if f is not None and f != walk.directory}
    seen: collections.Counter[Any] = collections.Counter()
    jobs = []
    for path in paths:
        within = os.path.relpath(path, walk.directory).split(os.sep)[:-1]
        part = parts[within.pop(0)] if within and within[0] in parts else ""
        label = within[0] if within else ""
        seen[part, label] += 1
        jobs.append((path, part, label, seen[part, label] <= samples))
    bar = Progbar(len(jobs), unit_name="photo", verbose=1 if verbose else 0)
    photos = []
    for photo in ordered_map(_looked_at, jobs, min(usable_cores(), 16), ahead=64):
        photos.append(photo)
        bar.add(1)
    empty = [] if parts else [name for name in walk.class_folders() if not seen["", name]]
    return PhotoFolder(walk.directory, photos, walk.notes(advice()), dict(walk.others), empty, smallest_class)


def _looked_at(job):
    path, part, label, sampled = job
    photo = Photo(path, part, label)
    try:
        with Image.open(path) as image:
            photo.kind, photo.size = image.format or "", image.size
            image.draft(None, (_THUMBNAIL[0] * 2, _THUMBNAIL[1] * 2))
            image.load()  # all of it: a file may be cut off anywhere
            photo.sample = fitted(image, _THUMBNAIL, "rgb", fit="pad") if sampled else None
    except unreadable() as error:
        photo.error = f"{type(error).__name__}: {str(error).replace(path, os.path.basename(path))}"
    return photo


class PhotoFolder(Paged):
    """What `verify_images` found.

    photos: list of `Photo`. classes: name -> number of photos that can be read. problems: findings in words, the worst first.

    Args:
        folder: its path.
        photos: list of `Photo`.
        notes: findings of the walk, in words.
        others: ending -> how many files with it are no photos.
        empty: names of classes without photos.
        smallest_class: classes with fewer photos are named.
    """

    def __init__(self, folder, photos, notes, others, empty, smallest_class):
        self.folder, self.photos, self.others, self.smallest_class = folder, photos, others, smallest_class
        self.title = f"Photos in {folder}"
        self.good = [p for p in photos if p.error is None]
        self.broken = {p.path: p.error for p in photos if p.error is not None}
        self.classes = dict(sorted(collections.Counter(p.label for p in self.good if p.label).items()))
        parts = collections.Counter(p.part for p in self.good if p.part)
        self.parts = {part: parts[part] for part in _PARTS if part in parts}
        self._notes, self._empty = notes, empty

    @property
    def duplicates(self) -> list[list[str]]:
        """Groups of paths whose files hold the same."""
        return [[p.path for p in group] for group in self._same]

    @functools.cached_property
    def _same(self):
        known = {p.path: p for p in self.good}
        return [[known[path] for path in group] for group in duplicates(known)]

    @property
    def odd(self) -> list[str]:
        """Paths of photos that are more than three times as long as wide, or the other way."""
        return [p.path for p in self.good if max(p.size) > _ODD_RATIO * max(min(p.size), 1)]

    @property
    def problems(self) -> list[str]:
        found = []
        if not self.photos:
            found.append("There are no photos.")
        if self.broken:
            found.append(f"{_files(len(self.broken))} cannot be read: {_few(map(self._short, self.broken))}.")
        same = self._same
        for what, differ in (("parts", lambda p: p.part), ("classes", lambda p: p.label)):
            across = [group for group in same if len({differ(p) for p in group}) > 1]
            if across:
                pairs = _few(" = ".join(self._short(p.path) for p in group[:3]) for group in across)
                found.append(f"{_files(len(across))} in several {what}, the same to the byte: {pairs}.")
        if same:
            copies = sum(len(group) - 1 for group in same)
            found.append(f"{_files(copies)} {'are' if copies > 1 else 'is'} a copy of another.")
        loose = [p.path for p in self.good if not p.label]
        if loose and self.classes:
            found.append(f"{_files(len(loose))} in no sub-folder, so in no class: {_few(map(self._short, loose))}.")
        if self.good and len(self.classes) == 1:
            found.append(f"There is one class only: {next(iter(self.classes))}.")
        if self._empty:
            found.append(f"{_classes(len(self._empty))} without a photo: {_few(self._empty)}.")
        small = [f"{name} ({n})" for name, n in self.classes.items() if n < self.smallest_class]
        if small:
            found.append(f"{_classes(len(small))} with fewer than {self.smallest_class} photos: {_few(small)}.")
        for part in [part for part in self.parts if part != "train"]:
            here, there = ({p.label for p in self.good if p.part == name} for name in (part, "train"))
            if here ^ there:
                found.append(f"{part} and train hold different classes: {_few(sorted(here ^ there))} in one of them only.")
        if self.odd:
            found.append(
                f"{_files(len(self.odd))} more than {_ODD_RATIO:g} times as long as wide: {_few(map(self._short, self.odd))}."
            )
        tiny = [p.path for p in self.good if min(p.size) < _SMALL_SIDE]
        if tiny:
            found.append(f"{_files(len(tiny))} of fewer than {_SMALL_SIDE} pixels a side: {_few(map(self._short, tiny))}.")
        named = [p.path for p in self.good if not _fits_its_name(p)]
        if named:
            found.append(f"{_files(len(named))} of another kind than the name says: {_few(map(self._short, named))}.")
        return found + [f"{note[:1].upper()}{note[1:]}." for note in self._notes]

    def _short(self, path):
        return os.path.relpath(path, self.folder)

    def _kinds(self):
        return collections.Counter(p.kind for p in self.good).most_common()

    def _sizes(self):
        sizes = np.array([p.size for p in self.good])
        if not len(sizes):
            return ""
        (w0, h0), (w, h), (w1, h1) = sizes.min(axis=0), np.median(sizes, axis=0), sizes.max(axis=0)
        return f"{w0} x {h0} to {w1} x {h1} pixels, half of them below {w:.0f} x {h:.0f}"

    def _head(self):
        kinds = ", ".join(f"{n} {kind}" for kind, n in self._kinds())
        parts = f" in {', '.join(f'{part} {n}' for part, n in self.parts.items())}" if self.parts else ""
        others = sum(self.others.values())
        lines = [f"{_files(len(self.good))} of {_classes(len(self.classes))}{parts}: {kinds or 'none'}", self._sizes()]
        lines.append(f"{others} other file{'s' if others != 1 else ''}" if others else "")
        return [line for line in lines if line]

    def _table(self):
        names = sorted({*self.classes, *self._empty})
        if not self.parts:
            return Table(["class", "photos"], [[name, self.classes.get(name, 0)] for name in names], "Classes")
        counts = collections.Counter((p.part, p.label) for p in self.good)
        return Table(
            ["class", *self.parts], [[name, *(counts[part, name] for part in self.parts)] for name in names], "Classes"
        )

    def __str__(self) -> str:
        table = self._table()
        shown = str(table) if len(table) <= 40 else f"{len(table)} classes"
        problems = [f"- {problem}" for problem in self.problems] or ["No problems found."]
        return "\n".join([self.title, *self._head(), "", *([shown, ""] if len(table) else []), *problems])

    def __repr__(self) -> str:
        return f"<PhotoFolder {self.folder!r}: {len(self.good)} photos, {len(self.classes)} classes, {len(self.problems)} problems>"

    def _page(self):
        shown = [p for p in self.good if p.sample is not None]
        labels = list(dict.fromkeys(p.label for p in shown))[:_SAMPLED_CLASSES]
        shown = [p for p in shown if p.label in labels]
        captions = [" / ".join(filter(None, (p.part, p.label))) for p in shown]
        samples = Gallery([p.sample for p in shown], captions, "Samples", hints=[p.path for p in shown])
        parts: list[Any] = [*self._head(), *(self.problems or ["No problems found."]), self._table(), samples]
        if self.broken:
            parts.append(Table(["file", "reason"], [[self._short(p), e] for p, e in self.broken.items()], "Cannot be read"))
        if self.duplicates:
            rows = [[self._short(p) for p in (group[0], group[1])] + [len(group)] for group in self.duplicates]
            parts.append(Table(["file", "copy", "files"], rows, "The same to the byte"))
        return Page(self.title, *parts)

    def get_config(self) -> dict[str, Any]:
        """The findings as JSON holds them."""
        return {
            "folder": self.folder,
            "photos": len(self.good),
            "classes": self.classes,
            "parts": self.parts,
            "kinds": dict(self._kinds()),
            "broken": self.broken,
            "duplicates": self.duplicates,
            "odd": self.odd,
            "problems": self.problems,
        }


def _fits_its_name(photo):
    said = Image.registered_extensions().get(os.path.splitext(photo.path)[1].lower(), photo.kind)
    return said == photo.kind or {said, photo.kind} == {"JPEG", "MPO"}  # MPO: a JPEG that holds several


def _files(count):
    return f"{count} photo{'s' if count != 1 else ''}"


def _classes(count):
    return f"{count} class{'es' if count != 1 else ''}"


def _few(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _WORDS} more" if len(names) > _WORDS else ""
    return ", ".join(names[:_WORDS]) + more
