"""The text of every kernel is compiled for the architectures that are supported; none may keep values in memory for want of registers."""

import datetime
import json
import pathlib
import re

import pytest

from mlkit.backends.native.cuda.chain import ChainKernel
from mlkit.backends.native.cuda.expressions import HELPERS
from mlkit.backends.native.cuda.module import Modules, compiled, whole_text
from mlkit.backends.native.tiled_chain import in_single
from mlkit.core.spec import Spec
from tests.cuda.test_attention import kernels_of_attention
from tests.cuda.test_cells import kernels_of_cells
from tests.cuda.test_chains import ALL, LONG
from tests.cuda.test_cudnn_rnn import kernels_of_weights
from tests.cuda.test_kernels import kernels_of_cases
from tests.cuda.test_movement import kernels_of_copies
from tests.cuda.test_multi_chain import kernels_of_chains

nvrtc = pytest.importorskip(
    "cupy", reason='NVRTC comes with CuPy: pip install "mlkit-engine[cuda]"', exc_type=ImportError
).cuda.nvrtc

TABLE = pathlib.Path(__file__).with_name("registers.json")
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
ALWAYS = ("sm_75", "sm_90", "sm_120")  # all kernels take half a minute each; the others have a day each
IN_TURN = [a for a in ARCHITECTURES if a not in ALWAYS]
TODAY = [*ALWAYS, IN_TURN[datetime.date.today().toordinal() % len(IN_TURN)]]


def texts(cases):
    kernels = [ChainKernel(in_single(chain, specs), specs) for chain, specs in cases]
    return {k.name: k.text for k in kernels}


def log_of(text, architecture):
    """What the assembler says of the kernels of a text."""
    program = nvrtc.createProgram(HELPERS + text, "mlkit.cu", (), ())
    nvrtc.compileProgram(program, [f"--gpu-architecture={architecture}", "--std=c++17", "--ptxas-options=-v"])
    return nvrtc.getProgramLog(program)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_chains(architecture):
    few = [(chain, [Spec((64,), d) for d in operands]) for _, operands, _, chain in ALL[:: 1 if architecture == "sm_90" else 9]]
    broadcast = [(LONG, [Spec(s, "float32") for s in shapes]) for shapes in ([(5, 37)] * 3, [(3, 1, 4), (2, 1), (3, 2, 4)])]
    found = texts(few + broadcast)
    log = log_of("".join(found.values()), architecture)
    assert len(re.findall(r"Used \d+ registers", log)) == len(found)
    assert [n for n in re.findall(r"(\d+) bytes spill", log) if int(n)] == []


def registers(architecture):
    """(name of each kernel -> registers that a thread takes, bytes that were spilled)"""
    kernels = [*kernels_of_cases().values(), *kernels_of_cells().values(), *kernels_of_chains().values()]
    kernels += [*kernels_of_attention().values(), *kernels_of_copies().values(), *kernels_of_weights().values()]
    log = log_of(whole_text(kernels)[len(HELPERS) :], architecture)
    found = dict(re.findall(r"Compiling entry function '(\w+)'.*?Used (\d+) registers", log, re.DOTALL))
    assert set(found) == {k.name for k in kernels}
    return {name: int(n) for name, n in found.items()}, sum(int(n) for n in re.findall(r"(\d+) bytes spill", log))


@pytest.mark.parametrize("architecture", TODAY)
def test_kernels(architecture):
    """As many registers as the table has, which `python -m tests.cuda.record_registers` writes: who changes a kernel sees what it costs."""
    found, spilled = registers(architecture)
    assert spilled == 0
    assert max(found.values()) <= 128
    table = json.loads(TABLE.read_text())
    if table["NVRTC"] == list(nvrtc.getVersion()):  # others take a few more or less
        known = {name: row[ARCHITECTURES.index(architecture)] for name, row in table["registers"].items()}
        assert {name: n for name, n in found.items() if known.get(name) != n} == {}


def test_machine_code_is_kept_and_a_refused_text_is_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("MLKIT_HOME", str(tmp_path))
    calls = []

    def compile(text):
        calls.append(text)
        return compiled(nvrtc, text, "sm_90")

    class Loaded:
        def __init__(self, code):
            assert code[:4] == b"\x7fELF"

        def get_function(self, name):
            return name

    kernel = ChainKernel(LONG, [Spec((5, 37), "float32")] * 3)
    for _ in range(2):  # two processes
        modules = Modules(compile, Loaded, "sm_90")
        modules.want(kernel)
        assert modules.function(kernel.name) == kernel.name
    assert len(calls) == 1
    with pytest.raises(RuntimeError, match="NVRTC refuses kernels for sm_90:[^$]*nonsense"):
        compiled(nvrtc, "nonsense", "sm_90")
