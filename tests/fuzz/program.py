"""A program of the fuzz: the text of a function of tensors, and of the arrays it takes.

Text, because then a program that fails is printed by joining its lines, and made smaller by leaving some out.
"""

import ast
import functools
import itertools
import math
import re

import ml_dtypes  # so that NumPy knows bfloat16
import numpy as np

import mlkit
from mlkit import ops
from mlkit.core import dtypes
from mlkit.primitives.catalogue import OPS

HEADER = """import ml_dtypes
import numpy as np
from math import inf, nan
import mlkit
from mlkit import ops
from mlkit.primitives.catalogue import OPS
"""
# first letters of names: arguments, variables, captured arrays; what lines make is called v0, v1 ...
INPUT, VARIABLE, CONSTANT = "i", "w", "c"
HALF = re.compile("""["']b?float16["']""")
HALF_CAST = re.compile(rf"\.astype\({HALF.pattern}\)")


class Refused(Exception):
    """A line does not take these values, as it says in words."""


class Line:
    """One statement. names: what it assigns; text: the expression; jax: whether JAX is its judge, "values" for values alone."""

    def __init__(self, names, text, jax=True):
        self.names, self.text, self.jax = tuple(names), text, jax

    def __repr__(self):
        return f"{', '.join(self.names)} = {self.text}" if self.names else self.text

    @functools.cached_property
    def uses(self):
        """Names in the expression."""
        return {n.id for n in ast.walk(ast.parse(self.text)) if isinstance(n, ast.Name)}

    def renamed(self, names):
        """The line with other names in the place of some."""
        return Line(self.names, re.sub(r"\b[iwcv]\d+\b", lambda m: names.get(m[0], m[0]), self.text), self.jax)


class Program:
    """arrays: name -> expression of a NumPy array; lines; outputs: names; slopes: whether gradients are asked for."""

    def __init__(self, arrays, lines, outputs, slopes):
        self.arrays, self.lines, self.outputs, self.slopes = dict(arrays), list(lines), list(outputs), slopes

    def named(self, letter):
        return [name for name in self.arrays if name[0] == letter]

    @property
    def jax(self):
        """How far JAX judges the whole."""
        kinds = {line.jax for line in self.lines}
        if len(self.unassigned) < len(self.named(VARIABLE)):  # JAX follows what is assigned, tapes begin anew at a variable
            kinds.add("values")
        return False if False in kinds else "values" if "values" in kinds else True

    def definition(self):
        """The function as text."""
        head = f"def program({', '.join(self.named(INPUT))}):"
        last = f"return [{', '.join(self.outputs)}]"
        return "\n    ".join([head, *map(repr, self.lines), last])

    def preparation(self):
        """The text that makes what the function captures."""
        variables = (f"{n} = mlkit.Variable({self.arrays[n]}, dtype={_dtype_of(self.arrays[n])})" for n in self.named(VARIABLE))
        constants = (f"{n} = {self.arrays[n]}" for n in self.named(CONSTANT))
        return "\n".join([*variables, *constants])

    @functools.cached_property
    def _code(self):
        return compile(f"{self.preparation()}\n{self.definition()}\n", "<program>", "exec")

    @functools.cached_property
    def inputs(self):
        """The arrays of the arguments."""
        return [evaluate(self.arrays[n], NAMES) for n in self.named(INPUT)]

    def instance(self):
        """The function with variables and captured arrays of its own, and the variables."""
        names = dict(NAMES)
        exec(self._code, names)
        return names["program"], [names[n] for n in self.named(VARIABLE)]

    def without_slopes(self):
        """The program whose gradients are not asked for."""
        return Program(self.arrays, self.lines, self.outputs, False)

    def widened(self):
        """The program with float32 in the place of half floats, for the same numbers; None if it has no half floats."""
        wide = '"float32"'
        arrays = {n: HALF_CAST.sub(lambda m: f"{m[0]}.astype({wide})", a) for n, a in self.arrays.items()}
        lines = [Line(line.names, HALF.sub(wide, line.text), line.jax) for line in self.lines]
        if arrays == self.arrays and all(a.text == b.text for a, b in zip(lines, self.lines)):
            return None
        return Program(arrays, lines, self.outputs, self.slopes)

    @property
    def unassigned(self):
        """Names of the variables that no line assigns: gradients for the others have no one meaning."""
        return [n for n in self.named(VARIABLE) if not any(line.text.startswith(f"{n}.assign") for line in self.lines)]

    def step(self, function, variables):
        """An instance's function, with gradients where the program asks for them: inputs -> (outputs, gradients)."""
        if not self.slopes:
            return lambda *inputs: (function(*inputs), [])
        return with_gradients(function, self.sources(variables))

    def sources(self, variables):
        """Those of an instance's variables that have gradients."""
        return [v for n, v in zip(self.named(VARIABLE), variables) if n in self.unassigned]

    def script(self, ending):
        """The program as a script that runs by itself; ending: what it asserts."""
        inputs = [f"{n} = {self.arrays[n]}" for n in self.named(INPUT)]
        table = ["from tests.fuzz.program import table"] if any("table" in line.uses for line in self.lines) else []
        parts = [HEADER + "\n".join(table), "\n".join(inputs), self.preparation(), self.definition() + "\n", ending]
        return "\n".join(filter(None, parts))


def evaluate(text, names):
    return eval(text, names)


def _dtype_of(text):
    return repr(dtypes.name_of(evaluate(text, NAMES).dtype))


def table(name, number, arguments):
    """A row of the table of op samples that holds functions, called with other tensors in the place of its arrays."""
    from tests.fuzz.rows import named

    return named(name, number).call(arguments)


def weights(output):
    """The cotangent of an output: numbers that no symmetry makes vanish."""
    return np.linspace(0.5, 1.5, math.prod(output.shape)).reshape(output.shape).astype(output.dtype)


def with_gradients(function, variables):
    """A function of an instance's inputs -> (outputs, gradients of the weighted float outputs for the float inputs and variables)."""

    def step(*inputs):
        sources = [x for x in (*inputs, *variables) if x.dtype in dtypes.FLOATS]
        with mlkit.GradientTape() as tape:
            tape.watch([x for x in sources if not isinstance(x, mlkit.Variable)])
            outputs = function(*inputs)
        targets = [o for o in outputs if is_float(o)]
        return outputs, tape.gradient(targets, sources, list(map(weights, targets)), unconnected_gradients="zero")

    return step


def is_float(x):
    return ops.is_tensor(x) and x.dtype in dtypes.FLOATS


NAMES = dict(ml_dtypes=ml_dtypes, np=np, inf=math.inf, nan=math.nan, mlkit=mlkit, ops=ops, OPS=OPS, table=table)


def fresh(letter, taken):
    """A name of that letter which is not taken."""
    return next(n for n in (f"{letter}{k}" for k in itertools.count()) if n not in taken)
