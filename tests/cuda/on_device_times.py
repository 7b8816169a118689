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
from mlkit.primitives import fused

NETS = ("mlp", "convnet", "lstm", "cifar_resnet", "transformer", "resnet50")
LARGE = {"cifar_resnet": 1024, "transformer": 256, "resnet50": 256}  # a second batch, for which launches do not count


def kernels(machine):
    """Kernels against what the memory and the multiplication units can do."""
    machine.use(machine.gpu)
    for name, (f, args, nbytes) in _of_memory(1 << (10 if machine.quick else 26)).items():
        _note(machine, name, f, args, {"GB/s": nbytes / 1e9})
    for dtype, mode in (("float32", "exact"), ("float32", "tf32"), ("bfloat16", "tf32")):
        mlkit.config.set_float32(mode)
        for name, (f, args, flops) in _of_units(dtype, machine.quick).items():
            _note(machine, f"{name} {dtype} {mode}", f, args, {"TFLOP/s": flops / 1e12}, steps=5)
    return machine.found


def _note(machine, name, f, args, work, **more):
    """Keep the time of a function and its rate, or why it failed. work: unit of a rate -> how much a call does."""
    try:
        seconds = timed(machine, mlkit.function(f), *args, **more)
        machine.found[name] = {**{unit: much / seconds for unit, much in work.items()}, "ms": 1e3 * seconds}
    except Exception as error:
        machine.found[name] = f"{type(error).__name__}: {error}"[:300]


def _of_memory(n):
    """Name -> (function, arguments, bytes that it must read and write), for arrays of n elements."""
    x = ops.convert_to_tensor(np.ones(n, "float32"))
    table, images = ops.reshape(x, (-1, 1024)), ops.reshape(x, (-1, 8, 8, 16))
    scale = ops.ones(16)
    weights = [mlkit.Variable(np.ones(n // 64, "float32")) for _ in range(16)]
    optimizer = mlkit.optimizers.Adam()
    optimizer.build(weights)
    slopes = [ops.convert_to_tensor(np.ones(n // 64, "float32")) for _ in weights]

    def update(*slopes):
        optimizer.apply(list(slopes))
        return slopes[0][0]

    return {
        "copy": (lambda x: x + 0.0, [x], 8 * n),
        "chain": (lambda x: ops.tanh(x) * x + 1.0, [x], 8 * n),
        "softmax": (ops.softmax, [table], 8 * n),
        "layer norm": (ops.layer_normalization, [table], 8 * n),
        "group norm": (lambda x: fused.group_norm(x, scale, scale, groups=2, epsilon=1e-3)[0], [images], 8 * n),
        "rms norm": (ops.rms_normalization, [table], 8 * n),
        "batch norm": (lambda x: fused.batch_norm(x, scale, scale, axes=(0, 1, 2), epsilon=1e-3)[0], [images], 12 * n),
        "sum": (lambda x: ops.sum(x, axis=0), [table], 4 * n),
        "running sum": (lambda x: ops.cumsum(x, axis=1), [table], 8 * n),
        "updates": (update, slopes, 7 * 4 * n // 4),  # reads gradient, weight and two moments, writes three
    }


def _of_units(dtype, quick):
    """Name -> (function, arguments, floating-point operations)."""
    side, channels, length = (16, 8, 16) if quick else (8192, 256, 4096)

    def ones(*shape):
        return ops.cast(ops.ones(shape), dtype)

    images, kernel = ones(32, 28, 28, channels), ones(3, 3, channels, channels)
    heads = ones(4, length, 8, 64)
    return {
        f"product of {side}": (lambda a: a @ a, [ones(side, side)], 2 * side**3),
        f"3x3 convolution of {channels} channels": (
            lambda x, w: ops.conv(x, w, padding="same"), [images, kernel], 2 * 32 * 28 * 28 * 9 * channels**2,
        ),
        f"attention of {length} tokens": (
            lambda x: ops.dot_product_attention(x, x, x), [heads], 4 * 4 * 8 * length**2 * 64,
        ),
    }  # fmt: skip


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
    pool, found = machine.gpu.xp.get_default_memory_pool(), machine.found
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
            if name == "mlp":
                found[f"predict of one sample, {name} {policy}"] = {"us": 1e6 * timed(machine, model.predict_on_batch, x[:1])}
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
    found, began = machine.found, time.perf_counter()
    found["PyTorch"] = torch.__version__
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
