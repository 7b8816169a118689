"""StableHLO -> LiteRT's files, by the package litert-converter 0.5, whose calls are undocumented: all of them are here.

It is run as a program of its own, for a mistake in what it is given can end the process::

    python litert_converter.py WORK

WORK/program_N.mlir are texts of StableHLO, WORK/asked.json has `programs`, a list with `name`, `inputs` and `outputs` of
each, and `free`. It writes WORK/N.tflite for each; what went wrong stands in WORK/errors.json, N -> text.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

PACKAGES = 'pip install "mlkit-engine[litert]"'


class ConverterError(Exception):
    """The converter refuses a program; its text says why."""


def convert(programs: Sequence[dict[str, Any]], free: bool = False) -> list[bytes | ConverterError]:
    """Programs of StableHLO as files of LiteRT's.

    Args:
        programs: Of each a dict with `text`, `name` (of its signature), `inputs` and `outputs` (names of both).
        free: Whether sizes are free.

    Returns:
        For each the bytes of its file, or what the converter says against it.

    Raises:
        ImportError: The converter is not installed.
    """
    with tempfile.TemporaryDirectory() as work:
        for i, program in enumerate(programs):
            with open(os.path.join(work, f"program_{i}.mlir"), "w") as file:
                file.write(program["text"])
        told = [{k: list(p[k]) if k != "name" else p[k] for k in ("name", "inputs", "outputs")} for p in programs]
        with open(os.path.join(work, "asked.json"), "w") as file:
            json.dump({"programs": told, "free": free}, file)
        done = subprocess.run([sys.executable, "-P", __file__, work], capture_output=True, text=True, errors="replace")
        if done.returncode == _NOT_INSTALLED:
            raise ImportError(f"export: files of LiteRT are written by litert-converter: {PACKAGES}")
        errors = _read(os.path.join(work, "errors.json"))
        return [_result(work, i, errors, done) for i in range(len(programs))]


def _result(work: str, i: int, errors: dict[str, str], done: Any) -> bytes | ConverterError:
    path = os.path.join(work, f"{i}.tflite")
    if os.path.exists(path) and os.path.getsize(path):  # of what it cannot write it makes an empty file
        with open(path, "rb") as file:
            return file.read()
    said = errors.get(str(i)) or f"its process ended with {done.returncode}: {done.stderr.strip()[-500:]}"
    return ConverterError(said)


def _read(path: str) -> dict[str, str]:
    if not os.path.exists(path):
        return {}
    with open(path) as file:
        return json.load(file)


# ---- in the process of its own --------------------------------------------------------------------------------------------

_NOT_INSTALLED = 3


def _main(work: str) -> None:
    try:
        from litert_converter.mlir import ir, passmanager
        from litert_converter.mlir._mlir_libs import converter_api_ext as api
    except ImportError:
        sys.exit(_NOT_INSTALLED)
    asked, errors = _read(os.path.join(work, "asked.json")), {}
    for i, program in enumerate(asked["programs"]):
        try:
            context = ir.Context()
            api.prepare_mlir_context(context)
            with context, ir.Location.unknown(), open(os.path.join(work, f"program_{i}.mlir")) as file:
                module = ir.Module.parse(file.read())
                api.set_signature(module.operation, program["name"], program["inputs"], program["outputs"])
                config = api.ConvertToTFLConfig()
                config.model_origin_framework = "JAX"
                config.canonicalizing_inf_as_min_max_float = False
                config.unsafe_fuse_dynamic_shaped_broadcast = asked["free"]
                api.run_convert_to_tfl_passes(module, passmanager.PassManager(), config)
                api.export_flatbuffer_to_file(module.operation, os.path.join(work, f"{i}.tflite"))
        except Exception as error:
            errors[str(i)] = f"{type(error).__name__}: {error}"
            with open(os.path.join(work, "errors.json"), "w") as file:
                json.dump(errors, file)


if __name__ == "__main__":
    _main(sys.argv[1])
