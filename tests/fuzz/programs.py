"""The fuzz of programs, as a command: ``python -m tests.fuzz.programs --programs 2000 --seed 0``.

Each program runs eagerly and compiled, and a share of them on JAX, in values and gradients. One that fails is made smaller and
printed as a script. What is found depends on the seeds alone, not on how many processes look.
"""

import argparse
import collections
import contextlib
import functools
import multiprocessing
import os
import resource
import signal
import sys
import time

CHUNK = 24  # programs in one compilation of JAX
PART = 20 * CHUNK  # programs that a process is given at a time
SECONDS = 120  # a program that takes longer is a finding too
BYTES = 10 << 30  # of addresses that a process may have: one that takes more would be killed, and its part be lost

ENDING = """
{imports}
arguments = [ops.convert_to_tensor(x) for x in [{inputs}]]
eager = {step}(*arguments)
other = {other}
for e, o in zip(mlkit.tree.flatten(eager), mlkit.tree.flatten(other), strict=True):
    assert (e.shape, e.dtype) == (o.shape, o.dtype)  # {kind}
    np.testing.assert_allclose(np.asarray(e, "float64"), np.asarray(o, "float64"), rtol={rtol})
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
    variables = f"[{', '.join(program.unassigned)}]"
    imports, step = [], "program"
    if program.slopes:
        imports, step = ["from tests.fuzz.program import with_gradients"], f"with_gradients(program, {variables})"
    other = f"mlkit.function({step})(*arguments)"
    if kind.startswith("jax"):
        imports.append("from tests.fuzz.on_jax import judgement")
        other = f"judgement(program, arguments, {variables if program.slopes else None})"
    rtol = 1e-2 if "float16" in program.definition() + program.preparation() else 1e-5
    inputs = ", ".join(program.named("i"))
    ending = ENDING.format(imports="\n".join(imports), inputs=inputs, step=step, other=other, kind=kind, rtol=rtol)
    return program.script(ending)


def run(seeds, exact=False, every=1, shrink=True):
    """The Report for the programs of some seeds. every: JAX judges those whose seeds it divides; 0: none."""
    report = Report()
    for start in range(0, len(seeds), CHUNK * max(every, 1)):
        _chunk(seeds[start : start + CHUNK * max(every, 1)], report, exact, every, shrink)
    return report


def _chunk(seeds, report, exact, every, shrink):
    from tests.fuzz import compare
    from tests.fuzz.draw import Crash, draw

    def failed(seed, found, program):
        if shrink:
            program = _smaller(program, found.kind, exact)
        report.failed(seed, found.kind, str(found), program)

    asked = []
    for seed in seeds:
        report.programs += 1
        program = None
        try:
            with _limited(SECONDS):
                program = draw(seed)
                eager = compare.check(program, exact)
        except _TooLong:
            if program is not None:  # what is slow to draw is only large
                report.failed(seed, "time", f"time: more than {SECONDS} s", program)
        except Crash as crash:
            failed(seed, compare.Disagreement(f"eager {type(crash.error).__name__}", str(crash)), crash.program)
        except compare.Disagreement as found:
            failed(seed, found, program)
        else:
            if every and seed % every == 0 and program.jax:
                asked.append((seed, program, eager))
    for (seed, program, eager), answer in zip(asked, _jax_answers([program for _, program, _ in asked]), strict=True):
        if isinstance(answer, NotImplementedError):  # JAX has no such kernel
            continue
        try:
            compare.agree_with_jax(program, eager, answer, _jax_answer)
            report.judged += 1
        except compare.Disagreement as found:
            failed(seed, found, program)


class _TooLong(BaseException):
    """A program has not come to its end in time."""


@contextlib.contextmanager
def _limited(seconds):
    """A block that ends in _TooLong after so many seconds."""

    def end(*_):
        raise _TooLong

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _jax_answers(programs):
    if not programs:
        return []
    from tests.fuzz import on_jax

    return on_jax.answers([on_jax.of_program(p) for p in programs])


def _jax_answer(program):
    return _jax_answers([program])[0]


def _smaller(program, kind, exact):
    """The smallest program found that fails in the same way."""
    from tests.fuzz.shrink import shrunk

    jax = kind.startswith("jax")  # which takes long for each program
    return shrunk(program, functools.partial(_fails, kind, exact), tries=20 if jax else 200)


def _fails(kind, exact, program):
    from tests.fuzz import compare

    try:
        eager = compare.check(program, exact)
        if kind.startswith("jax"):
            compare.agree_with_jax(program, eager, _jax_answer(program), _jax_answer)
    except compare.Disagreement as found:
        return found.kind == kind
    return False


def _part(chosen, seeds):
    """The Report for a part of the seeds, in this process or one of several."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    report = run(seeds, chosen.exact, chosen.every, chosen.shrink)
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    return report


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="number of the first program")
    parser.add_argument("--jobs", type=int, default=1, help="number of processes")
    parser.add_argument(
        "--exact", action="store_true", help="rounding passes off: compiled results have the bits of eager ones"
    )
    parser.add_argument("--every", type=int, default=3, help="JAX judges one program in so many; 0: none")
    parser.add_argument(
        "--shrink",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="make programs that fail smaller (minutes for large ones)",
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no new part is begun after that time")
    chosen = parser.parse_args(arguments)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if chosen.exact:
        os.environ["MLKIT_EXACT"] = "1"
    seeds = range(chosen.seed, chosen.seed + chosen.programs)
    parts = [seeds[k : k + PART] for k in range(0, len(seeds), PART)]
    started, total = time.time(), Report()
    with multiprocessing.get_context("spawn").Pool(chosen.jobs, maxtasksperchild=10) as pool:
        for found in pool.imap(functools.partial(_part, chosen), parts):
            total.add(found)
            print(*found.scripts, sep="\n", end="", flush=True)
            took = time.time() - started
            print(f"seeds {chosen.seed}-{chosen.seed + total.programs - 1}: {total.judged} asked of JAX as well, {took:.0f} s")
            if took > chosen.seconds:
                break
    print(f"{total.programs} programs, {total.judged} of them agree with JAX; {sum(total.kinds.values())} failed")
    for kind, n in total.kinds.most_common():
        print(f"{n:6} {kind}")
    return bool(total.kinds)


if __name__ == "__main__":
    sys.exit(main())
