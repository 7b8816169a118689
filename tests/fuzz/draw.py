"""Draws programs from a seed. A program is drawn while it runs: each line is made for the values there are."""

import math
import random

import numpy as np

import mlkit
from mlkit.core import dtypes, tree
from mlkit.core.tensor import Tensor
from tests.fuzz import glue
from tests.fuzz.program import CONSTANT, INPUT, NAMES, VARIABLE, Line, Program, Refused, evaluate, fresh
from tests.fuzz.rows import REFUSALS, in_bounds, rows
from tests.fuzz.shrink import tidy

FLOATS = ("float32",) * 6 + ("float64",) * 2 + ("bfloat16",) * 3 + ("float16",) * 2
INTS = ("int32",) * 4 + ("int8", "int16", "int64", "uint8", "uint16", "uint32", "uint64", "bool")
# few shapes, so that JAX meets the same calls again; on both sides of the thresholds at 8,192 and 131,072 elements
SHAPES = {
    "tiny": [(), (1,), (5,), (2, 3), (4, 1), (3, 4, 2), (2, 1, 3), (2, 4, 3, 3)],
    "empty": [(0,), (2, 0), (0, 3), (2, 0, 3)],
    "medium": [(8191,), (8192,), (96, 96), (64, 129), (3, 55, 64), (2, 17, 16, 17)],
    "large": [(131072,), (131075,), (257, 512), (8, 128, 129)],
}
SIZES = ("tiny",) * 11 + ("medium",) * 7 + ("empty",) + ("large",)
MOST_RESULTS = 300  # of a line: a program whose lines unstack a long axis takes minutes to compile
SLACK = 4.0  # how far numbers may lie outside what a row of the table would draw


class Crash(Exception):
    """A line failed otherwise. program: up to and with that line."""

    def __init__(self, program, error):
        super().__init__(f"{type(error).__name__}: {error}")
        self.program, self.error = program, error


class Drawing:
    """A program that grows. values: name -> tensor; bounds(name): the smallest and largest of its numbers."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.arrays, self.lines, self.values, self.env = {}, [], {}, dict(NAMES)
        self._bounds = {}
        self.slopes = self.chance(0.6)
        self.size = self.random.choice(SIZES)
        self.shape = self.random.choice(SHAPES[self.size])
        self.dtype = self.random.choice(FLOATS)

    # ---- choices ---------------------------------------------------------------------------------------------------

    def chance(self, p):
        return self.random.random() < p

    def any(self, choices):
        return self.random.choice(choices)

    def some(self, fits):
        """A value that fits, the later ones more likely; None if there is none."""
        found = [n for n, t in self.values.items() if fits(n, t)]
        return found[max(self.random.randrange(len(found)), self.random.randrange(len(found)))] if found else None

    def bounds(self, name):
        if name not in self._bounds:
            a = np.asarray(self.values[name].data)
            a = a.astype("float64") if a.dtype.kind in "fV" or a.dtype.name == "bfloat16" else a
            known = a.size and a.dtype.kind != "c"
            self._bounds[name] = (a.min(), a.max()) if known else (0, 0)
        return self._bounds[name]

    def is_within(self, name, low, high):
        """Whether all its numbers lie there (none is NaN)."""
        least, most = self.bounds(name)
        return bool(low <= least and most <= high)

    # ---- what a program is made of -------------------------------------------------------------------------------------

    def array(self, shape, dtype, bounds=(-2.0, 2.0), letter=None):
        """The name of a new array: an argument, a captured one, or the value of a variable."""
        letter = letter or self.any((INPUT,) * 4 + (CONSTANT,) * 2 + (VARIABLE,))
        seed, (low, high) = self.random.randrange(100), bounds
        if dtype == "bool":
            numbers = f"random({shape}) < 0.5"
            text = f"(np.random.default_rng({seed}).{numbers})"
        elif dtype in dtypes.FLOATS:
            text = f'np.random.default_rng({seed}).uniform({low}, {high}, {shape}).astype("{dtype}")'
        elif dtype in dtypes.COMPLEX:
            text = f'(np.random.default_rng({seed}).uniform({low}, {high}, {(*shape, 2)}) @ [1, 1j]).astype("{dtype}")'
        else:
            low, high = max(int(low), dtypes.limits(dtype)[0]), max(int(high), 2)
            text = f'np.random.default_rng({seed}).integers({low}, {high}, {shape}).astype("{dtype}")'
        return self.given(text, letter)

    def literal(self, array, letter=INPUT):
        """The name of a new array of these numbers."""
        return self.given(
            f"np.array({array.tolist()!r}).reshape({array.shape}).astype({dtypes.name_of(array.dtype)!r})", letter
        )

    def given(self, text, letter):
        name = fresh(letter, self.arrays)
        array = evaluate(text, NAMES)
        if letter == VARIABLE:
            self.env[name] = mlkit.Variable(array, dtype=dtypes.name_of(array.dtype))
        else:
            self.env[name] = mlkit.ops.convert_to_tensor(array) if letter == INPUT or self.chance(0.5) else array
        if letter == CONSTANT and type(self.env[name]) is Tensor:
            text = f"ops.convert_to_tensor({text})"
        self.arrays[name] = text
        self.values[name] = mlkit.ops.convert_to_tensor(array)
        return name

    def tensor(self, name):
        """The expression of a value as a tensor, where a line would compute with a NumPy array by NumPy's rules."""
        return name if type(self.env[name]) is Tensor else f"ops.convert_to_tensor({name})"

    def line(self, text, jax=True):
        """Add a line; names of its results."""
        try:
            result = eval(text, self.env)
        except (MemoryError, *REFUSALS) as error:
            raise Refused(f"{text}: {error}") from error
        except Exception as error:
            raise Crash(self.program([Line((), text)], []), error) from error
        leaves = tree.flatten(result)
        if len(leaves) > MOST_RESULTS:
            raise Refused(f"{text}: {len(leaves)} results")
        if not isinstance(result, (Tensor, list, tuple)) or any(isinstance(x, (list, tuple)) for x in result_of(result)):
            text = f"mlkit.tree.flatten({text})"
        first = len([n for line in self.lines for n in line.names])
        names = [f"v{first + k}" for k in range(len(leaves))]
        if len(names) == 1 and type(result) is not Tensor:
            text = f"({text})[0]"
        self.lines.append(Line(names, text, jax))
        for name, x in zip(names, leaves):
            self.env[name] = x
            if type(x) is Tensor:
                self.values[name] = x
        return names

    def statement(self, text):
        """Add a line without results."""
        exec(text, self.env)
        self.lines.append(Line((), text))

    def program(self, more=(), outputs=()):
        lines = [*self.lines, *more]
        used = set().union(*(line.uses for line in lines), outputs)
        arrays = {n: a for n, a in self.arrays.items() if n in used or n[0] == INPUT}
        return Program(arrays, lines, outputs, self.slopes)


def result_of(result):
    return result if isinstance(result, (list, tuple)) else ()


# ---- a row of the table ----------------------------------------------------------------------------------------------------


def from_table(d):
    """A line by a row of the table, on values that are there where they fit."""
    row = d.any(rows())
    sizes, dtype, integer = _renamed(d, row)
    specs = row.fitted(sizes, dtype, integer)
    if specs is None or row.infer(specs) is None:
        specs = row.fitted({}, "float32", None)
        if row.infer(specs) is None:
            raise Refused(row)
    numbers = None
    names = []
    for k, (spec, maker) in enumerate(zip(specs, row.makers)):
        if maker.bounds is None:
            dtype = next((s.dtype for s, m in zip(specs, row.makers) if m.kind == "float"), "float32")
            numbers = numbers or [a for a in tree.flatten(row.sample.draw(dtype)) if isinstance(a, np.ndarray)]
            names.append(d.literal(numbers[k], d.any((INPUT, INPUT, CONSTANT))))
        else:
            names.append(_fitting(d, spec, maker.bounds))
    if row.sample.op:  # primitives take tensors only
        names = list(map(d.tensor, names))
    jax = row.jax
    if d.slopes and not row.is_smooth:
        if d.chance(0.7) or not row.is_plain:  # loops have no gradient when compiled, and say so
            is_float = [s.dtype in dtypes.FLOATS for s in specs]
            names = [f"ops.stop_gradient({n})" if f else n for n, f in zip(names, is_float)]
        else:
            jax = jax and "values"
    d.line(row.text(names), jax)


def _renamed(d, row):
    """(size in the table -> size here, float dtype, integer dtype): by a value that is there, or as it is."""
    integer = None
    bounds = [m.bounds for m in row.makers if m.kind == "int32" and m.bounds]
    if bounds and d.chance(0.2):
        integer = d.any(INTS)
        if not all(in_bounds(integer, b) for b in bounds):
            integer = None
    flexible = [m for m in row.makers if m.bounds]
    if not flexible or d.chance(0.1):
        return {}, d.dtype, integer
    maker = d.any(flexible)
    name = d.some(lambda n, t: t.ndim == maker_rank(maker) and (t.dtype in dtypes.FLOATS) == (maker.kind == "float"))
    if name is None:
        return {}, d.dtype, integer
    t = d.values[name]
    sizes = {}
    for n, m in zip(maker.shape, t.shape):
        if sizes.setdefault(n, m) != m:
            return {}, t.dtype, integer
    if any(m.kind != "float" for m in row.makers) and any(m < n for n, m in sizes.items()):
        return {}, d.dtype, integer  # numbers that may be indices
    return sizes, t.dtype if maker.kind == "float" else d.dtype, integer


def maker_rank(maker):
    return len(maker.shape)


def _fitting(d, spec, bounds):
    """A value of that spec with numbers within bounds: one that is there, or a new one."""
    low, high = bounds
    slack = SLACK if spec.dtype in dtypes.FLOATS else 0
    if slack:
        low, high = (
            (low - slack, high + slack) if low < 0 else (low / slack, 1 - (1 - high) / slack if high < 1 else high * slack)
        )
    else:
        high -= 1
    name = d.some(lambda n, t: t.shape == spec.shape and t.dtype == spec.dtype and d.is_within(n, low, high))
    return name if name is not None and d.chance(0.8) else d.array(spec.shape, spec.dtype, bounds)


# ---- whole programs ----------------------------------------------------------------------------------------------------------


def draw(seed, lines=(1, 9)):
    """The program of a seed."""
    d = Drawing(seed)
    for _ in range(d.random.randint(1, 3)):
        dtype = d.dtype if d.chance(0.7) else d.any(INTS) if d.chance(0.6) else d.any(FLOATS)
        shape = (
            d.shape if d.chance(0.7) else tuple(1 if d.chance(0.4) else n for n in d.shape[d.random.randint(0, len(d.shape)) :])
        )
        d.array(shape, dtype, (-2.0, 2.0) if dtype in dtypes.FLOATS else (-4, 9), INPUT)
    wanted = d.random.randint(*lines)
    for _ in range(3 * wanted):
        step = from_table if d.chance(0.45) else d.any(glue.STEPS)
        try:
            step(d)
        except Refused:
            continue
        if len(d.lines) >= wanted:
            break
    made = [n for line in d.lines for n in line.names if n in d.values and _is_comparable(d, n)]
    outputs = d.random.sample(made, min(len(made), d.random.randint(1, 4)))
    if made and made[-1] not in outputs:
        outputs.append(made[-1])
    if d.chance(0.15):
        outputs.append(d.any([n for n in d.values if n[0] != VARIABLE]))  # an argument, or something twice
    return tidy(d.program((), outputs))


def _is_comparable(d, name):
    return math.prod(d.values[name].shape) <= 400_000
