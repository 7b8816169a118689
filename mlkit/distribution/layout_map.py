"""LayoutMap: the layouts of variables by their paths, and what it makes of a model."""

import difflib
import re
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.mesh import DeviceMesh, TensorLayout
from mlkit.core.spec import size_of
from mlkit.pictures.table import Table

_NEAREST = 3  # paths that a message names


class LayoutMap(MutableMapping):
    """Layouts by keys, which are regular expressions that match the whole path of a variable, or a layer's path and "/output".

    Args:
        device_mesh: The mesh of layouts that have none of their own.

    >>> import mlkit
    >>> mesh = mlkit.distribution.DeviceMesh((1, 1), ["batch", "model"], ["cpu:0"])
    >>> layouts = LayoutMap(mesh)
    >>> layouts[".*dense.*kernel"] = (None, "model")  # a tuple stands for the layout
    >>> layouts["net/dense_3/kernel"].axes
    (None, 'model')
    >>> layouts["net/dense_3/bias"] is None
    True
    """

    def __init__(self, device_mesh: DeviceMesh):
        self._layout_map: dict[str, TensorLayout] = {}
        self._device_mesh = device_mesh
        self._used: set[str] = set()  # keys that have had a match

    @classmethod
    def shard_largest_axis(cls, device_mesh: DeviceMesh, axis: str, min_size: int = 1024) -> "LayoutMap":
        """A map that needs no keys: each variable is cut in equal parts at its largest axis that can be, so that no device holds all
        weights and all of the optimizer's state (FSDP, ZeRO stage 3).

        Args:
            device_mesh: The mesh.
            axis: Its axis along which variables are cut; the batch may lie along the same.
            min_size: Variables with fewer elements stay whole.

        Returns:
            The map. What keys are put into it go before this rule.
        """
        return _LargestAxis(device_mesh, axis, min_size)

    @property
    def device_mesh(self) -> DeviceMesh:
        return self._device_mesh

    def __getitem__(self, key: str) -> TensorLayout | None:
        """The layout of the key itself, or of the one key that matches it as a regular expression; None if none does.

        Raises:
            ValueError: Several keys match.
        """
        found = self.key_of(key)
        return None if found is None else self._layout_map[found]

    def key_of(self, path: str) -> str | None:
        """The key that a path matches, or None. ValueError if there are several."""
        if path in self._layout_map:
            return path
        found = [key for key in self._layout_map if re.fullmatch(key, path)]
        if len(found) > 1:
            raise ValueError(
                f"LayoutMap: {path!r} matches {len(found)} keys, {', '.join(map(repr, found))}. Make them so that each path matches one "
                "at most."
            )
        return found[0] if found else None

    def __setitem__(self, key: str, layout: TensorLayout | Sequence[str | None]) -> None:
        if key in self._layout_map:
            raise ValueError(f"LayoutMap: there is a layout for {key!r} already, {self._layout_map[key]}. Delete it first.")
        try:
            re.compile(key)
        except (re.error, TypeError) as error:
            raise ValueError(f"LayoutMap: a key must be a regular expression, but {key!r} is none: {error}.") from None
        if isinstance(layout, (tuple, list)):
            layout = TensorLayout(layout)
        if not isinstance(layout, TensorLayout):
            raise ValueError(f"LayoutMap: the layout for {key!r} must be a TensorLayout or a tuple, but got {layout!r}.")
        if layout.device_mesh is None and self._device_mesh is not None:
            layout.device_mesh = self._device_mesh
        self._layout_map[key] = layout

    def __delitem__(self, key: str) -> None:
        del self._layout_map[key]

    def __len__(self) -> int:
        return len(self._layout_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout_map)

    def layout_of(self, path: str, shape: Sequence[int] | None = None) -> TensorLayout | None:
        """The layout of what stands at a path, noted as used; shape: that of a variable."""
        key = self.key_of(path)
        if key is None:
            return None if shape is None else self._rule(shape)
        self._used.add(key)
        return self._layout_map[key]

    def _rule(self, shape):
        """The layout of a variable that no key matches."""
        return None

    _rule_name = "(none)"

    def check(self, paths: Sequence[str]) -> None:
        """Raise ValueError if a key has matched nothing so far. paths: those of variables that there are, to name the nearest."""
        for key in self._layout_map:
            if key not in self._used:
                nearest = ", ".join(map(repr, _nearest(key, paths))) or "none, for there are no variables"
                raise ValueError(
                    f"LayoutMap: the key {key!r} matches no variable, so nothing would lie as it says. Keys are regular expressions "
                    f"that match a whole path (layout_map.explain(model) lists all). The nearest paths are {nearest}."
                )

    def explain(self, model: Any) -> "Explanation":
        """How the variables of a model lie by this map.

        Args:
            model: A built model, or anything that has `variables`.

        Returns:
            An `Explanation`, which prints as a table: each variable, the key that it matched, the number of its parts, the bytes of it
            that a device holds. Keys that match none are named below, with the nearest paths.

        Raises:
            ValueError: A variable matches several keys, or does not fit its layout.

        >>> import mlkit
        >>> mesh = mlkit.distribution.DeviceMesh((1,), ["model"], ["cpu:0"])
        >>> layouts = LayoutMap(mesh)
        >>> layouts[".*/kernel"] = (None, "model")
        >>> model = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(2, name="head")], name="net")
        >>> print(layouts.explain(model))
        variable         shape   key        layout           shards  bytes a device
        net/head/kernel  (4, 2)  .*/kernel  (None, 'model')       1              32
        net/head/bias    (2,)    (none)     (None,)               1               8
        all                                                       -              40
        """
        rows, used = [], set()
        for variable in model.variables:
            shape, key = tuple(variable.shape), self.key_of(variable.path)
            used.add(key)
            layout = self._layout_map[key] if key is not None else self._rule(shape)
            name = key if key is not None else self._rule_name if layout is not None else LayoutMap._rule_name
            layout = layout or TensorLayout((None,) * len(shape), self._device_mesh)
            layout.check(shape, f"Variable {variable.path!r}")
            nbytes = size_of(shape) * dtypes.itemsize(variable.value.dtype)
            rows.append((variable.path, shape, name, layout.axes, layout.num_shards, nbytes // layout.num_shards))
        paths = [row[0] for row in rows]
        return Explanation(rows, {key: _nearest(key, paths) for key in self._layout_map if key not in used})


class _LargestAxis(LayoutMap):
    def __init__(self, device_mesh, axis, min_size):
        super().__init__(device_mesh)
        TensorLayout((axis,), device_mesh)  # refuses an axis that is none of the mesh's
        self.axis, self.min_size = axis, min_size

    _rule_name = "(largest axis)"

    def _rule(self, shape):
        parts = self.device_mesh.size_of(self.axis)
        fitting = [i for i, n in enumerate(shape) if n and n % parts == 0]
        if not fitting or size_of(shape) < self.min_size:
            return None
        largest = max(fitting, key=lambda i: shape[i])
        return TensorLayout([self.axis if i == largest else None for i in range(len(shape))], self.device_mesh)


class Explanation:
    """What `LayoutMap.explain` found.

    rows: a tuple (path, shape, key, axes, shards, bytes a device) of each variable. unmatched: key -> the nearest paths, of keys that
    match no variable.
    """

    def __init__(self, rows: list[tuple[Any, ...]], unmatched: dict[str, list[str]]):
        self.rows, self.unmatched = rows, unmatched

    @property
    def bytes_per_device(self) -> int:
        """Bytes of all variables that each device holds."""
        return sum(row[-1] for row in self.rows)

    def __str__(self) -> str:
        table = Table(
            ["variable", "shape", "key", "layout", "shards", "bytes a device"],
            [
                *([p, str(s), k, str(a), n, b] for p, s, k, a, n, b in self.rows),
                ["all", "", "", "", "-", self.bytes_per_device],
            ],
        )
        return "\n".join(
            [str(table), *(f"{key!r} matches no variable; nearest: {near}" for key, near in self.unmatched.items())]
        )

    __repr__ = __str__


def _nearest(key, paths):
    return difflib.get_close_matches(re.sub(r"[\\.*+?^$()|\[\]]+", "", key), paths, _NEAREST, cutoff=0.0)
