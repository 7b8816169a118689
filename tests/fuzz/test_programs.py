"""Two thousand programs, the same each time; `python -m tests.fuzz.programs --seed N` runs others."""

import pytest

from tests.fuzz.programs import run

EACH, ALL = 250, 2000


@pytest.mark.parametrize("first", range(0, ALL, EACH))
def test_programs_agree_eagerly_compiled_and_on_jax(first):
    report = run(range(first, first + EACH), every=5)
    assert not report.scripts, "\n\n".join(report.scripts)
    assert report.programs == EACH
    assert report.judged > EACH // 10
