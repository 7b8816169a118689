"""Signatures as the source has them: `TensorLike`, where Python shows a union of eight classes."""

import inspect
import re
import types
import typing

from sphinx.util.inspect import safe_getattr
from sphinx.util.typing import stringify_annotation

from mlkit.core import typing as house
from mlkit.dtype_policies import DTypeOrPolicy

_MEMBERS = {  # name of an alias -> what its union consists of
    name: frozenset(typing.get_args(value))
    for name, value in {**vars(house), "DTypeOrPolicy": DTypeOrPolicy}.items()
    if name[0].isupper() and typing.get_origin(value) in (typing.Union, types.UnionType) and len(typing.get_args(value)) > 2
}


def shown(value: object) -> tuple[str, str] | None:
    """(arguments in brackets, type of the result) of a class or function, or None where it has no signature."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return None
    kept = [p for n, p in signature.parameters.items() if n not in ("self", "cls")]
    text, before = [], None
    for p in kept:
        if p.kind is p.KEYWORD_ONLY and before not in (p.KEYWORD_ONLY, p.VAR_POSITIONAL):
            text.append("*")
        if before is p.POSITIONAL_ONLY and p.kind is not p.POSITIONAL_ONLY:
            text.append("/")
        text.append(_parameter(p))
        before = p.kind
    if before is inspect.Parameter.POSITIONAL_ONLY:
        text.append("/")
    returned = "" if inspect.isclass(value) or signature.return_annotation is signature.empty else signature.return_annotation
    return f"({', '.join(text)})", "" if returned == "" else _annotation(returned)


def _parameter(p: inspect.Parameter) -> str:
    text = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "") + p.name
    if p.annotation is not p.empty and p.annotation is not typing.Any:
        text += f": {_annotation(p.annotation)}"
    if p.default is not p.empty:
        text += f" = {_default(p.default)}" if ":" in text else f"={_default(p.default)}"
    return text


def _default(value: object) -> str:
    if inspect.isclass(value) or inspect.isroutine(value):
        return safe_getattr(value, "__name__", "...")
    said = repr(value)
    return "..." if said.startswith("<") or len(said) > 40 else said


def _annotation(annotation: object) -> str:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = frozenset(typing.get_args(annotation))
        known = [n for n, m in _MEMBERS.items() if m <= members]
        if known:
            name = max(known, key=lambda n: len(_MEMBERS[n]))
            rest = [a for a in typing.get_args(annotation) if a not in _MEMBERS[name]]
            return " | ".join([name, *("None" if a is type(None) else _annotation(a) for a in rest)])
    return re.sub(r"~?(?:\w+\.)+(\w+)", r"\1", stringify_annotation(annotation, "smart"))  # without modules
