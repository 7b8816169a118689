"""Measure one workload, written by hand in PyTorch, in this process; prints one line of JSON (fields of measure_keras.py).

    python benchmarks/measure_torch.py WORKLOAD [--compile] [--seconds S] [--onnx FILE]

--compile: through torch.compile. --onnx: only export the net for ONNX Runtime, and one sample and a batch beside it.
"""

import argparse

from timing import clock, median_ms, peak_mb, print_result

start = clock()
import torch  # noqa: E402  (its import is timed)

import_s = clock() - start
from torch_nets import task  # noqa: E402


def measure(workload, compile, seconds):
    begin = clock()
    job = task(workload)
    forward = torch.compile(job.net) if compile else job.net
    optimizer = job.make_optimizer()

    def features(x):
        if job.frozen is None:
            return x
        with torch.no_grad():
            return job.frozen(x)

    def step():
        job.net.train()
        loss = job.loss(forward(features(job.x)), job.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def predict(x):
        job.net.eval()
        with torch.inference_mode():
            return forward(features(x)).numpy()

    found = dict(loss=step(), first_s=clock() - begin, fit_ms=median_ms(step, seconds))
    found["predict_ms"] = median_ms(lambda: predict(job.x), seconds / 2)
    found["call1_ms"] = median_ms(lambda: predict(job.x[:1]), seconds / 2)
    return dict(found, rss_mb=peak_mb())


def export(workload, file):
    """Write the net as ONNX, its batch size free, and its batch as .npy beside it."""
    import numpy as np

    job = task(workload)
    names = dict(input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
    torch.onnx.export(job.whole.eval(), (job.x[:2],), file, dynamo=False, opset_version=17, **names)
    np.save(file + ".npy", job.x.contiguous().numpy())


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("workload")
    options.add_argument("--compile", action="store_true")
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--onnx", metavar="FILE")
    given = options.parse_args()
    if given.onnx:
        export(given.workload, given.onnx)
    else:
        print_result(import_s=import_s, **measure(given.workload, given.compile, given.seconds))
