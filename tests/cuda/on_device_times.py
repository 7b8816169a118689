"""Parts of on_device.py that tell how long things take on a GPU, and what its own tools find: functions (Machine) -> dict."""

import importlib
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np

import mlkit
from mlkit import ops

NETS = ("mlp", "convnet", "lstm", "cifar_resnet", "transformer", "resnet50")
LARGE = {"cifar_resnet": 1024, "transformer": 256, "resnet50": 256}  # a second batch, for which launches do not count


def kernels(machine):
    """Kernels against what the memory and the multiplication units can do."""
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


def batches(machine, name, x, y):
    """(size, x, y) of the batches that a network is timed with."""
    if machine.quick:
        yield 4, x[:4], y[:4]
        return
    yield len(x), x, y
    if name in LARGE:
        repeats = -(-LARGE[name] // len(x))
        yield LARGE[name], *(np.concatenate([a] * repeats)[: LARGE[name]] for a in (x, y))


def steps(machine):
    """Times of training steps, with the memory that they take."""
    workloads = importlib.import_module("tests.cuda.test_steps").workloads
    machine.use(machine.gpu)
    pool, found = machine.gpu.xp.get_default_memory_pool(), {}
    for policy in ("float32", "mixed_bfloat16"):
        mlkit.config.set_dtype_policy(policy)
        for name in NETS[:1] if machine.quick else NETS:
            model, x, y, compiled = getattr(workloads, name)(mlkit)
            model.compile(**compiled)
            for size, *batch in batches(machine, name, x, y):
                try:
                    found[f"{name} {policy} {size}"] = _step(machine, model, pool, *map(ops.convert_to_tensor, batch))
                except Exception as error:
                    found[f"{name} {policy} {size}"] = f"{type(error).__name__}: {error}"[:300]
    mlkit.config.set_dtype_policy("float32")
    return found


def _step(machine, model, pool, x, y):
    start = time.perf_counter()
    model.train_on_batch(x, y)
    first = time.perf_counter() - start
    step = model._training.program(model, "train")
    seconds = timed(machine, step, (x, y))
    start = time.perf_counter()
    step((x, y))
    host = time.perf_counter() - start
    programs = [p for p, *_ in step.programs.values()]
    return {
        "batch": len(x), "first step s": first, "step ms": 1e3 * seconds, "host us": 1e6 * host, "pool bytes": pool.total_bytes(),
        "forecast bytes": programs[-1].plan.peak_bytes,
    }  # fmt: skip


def pytorch(machine):
    """The same steps written by hand in PyTorch, where it is there: channels_last, fused optimizers, autocast; two of them compiled."""
    try:
        import torch
    except ImportError:
        return {"left out": "PyTorch is not installed"}
    if not torch.cuda.is_available():
        return {"left out": "PyTorch sees no GPU"}
    task = importlib.import_module("torch_nets").task
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    found, began = {"PyTorch": torch.__version__}, time.perf_counter()
    for compiled in (False, True):
        for policy in ("float32", "mixed_bfloat16"):
            for name in ("mlp", "transformer") if compiled else NETS:
                if compiled and time.perf_counter() - began > 60:
                    break
                for size in (None, *([LARGE[name]] if name in LARGE else [])):
                    key = f"{name} {policy} {size or 'as on the CPU'}{' compiled' if compiled else ''}"
                    found[key] = _of_torch(torch, task(name), size, policy, compiled)
    return found


def _of_torch(torch, job, size, policy, compiled):
    """A step's time and memory."""
    job.net.cuda().train()
    if size:
        repeats = -(-size // len(job.x))
        job.x, job.y = (torch.cat([a] * repeats)[:size] for a in (job.x, job.y))
    job.x, job.y, optimizer = job.x.cuda(), job.y.cuda(), job.make_optimizer()
    net = torch.compile(job.net) if compiled else job.net

    def step():
        with torch.autocast("cuda", torch.bfloat16, enabled=policy != "float32"):
            loss = job.loss(net(job.x), job.y)
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
    return {"step ms": 50 * (time.perf_counter() - start), "peak bytes": torch.cuda.max_memory_allocated()}


def sanitized(machine):
    """Our kernels under NVIDIA's compute-sanitizer, where it is there: what it says of memory."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        return {"left out": "compute-sanitizer is not installed"}
    script = pathlib.Path(__file__).with_name("on_device.py")
    flags = ["--double"] if machine.is_double else []
    command = [tool, "--error-exitcode", "9", sys.executable, str(script), "--part", "statistics", "--out", "/dev/null", *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    return {"exit": done.returncode, "said": done.stdout[-2000:]}
