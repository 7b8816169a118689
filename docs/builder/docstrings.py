"""Docstrings of the library as documents: their arguments completed, their Markdown made reStructuredText."""

import importlib
import inspect
import re
import sys

from docs.builder.common import common

SECTIONS = ("Args", "Returns", "Raises", "Yields", "Example", "Examples", "Note", "References")


def arguments(docstring: str | None) -> dict[str, list[str]]:
    """What a docstring in Google's style says of each argument under "Args:": name -> lines.

    >>> arguments("Add.\\n\\nArgs:\\n    x, y: tensors\\n        of one shape.\\n    name: a word.")
    {'x': ['tensors', 'of one shape.'], 'y': ['tensors', 'of one shape.'], 'name': ['a word.']}
    """
    lines = inspect.cleandoc(docstring or "").splitlines()
    head = next((h for h in ("Args:", "Attributes:") if h in lines), None)  # a record's attributes are its arguments
    if head is None:
        return {}
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in lines[lines.index(head) + 1 :]:
        if line and not line.startswith(" "):
            break
        if entry := re.match(r"    (\*{0,2}\w+(?:, \*{0,2}\w+)*): (.*)", line):
            names = [n.lstrip("*") for n in entry[1].split(", ")]
            for n in names:
                found[n] = [entry[2]]
        elif line.strip():
            for n in names:
                found[n].append(line.strip())
    return found


def explained(value: object, path: str = "") -> dict[str, list[str]]:
    """The explanations of a callable's arguments: its own, those that the bases of a class give of what it takes too, those of
    the weights that a layer declares, those of the callables that its docstring refers to, and what its namespace says of all.

    Args:
        value: a class or function.
        path: its name from `mlkit` on, as "ops.mean".
    """
    found = _own(value)
    wanted = parameters(value)
    for other in _referred_to(value, path):
        for name, text in _own(other).items():
            if name in wanted:
                found.setdefault(name, text)
    for name in wanted:
        if name not in found and name in common(path):
            found[name] = [common(path)[name]]
    return found


def _referred_to(value: object, path: str) -> list[object]:
    """What a docstring names in "the other arguments are those of `X`", or "arguments as in `X`", in its module or namespace."""
    text = " ".join((inspect.unwrap(value).__doc__ or "").split())
    named = re.findall(r"[Aa]rguments\b[^.;:]*? (?:those of|as in|as for) `(\w+)`", text)
    homes = [sys.modules[inspect.unwrap(value).__module__]]
    if home := path.rpartition(".")[0]:
        homes.append(importlib.import_module(f"mlkit.{home}"))
    found = (next((getattr(h, name) for h in homes if hasattr(h, name)), None) for name in named)
    return [other for other in found if callable(other)]


def _own(value: object) -> dict[str, list[str]]:
    if not inspect.isclass(value):
        return arguments(inspect.unwrap(value).__doc__)
    wanted = parameters(value)
    found: dict[str, list[str]] = {}
    for cls in (
        *value.__mro__,
        *getattr(getattr(value, "cell_class", None), "__mro__", ()),
    ):  # a recurrent layer has its cell's
        for own in (vars(cls).get("__doc__"), getattr(vars(cls).get("__init__"), "__doc__", None)):
            for name, text in arguments(own).items():
                if name in wanted:
                    found.setdefault(name, text)
    for name in getattr(getattr(value, "cell_class", None) or value, "_weight_options", ()):
        weight, _, option = name.rpartition("_")
        if name in wanted:
            found.setdefault(name, [f"{option} of the weight `{weight}`: a name, an object or a config."])
    return found


def parameters(value: object) -> list[str]:
    """The arguments that a callable takes by name; what it merely passes on in `kwargs` are not among them."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return []
    passed_on = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [n for n, p in signature.parameters.items() if p.kind not in passed_on and n not in ("self", "cls")]


def completed(value: object, path: str, lines: list[str]) -> list[str]:
    """A docstring with an "Args:" that says all there is to say of the arguments (see `explained`)."""
    own, all_of_them = arguments("\n".join(lines)), explained(value, path)
    added = [n for n in parameters(value) if n in all_of_them and n not in own]
    if not added:
        return lines
    text = []
    groups: dict[tuple[str, ...], list[str]] = {}
    for n in added:
        groups.setdefault(tuple(all_of_them[n]), []).append(n)
    for said, names in groups.items():
        text += [f"    {', '.join(names)}: {said[0]}", *(f"        {more}" for more in said[1:])]
    head = next((h for h in ("Args:", "Attributes:") if h in lines), None)
    if head:
        end = lines.index(head) + 1
        while end < len(lines) and lines[end].startswith("    "):
            end += 1
        return [*lines[:end], *text, *lines[end:]]
    first = next((i for i, line in enumerate(lines) if line.startswith(">>>") or line.rstrip(":") in SECTIONS), len(lines))
    return [*lines[:first], "", "Args:", *text, "", *lines[first:]]


def as_restructured(lines: list[str]) -> list[str]:
    """Markdown's backticks are code in any number; what reStructuredText would take for markup is escaped. Examples stay."""
    found, in_example = [], False
    for line in lines:
        stripped = line.strip()
        begun = in_example
        in_example = stripped.startswith(">>>") or (in_example and stripped != "")
        if in_example:
            if not begun and found and found[-1].strip():
                found.append("")  # a block of its own
            found.append(line)
            continue
        parts = re.split(r"(`+[^`]+`+)", line)
        text = ""
        for part, after in zip(parts, [*parts[1:], ""]):
            text += _code(part) if part.startswith("`") else _escaped(part)
            if part.startswith("`") and after[:1].isalnum():
                text += "\\ "  # the end of code, before a plural's s
        found.append(text)
    return found


def _code(span: str) -> str:
    return f"``{span.strip('`')}``"


def _escaped(text: str) -> str:
    text = re.sub(r"([*|\\])", r"\\\1", text)
    return re.sub(r"(\w)_(?!\w)", r"\1\\_", text)
