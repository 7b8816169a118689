"""The kinds of hyper-parameters: what each may be, and how a sampler sees it.

A sampler sees a number, or one of some choices, the *raw* value; `value_of` makes of it what a model is built with.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

SAMPLINGS = ("linear", "log", "reverse_log")
Conditions = tuple[tuple[str, tuple[Any, ...]], ...]
_GRID = 10  # values of a grid for a range of floats without a step


@dataclass(frozen=True)
class Parameter:
    """conditions: (name, values) of parameters that must be so for this one to count."""

    name: str
    conditions: Conditions = ()
    kind: ClassVar[str] = ""

    def distribution(self, optuna: Any) -> Any:
        """As Optuna's samplers see it; None for what is fixed."""
        raise NotImplementedError(f"{type(self).__name__} must define distribution(self, optuna).")

    def value_of(self, raw: Any) -> Any:
        """The value of a raw one."""
        return raw

    def grid(self) -> list[Any]:
        """The raw values that a grid search tries."""
        raise NotImplementedError(f"{type(self).__name__} must define grid(self).")

    @property
    def is_finite(self) -> bool:
        """Whether `grid` has all there are."""
        return True

    @property
    def start(self) -> Any:
        """The value it has where nothing is chosen."""
        raise NotImplementedError(f"{type(self).__name__} must define start.")

    def config(self) -> dict[str, Any]:
        """All that describes it, as plain values."""
        return {"kind": self.kind, **asdict(self)}

    def shown(self) -> str:
        """In words, without its name."""
        return ", ".join(f"{k}={v}" for k, v in asdict(self).items() if k not in ("name", "conditions") and v is not None)


@dataclass(frozen=True)
class Range(Parameter):
    """Numbers from `min_value` to `max_value`, both included. step: with sampling "log" a factor."""

    min_value: float = 0
    max_value: float = 0
    step: float | None = None
    sampling: str = "linear"
    default: float | None = None
    whole: ClassVar[bool] = False

    def __post_init__(self) -> None:
        where = f"hp.{self.kind}({self.name!r})"
        for field in ("min_value", "max_value", "step", "default"):
            value = getattr(self, field)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
            if not is_number and not (value is None and field in ("step", "default")):
                raise ValueError(f"{where}: `{field}` must be a number, but got {value!r}.")
            if self.whole and value is not None and int(value) != value:
                raise ValueError(f"{where}: `{field}` must be a whole number, but got {value!r}.")
        if self.min_value > self.max_value:
            raise ValueError(f"{where}: `min_value` {self.min_value} is above `max_value` {self.max_value}.")
        if self.sampling not in SAMPLINGS:
            raise ValueError(f"{where}: `sampling` must be one of {SAMPLINGS}, but got {self.sampling!r}.")
        if self.sampling != "linear" and self.min_value <= 0:
            raise ValueError(f"{where}: sampling={self.sampling!r} needs a `min_value` above 0, but it is {self.min_value}.")
        if self.sampling == "reverse_log" and self.step is not None:
            raise ValueError(f"{where}: sampling='reverse_log' takes no `step`.")
        if self.step is not None and (self.step <= 0 or (self.sampling != "linear" and self.step <= 1)):
            least = 0 if self.sampling == "linear" else 1
            raise ValueError(f"{where}: `step` must be above {least} with sampling={self.sampling!r}, but it is {self.step}.")
        if self.default is not None and not self.min_value <= self.default <= self.max_value:
            raise ValueError(f"{where}: `default` {self.default} lies outside of [{self.min_value}, {self.max_value}].")

    @property
    def start(self) -> Any:
        return self.min_value if self.default is None else self.default

    @property
    def _steps(self) -> int | None:
        """The number of the last step; None without steps."""
        if self.step is None:
            return None
        last = 0
        while self._at(last + 1) <= self.max_value * (1 + 1e-12) + 1e-300:
            last += 1
        return last

    def _at(self, k: int) -> float:
        return self.min_value + k * self.step if self.sampling == "linear" else self.min_value * self.step**k

    def distribution(self, optuna: Any) -> Any:
        if self.step is not None:
            return optuna.distributions.IntDistribution(0, self._steps)
        kind = optuna.distributions.IntDistribution if self.whole else optuna.distributions.FloatDistribution
        return kind(self.min_value, self.max_value, log=self.sampling != "linear")

    def value_of(self, raw: Any) -> Any:
        if self.step is not None:
            raw = self._at(int(raw))
        elif self.sampling == "reverse_log":
            raw = self.max_value + self.min_value - raw
        return round(raw) if self.whole else float(raw)

    def grid(self) -> list[Any]:
        if self.step is not None:
            return list(range(self._steps + 1))
        if self.whole and self.sampling == "linear":
            return list(range(int(self.min_value), int(self.max_value) + 1))
        low, high, n = self.min_value, self.max_value, _GRID
        log = self.sampling != "linear"
        points = [low * (high / low) ** (k / (n - 1)) if log else low + (high - low) * k / (n - 1) for k in range(n)]
        points[-1] = high
        return list(dict.fromkeys(round(p) if self.whole else p for p in points))

    @property
    def is_finite(self) -> bool:
        return self.step is not None or (self.whole and self.sampling == "linear") or self.min_value == self.max_value


@dataclass(frozen=True)
class Int(Range):
    """Whole numbers."""

    kind: ClassVar[str] = "Int"
    whole: ClassVar[bool] = True


@dataclass(frozen=True)
class Float(Range):
    """Numbers."""

    kind: ClassVar[str] = "Float"


@dataclass(frozen=True)
class Choice(Parameter):
    """One of some values. ordered: whether neighbours are alike, which samplers then know."""

    values: tuple[Any, ...] = ()
    ordered: bool = False
    default: Any = None
    kind: ClassVar[str] = "Choice"

    def __post_init__(self) -> None:
        where = f"hp.{self.kind}({self.name!r})"
        if not self.values:
            raise ValueError(f"{where}: `values` is empty.")
        kinds = {type(v) for v in self.values}
        if not kinds <= {str, int, float, bool} or len(kinds) > 1:
            raise ValueError(f"{where}: `values` must be of one type: str, int, float or bool, but are {list(self.values)}.")
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"{where}: `values` has some twice: {list(self.values)}.")
        if self.ordered and str in kinds:
            raise ValueError(f"{where}: strings have no order (`ordered`).")
        if self.default is not None and self.default not in self.values:
            raise ValueError(f"{where}: `default` {self.default!r} is none of {list(self.values)}.")

    @property
    def start(self) -> Any:
        return self.values[0] if self.default is None else self.default

    def distribution(self, optuna: Any) -> Any:
        if self.ordered:
            return optuna.distributions.IntDistribution(0, len(self.values) - 1)
        return optuna.distributions.CategoricalDistribution(tuple(range(len(self.values))))

    def value_of(self, raw: Any) -> Any:
        return self.values[int(raw)]

    def grid(self) -> list[Any]:
        return list(range(len(self.values)))


@dataclass(frozen=True)
class Fixed(Parameter):
    """A value that is not searched."""

    value: Any = None
    kind: ClassVar[str] = "Fixed"

    def __post_init__(self) -> None:
        if not isinstance(self.value, (str, int, float, bool)):
            raise ValueError(f"hp.Fixed({self.name!r}): `value` must be a str, int, float or bool, but got {self.value!r}.")

    @property
    def start(self) -> Any:
        return self.value

    def distribution(self, optuna: Any) -> None:
        return None

    def value_of(self, raw: Any) -> Any:
        return self.value

    def grid(self) -> list[Any]:
        return [None]


def parameter_of(config: dict[str, Any]) -> Parameter:
    """What `config` described, also where it was JSON in between."""
    own = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items() if k != "kind"}
    own["conditions"] = tuple((parent, tuple(values)) for parent, values in own["conditions"])
    return {cls.kind: cls for cls in (Int, Float, Choice, Fixed)}[config["kind"]](**own)


def changes_of(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[str]:
    """Where two spaces differ, in words."""
    before, now = ({c["name"]: c for c in configs} for configs in (old, new))
    found = [f"{name!r} is gone" for name in before if name not in now]
    found += [f"{name!r} is new" for name in now if name not in before]
    for name in before:
        if name in now and before[name] != now[name]:
            found.append(f"{name!r} was {parameter_of(before[name]).shown()}, now it is {parameter_of(now[name]).shown()}")
    return found
