"""The fuzz of programs, as a command: ``python -m tests.fuzz.programs --programs 2000 --seed 0``.

Each program runs eagerly, compiled and on JAX, in values and gradients. One that fails is made smaller and printed as a script.
"""

import argparse
import collections
import functools
import multiprocessing
import os
import sys
import time

CHUNK = 24  # programs in one compilation of JAX

ENDING = """
from tests.fuzz.program import with_gradients
arguments = [ops.convert_to_tensor(x) for x in [{inputs}]]
eager = {step}(*arguments)
compiled = mlkit.function({step})(*arguments)
for e, c in zip(mlkit.tree.flatten(eager), mlkit.tree.flatten(compiled)):
    np.testing.assert_allclose(np.asarray(e, "float64"), np.asarray(c, "float64"), rtol={rtol})  # {kind}
"""


class Report:
    """How many programs ran, how many JAX has judged, and those that failed, as scripts."""

    def __init__(self):
        self.programs = self.judged = 0
        self.kinds, self.scripts = collections.Counter(), []

    def add(self, other):
        self.programs, self.judged = self.programs + other.programs, self.judged + other.judged
        self.kinds.update(other.kinds)
        self.scripts += other.scripts

    def failed(self, seed, kind, text, program):
        self.kinds[kind] += 1
        self.scripts.append(f"# program {seed}: {text.splitlines()[0]}\n{script(program, kind)}")


def script(program, kind):
    """The program as a script that fails."""
    inputs = ", ".join(program.named("i"))
    variables = ", ".join(program.unassigned)
    step = f"with_gradients(program, [{variables}])" if program.slopes else "program"
    ending = ENDING if program.slopes else ENDING.replace("from tests.fuzz.program import with_gradients\n", "")
    return program.script(ending.format(inputs=inputs, step=step, rtol=1e-5, kind=kind))


def run(seeds, exact=False, jax=True, shrink=True):
    """The Report for the programs of some seeds."""
    report = Report()
    for start in range(0, len(seeds), CHUNK):
        _chunk(seeds[start : start + CHUNK], report, exact, jax, shrink)
    return report


def _chunk(seeds, report, exact, jax, shrink):
    from tests.fuzz import compare, on_jax
    from tests.fuzz.draw import Crash, draw
    from tests.fuzz.shrink import shrunk

    asked = []
    for seed in seeds:
        report.programs += 1
        try:
            program = draw(seed)
        except Crash as crash:
            report.failed(seed, f"crash {type(crash.error).__name__}", str(crash), crash.program)
            continue
        try:
            eager = compare.check(program, exact)
            if jax and program.jax:
                asked.append((seed, program, eager, on_jax.Question(program)))
        except compare.Disagreement as found:
            small = shrunk(program, functools.partial(compare.has_kind, found.kind, exact)) if shrink else program
            report.failed(seed, found.kind, str(found), small)
    for (seed, program, eager, _), answer in zip(asked, on_jax.answers([q for *_, q in asked]) if asked else []):
        if isinstance(answer, NotImplementedError):  # JAX has no such kernel (LAPACK of half floats)
            continue
        try:
            compare.agree_with_jax(program, eager, answer)
            report.judged += 1
        except compare.Disagreement as found:
            report.failed(seed, found.kind, str(found), program)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="number of the first program")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--exact", action="store_true", help="rounding passes off: compiled results have the bits of eager ones"
    )
    parser.add_argument("--no-jax", action="store_true")
    parser.add_argument("--show", type=int, default=10, help="how many failing programs to print")
    chosen = parser.parse_args(arguments)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    # programs are many and small; and JAX is to round where the program does
    cheap = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true --xla_allow_excess_precision=false"
    os.environ.setdefault("XLA_FLAGS", cheap)
    if chosen.exact:
        os.environ["MLKIT_EXACT"] = "1"
    seeds = range(chosen.seed, chosen.seed + chosen.programs)
    parts = [list(seeds[k : k + 40 * CHUNK]) for k in range(0, len(seeds), 40 * CHUNK)]
    started, total = time.time(), Report()
    work = [(part, chosen.exact, not chosen.no_jax) for part in parts]
    if chosen.jobs == 1:
        for one in work:
            total.add(run(*one))
    else:
        with multiprocessing.get_context("spawn").Pool(chosen.jobs, maxtasksperchild=4) as pool:
            for found in pool.starmap(run, work, chunksize=1):
                total.add(found)
    for text in total.scripts[: chosen.show]:
        print(text)
    print(
        f"{total.programs} programs in {time.time() - started:.0f} s, {total.judged} agree with JAX; {sum(total.kinds.values())} failed"
    )
    for kind, n in total.kinds.most_common():
        print(f"{n:6} {kind}")
    return bool(total.kinds)


if __name__ == "__main__":
    sys.exit(main())
