"""The fuzz itself: programs are the same each time, scripts run by themselves, wrong numbers are found and rounding is not."""

import contextlib
import re

import numpy as np
import pytest

from mlkit import ops
from tests.fuzz import compare, noise, on_jax, programs
from tests.fuzz.draw import draw
from tests.fuzz.program import Line, Program
from tests.fuzz.programs import main, script
from tests.fuzz.shrink import shrunk

ARRAY = 'np.random.default_rng(0).uniform(-2, 2, (3, 4)).astype("float32")'


def made(*lines, outputs, slopes=False):
    return Program({"i0": ARRAY}, [Line(names, text) for names, text in lines], outputs, slopes)


def test_a_seed_gives_one_program():
    for seed in range(20):
        assert draw(seed).definition() == draw(seed).definition()


def test_a_script_runs_by_itself():
    program = made((["v0"], "ops.exp(i0)"), (["v1"], "v0 * i0"), outputs=["v1"], slopes=True)
    exec(script(program, "compiled output"), {})
    exec(script(program, "jax gradient"), {})


def test_the_command_finds_the_same_in_any_number_of_processes(capfd, monkeypatch):
    monkeypatch.setattr(programs, "PART", 4)
    for jobs in ("1", "2"):
        assert not main(["--programs", "8", "--seed", "40", "--every", "2", "--jobs", jobs, "--exact"])
    first, second = re.findall("^8 programs, (.*); 0 failed$", capfd.readouterr().out, re.MULTILINE)
    assert first == second


def test_half_floats_that_jax_computes_worse_are_no_disagreement():
    program = made((["v0"], "ops.cast(i0, 'float16')"), (["v1"], "v0 * 2"), outputs=["v1"])
    function, _ = program.instance()
    outputs = function(ops.convert_to_tensor(program.inputs[0]))
    eager, wide = compare.Run(outputs, [], []), on_jax.answers([on_jax.of_program(program.widened())])[0]
    worse = [outputs[0].numpy() * np.float16(1.5)], None
    compare.agree_with_jax(program, eager, worse, lambda p: wide)
    with pytest.raises(compare.Disagreement, match="jax output"):
        compare.agree_with_jax(program, compare.Run([outputs[0] * 2], [], []), ([outputs[0].numpy()], None), lambda p: wide)


def test_rounding_is_allowed_where_it_decides_and_nowhere_else():
    program = made((["v0"], "i0 * 1e-6 + 1.0"), (["v1"], "v0 - 1.0"), outputs=["v0", "v1"])
    function, _ = program.instance()
    outputs = function(ops.convert_to_tensor(program.inputs[0]))
    eager = compare.Run(outputs, [], [])

    def moved(k, by):
        return compare.Run([o + by if i == k else o for i, o in enumerate(outputs)], [], [])

    compare.agree(program, eager, moved(1, np.float32(1e-7)), exact=False)  # what is left of 1 + 1e-6 - 1
    for k, by in ((0, 1e-4), (1, 1e-4)):
        with pytest.raises(compare.Disagreement, match="compiled output"):
            compare.agree(program, eager, moved(k, np.float32(by)), exact=False)


def test_what_is_chosen_stays_equal_to_what_it_was_chosen_from():
    lines = (["v0"], "ops.maximum(i0, 0.0)"), (["v1"], "ops.where(v0 == i0, i0 * 1e-6 + 1.0 - 1.0, 0.0)")
    graph, arrays = compare.graph_of(made(*lines, outputs=["v0", "v1"]))
    chosen, left = noise.spread(graph, arrays)
    assert (chosen[arrays[0] > 0] > 0).all()
    assert (left[arrays[0] > 0] > 1e-7).all()
    assert not left[arrays[0] < 0].any()


def test_numbers_that_rounding_decides_are_judged_by_their_array():
    """The logistic map doubles an error in each step: after sixty nothing is left of a number."""
    chaos = "ops.fori_loop(0, {}, lambda k, x: 3.99 * x * (1 - x), ops.sigmoid(i0))"
    graph, arrays = compare.graph_of(made((["v0"], chaos.format(60)), (["v1"], chaos.format(4)), outputs=["v0", "v1"]))
    lost, known = noise.spread(graph, arrays)
    assert (lost == lost.max()).all()
    assert lost.max() > 0.5
    assert (known < 1e-3).all()


def test_exact_mode_allows_no_rounding_but_of_gradients_through_control_flow():
    branches = "ops.cond(ops.sum(i0) > 0, lambda: i0 * i0, lambda: i0 + i0)"
    for text, disagrees in (("i0 * i0", True), (branches, False)):
        program = made((["v0"], text), outputs=["v0"], slopes=True)
        eager = compare.run("eager", program, program.inputs)
        up = [np.nextafter(x.numpy(), np.float32(9)) for x in eager.gradients]
        moved = compare.Run(eager.outputs, list(map(ops.convert_to_tensor, up)), eager.state)
        with pytest.raises(compare.Disagreement) if disagrees else contextlib.nullcontext():
            compare.agree(program, eager, moved, exact=True)


def test_rounding_of_a_scalar_is_allowed_on_jax_too():
    program = made((["v0"], "ops.sum(i0)"), outputs=["v0"])
    function, _ = program.instance()
    outputs = function(ops.convert_to_tensor(program.inputs[0]))
    for by, disagrees in ((4e-6, False), (1e-3, True)):
        answer = [np.asarray(outputs[0].numpy() + np.float32(by))], None
        with pytest.raises(compare.Disagreement) if disagrees else contextlib.nullcontext():
            compare.agree_with_jax(program, compare.Run(outputs, [], []), answer, None)


def test_a_program_is_made_smaller():
    program = made((["v0"], "ops.exp(i0)"), (["v1"], "ops.tanh(v0)"), (["v2"], "v1 * 2"), outputs=["v0", "v2"], slopes=True)
    small = shrunk(program, lambda p: any("tanh" in line.text for line in p.lines))
    assert [line.text for line in small.lines] == ["ops.tanh(i1)"]
    assert not small.slopes
