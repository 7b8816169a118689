"""What can only be checked on a GPU, in six minutes at most: python tests/cuda/on_device.py [--out FILE]

Needs a machine with an NVIDIA GPU, the packages of the extra `cuda` and pytest, but no network. Each part runs in a process of its own
with a time limit, for a kernel that fails may take its process with it, and the JSON is written after each: what was found by then is kept.
Numbers of parts that did not run stay away. `--double` runs all of it over the double of CuPy, which tells nothing of GPUs but that this
file comes to its end.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "benchmarks"))
SECONDS = 360


# ---- parts: functions (Machine) -> dict of what was found ----------------------------------------------------------------


class Machine:
    """The backends that parts compute with. is_double: there is no GPU; quick: as little as comes to its end."""

    def __init__(self, is_double, quick):
        from tests.cuda.double import make_gpu, make_reference

        self.is_double, self.quick = is_double, quick
        if is_double:
            self.gpu = make_gpu()
        else:
            import mlkit.backends.native.cuda as cuda
            from mlkit.core.backend import get_backend

            if not cuda.names():
                raise RuntimeError(f"there is no GPU to be used: {cuda.libraries()}")
            self.gpu = cuda.backend("cuda:0", get_backend("native"))
        self.reference = make_reference()

    def use(self, backend):
        from mlkit.core.state import State, state

        for holder in (State, state):
            holder.backend, holder.kernels = backend, backend.kernels


def versions(machine):
    """Of the libraries, with their paths; the device's own description."""
    import platform

    import mlkit
    from mlkit.backends.native import cuda
    from mlkit.backends.native.cuda.library import describe

    xp = machine.gpu.xp
    properties = xp.cuda.runtime.getDeviceProperties(0)
    return {
        "mlkit": mlkit.__version__, "python": platform.python_version(), "libraries": cuda.libraries(),
        "device": describe(xp, 0), "compute_capability": f"{properties['major']}.{properties['minor']}",
        "properties": {k: v for k, v in properties.items() if isinstance(v, int)},
    }  # fmt: skip


def samples(machine, share=(0, 1)):
    """Every op of the sample table, eager and staged, float32 exact: as on the CPU."""
    import mlkit
    from tests.cuda import test_samples as table

    mlkit.config.set_float32("exact")
    number, of = share
    cases = [(r, False) for r in table.ROWS] + [(r, True) for r in table.STAGED]
    cases = cases[number::of]
    wrong = {}
    for row, staged in cases[:: 100 if machine.quick else 1]:
        try:
            table.compare(row, machine.gpu, machine.reference, staged)
        except Exception as error:
            wrong[f"{row.name}{' staged' if staged else ''} {len(wrong)}"] = f"{type(error).__name__}: {error}"[:300]
    return {"run": len(cases[:: 100 if machine.quick else 1]), "wrong": wrong}


def first_steps(machine):
    """Three steps of networks: losses and weights as on the CPU, so the gradients are."""
    import numpy as np

    import mlkit
    from tests.cuda.test_steps import three_steps

    mlkit.config.set_float32("exact")
    found = {}
    for policy in ("float32", "mixed_bfloat16"):
        mlkit.config.set_dtype_policy(policy)
        for name in ("mlp",) if machine.quick else ("mlp", "convnet", "lstm", "cifar_resnet", "transformer"):
            wanted, weights = three_steps(name, machine.reference, machine.use)
            losses, own = three_steps(name, machine.gpu, machine.use)
            found[f"{name} {policy}"] = {
                "losses": losses, "on the CPU": wanted,
                "largest difference of a weight": float(max(np.abs(a - b).max() for a, b in zip(own, weights))),
            }  # fmt: skip
    mlkit.config.set_dtype_policy("float32")
    return found


def captured(machine):
    """Graphs, kernels launched one by one, and the CPU over 50 steps with dropout."""
    import numpy as np

    import mlkit
    from mlkit.core import debug
    from tests.cuda.test_captured import losses_of

    mlkit.config.set_float32("exact")
    steps, found = 6 if machine.quick else 50, {}
    for name, backend, capture in (
        ("graph", machine.gpu, True), ("kernels", machine.gpu, False), ("cpu", machine.reference, True),
    ):  # fmt: skip
        debug.CAPTURE = capture
        losses, weights = losses_of(backend, machine.use, steps)
        found[name] = losses, np.concatenate([w.ravel() for w in weights])
    debug.CAPTURE = True
    return {
        "steps": steps,
        "graph equals kernels to the bit": bool((found["graph"][1] == found["kernels"][1]).all()),
        "largest difference to the CPU": float(np.abs(found["graph"][1] - found["cpu"][1]).max()),
        "losses": found["graph"][0][-3:],
    }


def demo(machine):
    """The README's demo: digits."""
    from mlkit import datasets, utils
    from mlkit.demo import build_model

    machine.use(machine.gpu)
    utils.set_random_seed(1)
    (x, y), (tx, ty) = datasets.digits.load_data(test_size=500, seed=1)
    epochs = 1 if machine.quick else 5
    if machine.quick:
        x, y, tx, ty = x[:128], y[:128], tx[:64], ty[:64]
    model = build_model(steps=epochs * -(-len(x) // 64))
    start = time.perf_counter()
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    _, accuracy = model.evaluate(tx, ty, batch_size=250, verbose=0)
    return {"accuracy": float(accuracy), "seconds": time.perf_counter() - start, "epochs": epochs}


def kernels(machine):
    """Kernels against what the memory and the multiplication units can do."""
    import numpy as np

    import mlkit
    from mlkit import ops

    machine.use(machine.gpu)
    n = 1 << (10 if machine.quick else 26)
    rows = 8 if machine.quick else 8192
    x = ops.convert_to_tensor(np.ones(n, "float32"))
    table = ops.convert_to_tensor(np.ones((rows, 1024 if not machine.quick else 16), "float32"))
    found = {}
    for name, f, arg, nbytes in (
        ("copy", lambda x: x + 0.0, x, 8 * n),
        ("chain", lambda x: ops.tanh(x) * x + 1.0, x, 8 * n),
        ("softmax", ops.softmax, table, 8 * table.size),
        ("layer norm", lambda t: ops.layer_normalization(t), table, 8 * table.size),
    ):
        try:
            seconds = timed(machine, mlkit.function(f), arg)
            found[name] = {"GB/s": nbytes / seconds / 1e9, "ms": 1e3 * seconds}
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"[:300]
    side = 16 if machine.quick else 8192
    for dtype, mode in (("float32", "exact"), ("float32", "tf32"), ("bfloat16", "tf32")):
        mlkit.config.set_float32(mode)
        a = ops.cast(ops.ones((side, side)), dtype)
        seconds = timed(machine, mlkit.function(lambda a: a @ a), a, steps=5)
        found[f"product of {side} {dtype} {mode}"] = {"TFLOP/s": 2 * side**3 / seconds / 1e12, "ms": 1e3 * seconds}
    return found


def timed(machine, f, *args, steps=20):
    """Seconds of a call in a row of them."""
    for _ in range(3):
        f(*args)
    machine.gpu.synchronize()
    start = time.perf_counter()
    for _ in range(2 if machine.quick else steps):
        f(*args)
    machine.gpu.synchronize()
    return (time.perf_counter() - start) / (2 if machine.quick else steps)


def steps(machine):
    """Times of training steps, with the memory that they take."""
    import mlkit
    from tests.cuda.test_steps import workloads

    machine.use(machine.gpu)
    pool, found = machine.gpu.xp.get_default_memory_pool(), {}
    for policy in ("float32", "mixed_bfloat16"):
        mlkit.config.set_dtype_policy(policy)
        for name in ("mlp",) if machine.quick else ("mlp", "convnet", "lstm", "cifar_resnet", "transformer"):
            try:
                model, x, y, compiled = getattr(workloads, name)(mlkit)
                model.compile(**compiled)
                x, y = (mlkit.ops.convert_to_tensor(a) for a in ((x[:4], y[:4]) if machine.quick else (x, y)))
                start = time.perf_counter()
                model.train_on_batch(x, y)
                first = time.perf_counter() - start
                step = model._training.program(model, "train")
                seconds = timed(machine, step, (x, y))
                (programs, *_) = step.programs.values()
                found[f"{name} {policy}"] = {
                    "batch": len(x), "first step s": first, "step ms": 1e3 * seconds, "pool bytes": pool.total_bytes(),
                    "forecast bytes": programs[0].plan.peak_bytes,
                }  # fmt: skip
            except Exception as error:
                found[f"{name} {policy}"] = f"{type(error).__name__}: {error}"[:300]
    mlkit.config.set_dtype_policy("float32")
    return found


def pytorch(machine):
    """The same steps written by hand in PyTorch, where it is there: channels_last, fused optimizers, autocast."""
    try:
        import torch
    except ImportError:
        return {"left out": "PyTorch is not installed"}
    if not torch.cuda.is_available():
        return {"left out": "PyTorch sees no GPU"}
    from torch_nets import task

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    found = {"PyTorch": torch.__version__}
    for policy in ("float32", "mixed_bfloat16"):
        for name in ("mlp", "convnet", "lstm", "cifar_resnet", "transformer"):
            job = task(name)
            job.net.cuda().train()
            job.x, job.y, optimizer = job.x.cuda(), job.y.cuda(), job.make_optimizer()

            def step(job=job, optimizer=optimizer, is_half=policy != "float32"):
                with torch.autocast("cuda", torch.bfloat16, enabled=is_half):
                    loss = job.loss(job.net(job.x), job.y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

            torch.cuda.reset_peak_memory_stats()
            for _ in range(3):
                step()
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(20):
                step()
            torch.cuda.synchronize()
            found[f"{name} {policy}"] = {
                "step ms": 50 * (time.perf_counter() - start), "peak bytes": torch.cuda.max_memory_allocated(),
            }  # fmt: skip
    return found


PARTS = {  # name -> (function, seconds, processes)
    "versions": (versions, 30, 1),
    "samples": (samples, 150, 8),
    "first steps": (first_steps, 60, 1),
    "captured": (captured, 40, 1),
    "demo": (demo, 60, 1),
    "kernels": (kernels, 40, 1),
    "steps": (steps, 90, 1),
    "pytorch": (pytorch, 60, 1),
}


# ---- running them --------------------------------------------------------------------------------------------------------


def child(options):
    """Run one part, and leave what it found in a file."""
    part, _, _ = PARTS[options.part]
    try:
        machine = Machine(options.double, options.quick)
        more = {"share": tuple(map(int, options.share.split("/")))} if options.share else {}
        found = part(machine, **more)
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}"[:1000], "where": traceback.format_exc()[-3000:]}
    pathlib.Path(options.out).write_text(json.dumps(found))


def run(name, options, limit):
    """What the processes of a part found, put together."""
    _, _, processes = PARTS[name]
    processes = 1 if options.quick else min(processes, os.cpu_count() or 1)
    flags = [f for f, wanted in (("--double", options.double), ("--quick", options.quick)) if wanted]
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for i in range(processes):
            out = pathlib.Path(folder, f"{i}.json")
            share = ["--share", f"{i}/{processes}"] if name == "samples" else []
            command = [sys.executable, __file__, "--part", name, "--out", str(out), *flags, *share]
            env = {**os.environ, "OMP_NUM_THREADS": "1"} if processes > 1 else None
            started.append((subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL), out))
        end, found = time.monotonic() + limit, []
        for process, out in started:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if out.exists():
                found.append(json.loads(out.read_text()))
            else:
                found.append({"error": f"the process ended with {process.returncode} (its limit was {limit:.0f} s)"})
    return together(found)


def together(found):
    """One dict of several: numbers are added, dicts united."""
    whole = {}
    for part in found:
        for key, value in part.items():
            if key in whole and isinstance(value, dict):
                whole[key].update(value)
            elif key in whole and isinstance(value, (int, float)):
                whole[key] += value
            else:
                whole.setdefault(key, value)
    return whole


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=str(pathlib.Path(__file__).with_name("on_device.json")))
    parser.add_argument("--double", action="store_true", help="over the double of CuPy, where there is no GPU")
    parser.add_argument("--quick", action="store_true", help="as little of each part as shows that it comes to its end")
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--share", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.part:
        return child(options)
    start, report = time.monotonic(), {"executed on": "a double, no GPU" if options.double else "a GPU", "parts": {}}
    for name, (_, limit, _) in PARTS.items():
        left = SECONDS - (time.monotonic() - start)
        if left < 5:
            report["parts"][name] = {"left out": "the six minutes are over"}
            continue
        began = time.monotonic()
        found = run(name, options, min(limit, left))
        report["parts"][name] = {**found, "took s": round(time.monotonic() - began, 1)}
        pathlib.Path(options.out).write_text(json.dumps(report, indent=1) + "\n")
        print(f"{name}: {'FAILED' if 'error' in found or found.get('wrong') else 'done'}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
