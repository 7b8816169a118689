"""Files of LiteRT's with weights of 16 or 8 bits, by ai-edge-quantizer 0.10.

It is run as a program of its own, for it prints, and changes warnings, for the whole process::

    python litert_quantizer.py WORK

WORK/float.tflite is the file, WORK/asked.json says `kind`, `signature`, `names`, and how many files WORK/batch_N.npz of
calibration data there are, or null. It writes WORK/smaller.tflite.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence

import numpy as np


def smaller(
    data: bytes, kind: str, signature: str, names: Sequence[str], calibration: Iterable[Sequence[np.ndarray]] | None
) -> bytes:
    """A file with smaller weights; what it takes and gives stays as it is.

    Args:
        data: The file.
        kind: "float16", or "int8": weights of 8 bits, one scale a channel.
        signature: The name of its program.
        names: Of its inputs.
        calibration: Inputs from which the ranges between layers follow, which are of 8 bits then too ("static"); None: what comes
            in is quantized as it comes ("dynamic").

    Raises:
        ImportError: The quantizer is not installed.
        RuntimeError: It refuses the file.
    """
    with tempfile.TemporaryDirectory() as work:
        with open(os.path.join(work, "float.tflite"), "wb") as file:
            file.write(data)
        batches = None
        if calibration is not None:
            batches = 0
            for arrays in calibration:
                np.savez(os.path.join(work, f"batch_{batches}.npz"), *arrays)
                batches += 1
        with open(os.path.join(work, "asked.json"), "w") as file:
            json.dump({"kind": kind, "signature": signature, "names": list(names), "batches": batches}, file)
        done = subprocess.run([sys.executable, "-P", __file__, work], capture_output=True, text=True, errors="replace")
        if done.returncode == _NOT_INSTALLED:
            raise ImportError('export: weights are made smaller by ai-edge-quantizer: pip install "mlkit-engine[litert]"')
        if done.returncode:
            raise RuntimeError(f"export: ai-edge-quantizer refuses the file: {done.stderr.strip()[-500:]}")
        with open(os.path.join(work, "smaller.tflite"), "rb") as file:
            return file.read()


# ---- in the process of its own --------------------------------------------------------------------------------------------

_NOT_INSTALLED = 3
_HALVES = {
    "regex": ".*",
    "operation": "*",
    "algorithm_key": "float_casting",
    "op_config": {
        "weight_tensor_config": {"num_bits": 16, "symmetric": True, "granularity": "TENSORWISE", "dtype": "FLOAT"},
        "compute_precision": "FLOAT",
        "explicit_dequantize": True,
    },
}


def _main(work: str) -> None:
    try:
        from ai_edge_quantizer import qtyping, quantizer, recipe
    except ImportError:
        sys.exit(_NOT_INSTALLED)
    with open(os.path.join(work, "asked.json")) as file:
        asked = json.load(file)
    tool = quantizer.Quantizer(os.path.join(work, "float.tflite"))
    ranges = None
    if asked["kind"] == "float16":
        tool.load_quantization_recipe([_HALVES])
    elif asked["batches"] is None:
        tool.load_quantization_recipe(recipe.dynamic_wi8_afp32())
    else:
        tool.load_quantization_recipe(recipe.static_wi8_ai8())
        for edge in ("INPUT", "OUTPUT"):
            tool.update_quantization_recipe(".*", qtyping.TFLOperationName[edge], algorithm_key="no_quantize")
        batches = (np.load(os.path.join(work, f"batch_{i}.npz")) for i in range(asked["batches"]))
        ranges = tool.calibrate({asked["signature"]: [dict(zip(asked["names"], b.values())) for b in batches]})
    with open(os.path.join(work, "smaller.tflite"), "wb") as file:
        file.write(bytes(tool.quantize(ranges).quantized_model))


if __name__ == "__main__":
    _main(sys.argv[1])
