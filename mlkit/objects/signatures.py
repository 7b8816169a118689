"""Arguments that many constructors have in common: written once, and shown in the signature of each."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any


def argument(name: str, default: Any) -> inspect.Parameter:
    """A parameter that may be given by position or by name."""
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)


def with_common(
    init: Callable[..., None], common: Iterable[inspect.Parameter], after: Mapping[str, str] | None = None
) -> Callable[..., None]:
    """`init(self, ..., **kwargs)` with the parameters `common` in its signature too; they reach it by name, in `kwargs`.

    They stand after its positional parameters and before its keyword-only ones, and all may be given by position. Those that it
    names itself are left out. after: {keyword-only parameter: the common one that it follows}.

    >>> def init(self, units, *, seed=None, **kwargs):
    ...     return units, seed, kwargs
    >>> init = with_common(init, [argument("rate", 0.1), argument("axis", -1)], after={"seed": "rate"})
    >>> str(inspect.signature(init))
    '(self, units, rate=0.1, seed=None, axis=-1, **kwargs)'
    >>> init(None, 3, 0.5, 7)
    (3, 7, {'rate': 0.5})
    """
    own = list(inspect.signature(init).parameters.values())
    first = [p for p in own if p.kind is p.POSITIONAL_OR_KEYWORD]
    (rest,) = (p for p in own if p.kind is p.VAR_KEYWORD)
    named, follows = {p.name for p in own}, after or {}
    ordered = [p for p in common if p.name not in named]
    for p in own:
        if p.kind is p.KEYWORD_ONLY:
            place = [q.name for q in ordered].index(follows[p.name]) + 1 if p.name in follows else len(ordered)
            ordered.insert(place, argument(p.name, p.default))
    count, names = len(first), [p.name for p in ordered]

    @functools.wraps(init)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        if len(args) > count:
            args, kwargs = args[:count], _named(init, names, args[count:], kwargs)
        return init(*args, **kwargs)

    wrapper.__signature__ = inspect.Signature([*first, *ordered, rest.replace(name="kwargs")])  # type: ignore[attr-defined]
    return wrapper


def _named(init: Callable[..., None], names: Sequence[str], values: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keywords, with these values of the first names added."""
    if len(values) > len(names):
        raise TypeError(f"{init.__qualname__}() got {len(values) - len(names)} positional arguments too many.")
    given = dict(zip(names, values))
    twice = sorted(given.keys() & kwargs)
    if twice:
        raise TypeError(f"{init.__qualname__}() got multiple values for the arguments {twice}.")
    return {**given, **kwargs}
