"""Config: named values of a program in one place."""

import difflib
import json
from collections.abc import Iterator, MutableMapping
from typing import Any


class Config(MutableMapping):
    """A dict whose entries are attributes too, and which can be frozen.

    >>> config = Config(rate=0.1)
    >>> config.steps = 100
    >>> config["steps"], config.as_dict()
    (100, {'rate': 0.1, 'steps': 100})
    >>> config.freeze()
    >>> config.rate = 0.2
    Traceback (most recent call last):
    ValueError: Cannot mutate attribute(s) because the config is frozen. (rate; call unfreeze() first.)
    """

    def __init__(self, **kwargs: Any):
        vars(self).update(_config=kwargs, _frozen=False)

    @property
    def frozen(self) -> bool:
        """Whether entries may not change."""
        return self._frozen

    def freeze(self) -> None:
        """Refuse all changes from now on."""
        vars(self)["_frozen"] = True

    def unfreeze(self) -> None:
        """Allow changes again."""
        vars(self)["_frozen"] = False

    def as_dict(self) -> dict[str, Any]:
        """The entries as a dict of their own."""
        return dict(self._config)

    def to_json(self) -> str:
        """The entries as JSON text."""
        return json.dumps(self._config)

    def __getitem__(self, key: str) -> Any:
        return self._config[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._check(key)
        self._config[key] = value

    def __delitem__(self, key: str) -> None:
        self._check(key)
        del self._config[key]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._config))

    def __len__(self) -> int:
        return len(self._config)

    def __getattr__(self, name: str) -> Any:
        if name in vars(self).get("_config", ()):
            return self._config[name]
        near = difflib.get_close_matches(name, vars(self).get("_config", ()), n=1, cutoff=0.7)
        raise AttributeError(f"Unknown attribute: {name!r}." + (f" Did you mean {near[0]!r}?" if near else ""))

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            raise AttributeError(f"Config: {name!r} is a method or property; such an entry can be set as config[{name!r}].")
        self[name] = value

    def __repr__(self) -> str:
        return f"<Config {self._config}>"

    def _check(self, key):
        if self._frozen:
            raise ValueError(f"Cannot mutate attribute(s) because the config is frozen. ({key}; call unfreeze() first.)")
