"""The fuzz itself: programs are the same each time, scripts run by themselves, wrong numbers are found and rounding is not."""

import numpy as np
import pytest

from mlkit import ops
from tests.fuzz import compare
from tests.fuzz.draw import draw
from tests.fuzz.program import Line, Program
from tests.fuzz.programs import script
from tests.fuzz.shrink import shrunk

ARRAY = 'np.random.default_rng(0).uniform(-2, 2, (3, 4)).astype("float32")'


def made(*lines, outputs, slopes=False):
    return Program({"i0": ARRAY}, [Line(names, text) for names, text in lines], outputs, slopes)


def test_a_seed_gives_one_program():
    for seed in range(20):
        assert draw(seed).definition() == draw(seed).definition()


def test_a_script_runs_by_itself():
    program = made((["v0"], "ops.exp(i0)"), (["v1"], "ops.tanh(v0)"), outputs=["v1"], slopes=True)
    exec(script(program, "test"), {})


def test_rounding_is_allowed_where_it_decides_and_nowhere_else():
    program = made((["v0"], "i0 * 1e-6 + 1.0"), (["v1"], "v0 - 1.0"), outputs=["v0", "v1"])
    function, _ = program.instance()
    outputs = function(ops.convert_to_tensor(program.inputs[0]))
    eager = compare.Run(outputs, [], [])

    def moved(k, by):
        return compare.Run([o + by if i == k else o for i, o in enumerate(outputs)], [], [])

    compare.agree(program, "moved", eager, moved(1, np.float32(1e-7)), compare.near)  # what is left of 1 + 1e-6 - 1
    for k, by in ((0, 1e-4), (1, 1e-4)):
        with pytest.raises(compare.Disagreement, match="moved output"):
            compare.agree(program, "moved", eager, moved(k, np.float32(by)), compare.near)


def test_a_program_is_made_smaller():
    program = made((["v0"], "ops.exp(i0)"), (["v1"], "ops.tanh(v0)"), (["v2"], "v1 * 2"), outputs=["v0", "v2"], slopes=True)
    small = shrunk(program, lambda p: any("tanh" in line.text for line in p.lines))
    assert [line.text for line in small.lines] == ["ops.tanh(i1)"] and not small.slopes
