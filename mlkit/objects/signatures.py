"""Arguments that many constructors have in common: written once, and shown in the signature of each."""

import functools
import inspect


def argument(name, default):
    """A parameter that may be given by position or by name."""
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)


def with_common(init, common, after=None):
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
    named = {p.name for p in own}
    ordered = [p for p in common if p.name not in named]
    for p in own:
        if p.kind is p.KEYWORD_ONLY:
            place = [q.name for q in ordered].index(after[p.name]) + 1 if p.name in (after or {}) else len(ordered)
            ordered.insert(place, argument(p.name, p.default))
    count, names = len(first), [p.name for p in ordered]

    @functools.wraps(init)
    def wrapper(*args, **kwargs):
        if len(args) > count:
            args, kwargs = args[:count], _named(init, names, args[count:], kwargs)
        return init(*args, **kwargs)

    wrapper.__signature__ = inspect.Signature([*first, *ordered, rest.replace(name="kwargs")])
    return wrapper


def _named(init, names, values, kwargs):
    """The keywords, with these values of the first names added."""
    if len(values) > len(names):
        raise TypeError(f"{init.__qualname__}() got {len(values) - len(names)} positional arguments too many.")
    given = dict(zip(names, values))
    twice = sorted(given.keys() & kwargs)
    if twice:
        raise TypeError(f"{init.__qualname__}() got multiple values for the arguments {twice}.")
    return {**given, **kwargs}
