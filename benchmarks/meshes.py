"""mlkit on JAX against Keras on JAX, on a mesh of eight parts of the CPU: the same model, weights, layout and batches.

    python benchmarks/meshes.py [--write] [--rounds 7] [--steps 10] [workload ...]

Both train in one process, turn and turn about. `step`: median over the rounds of the ratio of a round of steps; `first step`: what the
first call of `fit` takes, tracing and compilation included. --write puts the table into docs/performance.md.
"""

import argparse
import datetime
import os
import pathlib
import re
import statistics
import time

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
from workloads import WORKLOADS

import mlkit

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- meshes: written by benchmarks/meshes.py -->", "<!-- end of meshes -->"
TARGET = 1.05


def cut(k, workload):
    """ModelParallel on a mesh of 2 x 4: each kernel is cut at its last axis, if that can be cut into four."""
    model, *_ = WORKLOADS[workload](k)
    k.utils.clear_session()
    layouts = k.distribution.LayoutMap(k.distribution.DeviceMesh((2, 4), ["batch", "model"]))
    for v in model.trainable_variables:
        if len(v.shape) >= 2 and v.shape[-1] % 4 == 0:
            layouts[re.escape(v.path)] = (*[None] * (len(v.shape) - 1), "model")
    return k.distribution.ModelParallel(layout_map=layouts)


WAYS = {"DataParallel": lambda k, workload: k.distribution.DataParallel(), "ModelParallel": cut}


class Trained:
    """A workload on one of the two libraries, and how long its `fit` takes."""

    def __init__(self, k, workload, way):
        self.k = k
        k.utils.clear_session()
        k.utils.set_random_seed(0)
        self.distribution = WAYS[way](k, workload)
        with self.distribution.scope():
            self.model, self.x, self.y, options = WORKLOADS[workload](k)
            self.model.compile(**options)

    def seconds(self, steps):
        """Of a call of `fit` with so many steps: (wall, CPU time of all threads)."""
        start, cpu = time.perf_counter(), time.process_time()
        with self.distribution.scope():
            self.model.fit(_repeated(self.x, self.y, steps), verbose=0, steps_per_epoch=steps)
        return time.perf_counter() - start, time.process_time() - cpu


def _repeated(x, y, steps):
    for _ in range(steps):
        yield x, y


def measured(workload, way, rounds, steps):
    """(ratio of first steps, of steps by wall time, of steps by CPU time, ms of a step of mlkit, of Keras)."""
    both = {}
    for k in (keras, mlkit):
        both[k] = Trained(k, workload, way)
    for v, w in zip(both[mlkit].model.weights, both[keras].model.weights):
        v.assign(w.numpy())
    first = {k: both[k].seconds(1) for k in both}
    found = {k: [] for k in both}
    for k in both:
        both[k].seconds(2)
    for i in range(rounds):
        for k in (keras, mlkit) if i % 2 else (mlkit, keras):
            found[k].append(both[k].seconds(steps))
    ratios = [statistics.median(a[c] / b[c] for a, b in zip(found[mlkit], found[keras])) for c in (0, 1)]
    of_first = [first[mlkit][c] / first[keras][c] for c in (0, 1)]
    return of_first, ratios, *(min(s for s, _ in found[k]) / steps * 1e3 for k in (mlkit, keras))


def cell(value):
    return f"**{value:.2f}**" if value <= TARGET else f"{value:.2f}"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("workloads", nargs="*", default=["mlp", "cifar_resnet", "transformer"])
    arguments.add_argument("--write", action="store_true")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--steps", type=int, default=10)
    given = arguments.parse_args()
    mlkit.config.set_backend("jax")
    jax.jit(lambda x: x + 1)(1.0).block_until_ready()
    head = ["workload", "distribution", "first step, wall (CPU)", "step, wall (CPU)", "mlkit / Keras"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for workload in given.workloads:
        for way in WAYS:
            first, steps, own, theirs = measured(workload, way, given.rounds, given.steps)
            times = [f"{cell(r[0])} ({r[1]:.2f})" for r in (first, steps)]
            lines.append(f"| {' | '.join([workload, way, *times, f'{own:.1f} / {theirs:.1f} ms'])} |")
            print(lines[-1], flush=True)
    if given.write:
        load = os.getloadavg()[0]
        said = (
            f"Last run {datetime.date.today()}: {os.cpu_count()} cores, load {load:.1f} at the end, {given.rounds} rounds of "
            f"{given.steps} steps; keras {keras.__version__}, jax {jax.__version__}. Ratios are mlkit / Keras, targets ≤ {TARGET}."
        )
        text = PAGE.read_text()
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n{said}\n\n" + "\n".join(lines) + f"\n\n{END}{after}")


if __name__ == "__main__":
    main()
