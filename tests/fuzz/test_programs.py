"""Two thousand programs, the same each time, most of them with the long sweeps; `python -m tests.fuzz.programs --seed N` runs others."""

import pytest

from tests.fuzz.programs import run

EACH, QUICK, ALL = 125, 500, 2000


@pytest.mark.parametrize(
    "first", [*range(0, QUICK, EACH), *(pytest.param(k, marks=pytest.mark.slow) for k in range(QUICK, ALL, EACH))]
)
def test_programs_agree_eagerly_compiled_and_on_jax(first):
    report = run(range(first, first + EACH), every=5)
    assert not report.scripts, "\n\n".join(report.scripts)
    assert report.programs == EACH
    assert report.judged > EACH // 10
