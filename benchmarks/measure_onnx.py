"""Measure inference of one workload in ONNX Runtime; prints one line of JSON. The net is exported from PyTorch first.

python benchmarks/measure_onnx.py WORKLOAD [--seconds S]
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

from timing import median_ms, peak_mb, print_result


def measure(file, seconds):
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    x = np.load(file + ".npy")
    return dict(
        predict_ms=median_ms(lambda: session.run(None, {"x": x}), seconds),
        call1_ms=median_ms(lambda: session.run(None, {"x": x[:1]}), seconds),
        rss_mb=peak_mb(),
    )


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("workload")
    options.add_argument("--seconds", type=float, default=3.0)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = str(pathlib.Path(folder, "net.onnx"))
        script = pathlib.Path(__file__).with_name("measure_torch.py")  # in a process of its own: its memory is not counted
        subprocess.run([sys.executable, script, given.workload, "--onnx", file], check=True, stdout=subprocess.DEVNULL)
        print_result(**measure(file, given.seconds / 2))
