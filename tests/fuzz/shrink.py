"""A smaller program that fails in the same way."""

from mlkit.core import dtypes
from mlkit.core.tensor import Tensor
from tests.fuzz.program import INPUT, Program, fresh


def shrunk(program, fails, tries=200):
    """The smallest program found by leaving out outputs and lines while `fails(program)` holds."""
    left = tries
    smaller = True
    while smaller and left > 0:
        smaller = False
        for candidate in _candidates(program):
            left -= 1
            if left <= 0:
                break
            if _size(candidate) < _size(program) and fails(candidate):
                program, smaller = candidate, True
                break
    return program


def _size(program):
    return len(program.lines), len(program.outputs), program.slopes


def _candidates(program):
    if program.slopes:
        yield tidy(program.without_slopes())
    made = [n for line in program.lines for n in line.names]
    for name in dict.fromkeys([*program.outputs, *made]):
        yield tidy(Program(program.arrays, program.lines, [name], program.slopes))
    for k, line in enumerate(program.lines):
        others = [*program.lines[:k], *program.lines[k + 1 :]]
        if not line.names:
            yield tidy(Program(program.arrays, others, program.outputs, program.slopes))
        elif program.outputs != list(line.names):
            yield from _replaced(program, k, others)


def _replaced(program, k, others):
    """The program with new arrays in the place of what a line makes."""
    function, _ = Program(program.arrays, program.lines[: k + 1], program.lines[k].names, False).instance()
    from mlkit.ops import convert_to_tensor

    try:
        values = function(*map(convert_to_tensor, program.inputs))
    except Exception:  # then it is this line that fails
        return
    arrays, names = dict(program.arrays), {}
    for name, value in zip(program.lines[k].names, values):
        if type(value) is not Tensor or value.dtype in dtypes.COMPLEX:
            return
        names[name] = fresh(INPUT, arrays)
        low, high = (-2, 2) if value.dtype in dtypes.FLOATS else (0, 2)
        draw = "uniform" if value.dtype in dtypes.FLOATS else "integers"
        arrays[names[name]] = f'np.random.default_rng(0).{draw}({low}, {high}, {value.shape}).astype("{value.dtype}")'
    lines = [line.renamed(names) for line in others]
    yield tidy(Program(arrays, lines, [names.get(o, o) for o in program.outputs], program.slopes))


def tidy(program):
    """The program without lines and arrays that nothing needs (but statements, which change variables)."""
    needed, kept = set(program.outputs), []
    for line in reversed(program.lines):
        if not line.names or needed & set(line.names):
            needed |= line.uses
            kept.append(line)
    arrays = {n: a for n, a in program.arrays.items() if n in needed}
    return Program(arrays, kept[::-1], program.outputs, program.slopes)
