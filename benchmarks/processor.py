"""The processor that is measured on: its name, and settings by which one with AVX-512 is used as one without."""

import datetime
import os
import platform

WHOLE, AVX2 = "whole", "avx2"  # kinds of processor, by which figures are kept
SETTINGS = {  # of the environment of each process
    WHOLE: {},
    AVX2: {
        "ONEDNN_MAX_CPU_ISA": "AVX2",  # mlkit's, PyTorch's and TensorFlow's
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",  # PyTorch's own kernels, and code that torch.compile writes
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}
WORDS = {WHOLE: "used as it is", AVX2: "used as a processor without AVX-512"}


def name():
    """What the system calls the processor."""
    with open("/proc/cpuinfo") as file:
        names = (line.split(":")[1].strip() for line in file if "model name" in line)
        return next(names, platform.processor())


def about(kind=WHOLE):
    """When and on what a run began: for the head of its tables."""
    return (
        f"{datetime.date.today()}: {name()}, {WORDS[kind]}, {len(os.sched_getaffinity(0))} cores, "
        f"load {os.getloadavg()[0]:.1f} before it began"
    )


def add_option(options):
    """The option of a benchmark that measures on both kinds; `kind` is what was chosen."""
    words = "no instructions of AVX-512, by settings of all libraries"
    options.add_argument("--avx2", action="store_const", const=AVX2, default=WHOLE, dest="kind", help=words)
