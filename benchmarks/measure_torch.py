"""Measure one workload, written by hand in PyTorch, in this process; prints one line of JSON (fields of measure_keras.py).

    python benchmarks/measure_torch.py WORKLOAD [--compile] [--limit S] [--seconds S] [--onnx FILE]

--compile: net and loss, forward and backward, through torch.compile, and the net for inference once more; the optimizer stays
the fused one. Figures whose first call takes longer than the limit (240 s) are left out; limit_s says what it was.
--onnx: only export the net for ONNX Runtime, and one sample and a batch beside it.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile

from timing import clock, median_ms, peak_mb, print_result

start = clock()
import torch  # noqa: E402  (its import is timed)

import_s = clock() - start
from torch_nets import task  # noqa: E402


def measure(workload, seconds, ready=lambda f: f, limit=0):
    """ready: what is done to a function or module before it runs; limit: seconds a first call may take, or 0."""
    begin = clock()
    job = task(workload)
    net, frozen = ready(job.whole), job.frozen and ready(job.frozen)
    loss_of = ready(lambda x, y: job.loss(job.net(x), y))
    optimizer = job.make_optimizer()

    def features(x):
        if frozen is None:
            return x
        with torch.no_grad():
            return frozen(x)

    def step():
        job.net.train()
        loss = loss_of(features(job.x), job.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def predict(x):
        job.net.eval()
        with torch.inference_mode():
            return net(x).numpy()

    found = {}
    parts = dict(fit_ms=step, predict_ms=lambda: predict(job.x), call1_ms=lambda: predict(job.x[:1]))
    for field, run in parts.items():
        first = in_time(limit, run)
        if first is None:
            continue
        if run is step:
            found.update(loss=first, first_s=clock() - begin)
        found[field] = median_ms(run, seconds if run is step else seconds / 2)
    return dict(found, rss_mb=peak_mb())


class TooLate(BaseException):
    """No Exception, since a compiler takes these for errors of its own."""


def in_time(limit, run):
    """What run() returns, or None if that takes longer than the limit (seconds; 0 for none)."""

    def leave(*_):
        raise TooLate

    signal.signal(signal.SIGALRM, leave)
    signal.alarm(limit)
    try:
        return run()
    except TooLate:
        return None
    finally:
        signal.alarm(0)


def measure_compiled(workload, seconds, limit):
    """As `measure`, through torch.compile with nothing in its caches."""
    if not shutil.which(os.environ.get("CXX", "g++")):
        sys.exit("no C++ compiler (g++)")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        return dict(measure(workload, seconds, torch.compile, limit), limit_s=limit)


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
    options.add_argument("--limit", type=int, default=240)
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--onnx", metavar="FILE")
    given = options.parse_args()
    if given.onnx:
        export(given.workload, given.onnx)
    elif given.compile:
        print_result(import_s=import_s, **measure_compiled(given.workload, given.seconds, given.limit))
    else:
        print_result(import_s=import_s, **measure(given.workload, given.seconds))
