"""What a bug report should say of the machine, the versions and the settings, and how a paper cites mlkit; both are commands too."""

import argparse
import importlib.metadata
import json
import os
import platform

import mlkit
from mlkit import config
from mlkit.core.machine import usable_cores
from mlkit.core.state import state
from mlkit.utils.console import print_message


def show_config():
    """Print versions, processor, backend, libraries, threads and settings in use, for bug reports.

    >>> import mlkit
    >>> mlkit.show_config()
    mlkit     ...
    """
    lines = config_lines()
    width = max(len(name) for name, _ in lines)
    print("\n".join(f"{name:{width}}  {value}" for name, value in lines))


def config_lines():
    """(name, value) pairs of texts."""
    threads = state.backend.num_threads() or "as many as it likes"
    return [
        ("mlkit", f"{mlkit.__version__}, Python {platform.python_version()}, {platform.platform()}"),
        ("processor", _processor()),
        ("cores", f"{usable_cores()} usable of {os.cpu_count()}; threads: {threads}"),
        *((name, _version(name)) for name in ("numpy", "h5py", "jax", "ray", "pyspark")),
        ("backend", f"{config.backend()}, devices {', '.join(state.backend.devices())}"),
        *state.backend.libraries().items(),
        ("floats", f"{config.floatx()}, policy {config.dtype_policy().name}, epsilon {config.epsilon():g}"),
        ("images", config.image_data_format()),
        ("variables", _variables()),
    ]


def config_command(options: argparse.Namespace) -> int:
    """`python -m mlkit show-config`. The exit status."""
    if options.json:
        print_message(json.dumps(dict(config_lines()), ensure_ascii=False))
    else:
        show_config()
    return 0


def cite_command(options: argparse.Namespace) -> int:
    """`python -m mlkit cite`: an entry for BibTeX, with the version that is installed. The exit status."""
    print_message(
        "@software{mlkit,\n"
        "  author = {{The mlkit developers}},\n"
        "  title = {{mlkit: a Keras-style deep-learning library with an engine of its own}},\n"
        f"  version = {{{mlkit.__version__}}},\n"
        "}"
    )
    return 0


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


_INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16")


def _processor():
    """Its name and the vector instructions that matter to kernels, where the system tells."""
    try:
        with open("/proc/cpuinfo") as file:
            facts = dict(line.split(":", 1) for line in file.read().partition("\n\n")[0].splitlines() if ":" in line)
    except OSError:
        return platform.processor() or platform.machine()
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    found = [name for name in _INSTRUCTIONS if name in facts.get("flags", "").split()]
    return f"{facts.get('model name', platform.machine())} ({' '.join(found) or 'no vector instructions listed'})"


def _variables():
    """Environment variables that change what is computed, or how fast."""
    watched = ("MLKIT_", "OMP_", "OPENBLAS_")
    found = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(watched)]
    return " ".join(found) or "none of MLKIT_*, OMP_*, OPENBLAS_* is set"
