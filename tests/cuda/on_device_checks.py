"""Parts of on_device.py that compare what a GPU computes: functions (Machine) -> dict of what was found."""

import importlib
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import numpy as np

import mlkit
from mlkit import datasets, utils
from mlkit.backends.native import cuda
from mlkit.backends.native.cuda.library import describe
from mlkit.core import debug, dtypes, tree
from mlkit.core.backend import get_backend
from mlkit.core.state import State, state, swapped
from mlkit.demo import build_model
from tests.cuda.double import make_gpu, make_reference


class Found(dict):
    """What a part has found so far, kept in a file as well, if there is one: a part may be cut off."""

    def __init__(self, path=None):
        super().__init__()
        self._path = None if path in (None, os.devnull) else pathlib.Path(path)

    def __setitem__(self, name, value):
        super().__setitem__(name, value)
        if self._path is not None:
            whole = self._path.with_suffix(".part")
            whole.write_text(json.dumps(self))
            os.replace(whole, self._path)


class Machine:
    """The backends that parts compute with. is_double: there is no GPU; quick: as little as comes to its end; found: a `Found` for what a
    part finds; gpu: the double, if it is not to be a new one."""

    def __init__(self, is_double, quick, found, gpu=None):
        self.is_double, self.quick, self.found = is_double, quick, found
        if is_double:
            self.gpu = gpu or make_gpu()
        else:
            if not cuda.names():
                raise RuntimeError(f"there is no GPU to be used: {cuda.libraries()}")
            self.gpu = cuda.backend("cuda:0", get_backend("native"))
        self.reference = make_reference()

    def use(self, backend):
        for holder in (State, state):
            holder.backend, holder.kernels = backend, backend.kernels


def compiled(machine):
    """How many kernels a part had to compile because no file had them; on the double there are none."""
    return {} if machine.is_double else {"kernels compiled": machine.gpu.device.modules.compiled}


def versions(machine):
    """Of the libraries, with their paths; the device's own description."""
    xp = machine.gpu.xp
    properties = xp.cuda.runtime.getDeviceProperties(0)
    return {
        "mlkit": mlkit.__version__, "python": platform.python_version(), "libraries": cuda.libraries(),
        "device": describe(xp, 0), "compute_capability": f"{properties['major']}.{properties['minor']}",
        "properties": {k: v for k, v in properties.items() if isinstance(v, int)}, "cuDNN's description": _description(machine),
    }  # fmt: skip


def _description(machine):
    """The device as cuDNN describes it, which is what `described_gpus.py` has of others."""
    plans = None if machine.is_double else machine.gpu.device.cudnn
    return None if plans is None else json.loads(plans.description())


def samples(machine, share=(0, 1)):
    """Every op of the sample table, eager and staged, float32 exact and bfloat16: as on the CPU."""
    table = importlib.import_module("tests.cuda.test_samples")
    mlkit.config.set_float32("exact")
    number, of = share
    cases = [(r, kind) for kind in ("", "staged") for r in (table.STAGED if kind else table.ROWS)]
    cases += [(r, "bfloat16") for r in table.ROWS if _is_of_floats(r)]
    cases = cases[number::of][:: 100 if machine.quick else 1]
    found, wrong, refused = machine.found, {}, 0
    for done, (row, kind) in enumerate(cases, 1):
        try:
            if kind != "bfloat16":
                table.compare(row, machine.gpu, machine.reference, bool(kind))
            elif not _in_bfloat16(table, row, machine):
                refused += 1
        except Exception as error:
            wrong[f"{row.name} {kind} {len(wrong)}"] = f"{type(error).__name__}: {error}"[:300]
        if done % 20 == 0 or done == len(cases):
            found.update({"of": len(cases), "of bfloat16 that the CPU refuses too": refused, "wrong": wrong})
            found["run"] = done - refused
    return found


def _is_of_floats(row):
    args, _ = row.draw()
    return any(getattr(a, "dtype", None) == np.float32 for a in args)


def _in_bfloat16(table, row, machine):
    """Compare a row of float32 with its arguments in bfloat16. False where it is not for those on the CPU."""
    half = dtypes.as_numpy("bfloat16")

    class Half(type(row)):
        def __init__(self):
            vars(self).update(vars(row))

        def draw(self):
            return tree.map_structure(lambda a: a.astype(half) if getattr(a, "dtype", None) == np.float32 else a, row.draw())

    own = Half()
    try:
        with swapped(backend=machine.reference, kernels=machine.reference.kernels):
            table.run(own, False)
    except (TypeError, ValueError):
        return False
    table.compare(own, machine.gpu, machine.reference, False)
    return True


def first_steps(machine):
    """Three steps of networks: losses and weights as on the CPU, so the gradients are."""
    steps_of = importlib.import_module("tests.cuda.test_steps").first_steps

    mlkit.config.set_float32("exact")
    found = machine.found
    for policy in ("float32", "mixed_bfloat16"):
        mlkit.config.set_dtype_policy(policy)
        for name in ("mlp",) if machine.quick else ("mlp", "convnet", "lstm", "cifar_resnet", "transformer"):
            wanted, weights = steps_of(name, machine.reference, machine.use)
            losses, own = steps_of(name, machine.gpu, machine.use)
            found[f"{name} {policy}"] = {
                "losses": losses, "on the CPU": wanted,
                "largest difference of a weight": float(max(np.abs(a - b).max() for a, b in zip(own, weights))),
            }  # fmt: skip
    mlkit.config.set_dtype_policy("float32")
    return found


def statistics(machine):
    """What other libraries order or define otherwise: moments of normalizations, gates of recurrent nets, attention and its gradients."""
    layers, rng = mlkit.layers, np.random.default_rng(0)
    mlkit.config.set_float32("exact")
    images, rows = rng.normal(3, 2, (4, 6, 6, 8)).astype("float32"), rng.normal(size=(4, 7, 8)).astype("float32")
    makers = {
        "batch norm": (lambda: layers.BatchNormalization(), images), "layer norm": (lambda: layers.LayerNormalization(), rows),
        "lstm": (lambda: layers.LSTM(8, return_sequences=True), rows), "gru": (lambda: layers.GRU(8, return_sequences=True), rows),
        "gru, reset before": (lambda: layers.GRU(8, reset_after=False), rows), "rnn": (lambda: layers.SimpleRNN(8), rows),
        "attention": (lambda: layers.MultiHeadAttention(2, 4), rows),
    }  # fmt: skip
    found = {}
    for name, (make, x) in makers.items():
        results = []
        for backend in (machine.reference, machine.gpu):
            machine.use(backend)
            mlkit.utils.set_random_seed(0)
            layer, args = make(), (x, x) if name == "attention" else (x,)
            inputs = [mlkit.ops.convert_to_tensor(a) for a in args]
            with mlkit.GradientTape() as tape:
                tape.watch(inputs[0])
                total = mlkit.ops.sum(mlkit.ops.square(layer(*inputs, training=True)))
            slopes = tape.gradient(total, [inputs[0], *layer.trainable_variables])
            results.append([total.numpy(), *(g.numpy() for g in slopes), *(w.numpy() for w in layer.weights)])
        found[name] = float(max(np.max(np.abs(a - b) / (np.abs(a).max() + 1e-6)) for a, b in zip(*results)))
    return {"largest difference, of the largest value": found, "largest error, of the largest value": _errors(machine)}


def _errors(machine):
    """How far products, convolutions and attention are from those in float64: to be at most 1e-5, with TF32 2e-3, in bfloat16 2e-2."""
    rng, ops = np.random.default_rng(1), mlkit.ops
    makers = {
        "product": (ops.matmul, [(300, 512), (512, 200)]),
        "convolution": (lambda x, w: ops.conv(x, w, padding="same"), [(2, 14, 14, 64), (3, 3, 64, 32)]),
        "attention": (ops.dot_product_attention, [(2, 100, 2, 64)] * 3),
    }
    found = {}
    for name, (function, shapes) in makers.items():
        arrays = [rng.normal(size=shape) for shape in shapes]
        machine.use(machine.reference)
        exact = function(*arrays).numpy()
        machine.use(machine.gpu)
        for dtype, mode in (("float32", "exact"), ("float32", "tf32"), ("bfloat16", "tf32")):
            mlkit.config.set_float32(mode)
            got = function(*(ops.cast(ops.cast(a, "float32"), dtype) for a in arrays))
            error = np.abs(ops.cast(got, "float32").numpy() - exact).max() / np.abs(exact).max()
            found[f"{name} {dtype}{' exact' if mode == 'exact' else ''}"] = float(error)
    mlkit.config.set_float32("exact")
    return found


def captured(machine):
    """Graphs, kernels launched one by one, and the CPU over 50 steps with dropout."""
    losses_of = importlib.import_module("tests.cuda.test_captured").losses_of

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
    machine.use(machine.gpu)
    utils.set_random_seed(1)
    (x, y), (tx, ty) = datasets.digits.load_data(test_size=500, seed=1)
    epochs = 1 if machine.quick else 5
    if machine.quick:
        x, y, tx, ty = x[:128], y[:128], tx[:64], ty[:64]
    model = build_model(steps=epochs * -(-len(x) // 64))
    start = time.perf_counter()
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0, callbacks=[_noting(machine.found)])
    _, accuracy = model.evaluate(tx, ty, batch_size=250, verbose=0)
    return {**machine.found, "accuracy": float(accuracy), "seconds": time.perf_counter() - start, "epochs": epochs}


def _noting(found):
    """A callback that keeps the loss of each epoch."""

    def note(epoch, logs):
        found["losses"] = [*found.get("losses", ()), float(logs["loss"])]

    return mlkit.callbacks.LambdaCallback(on_epoch_end=note)


def fine_tuning(machine):
    """A new head on a frozen MobileNetV2 without downloaded weights: the loss falls."""
    workloads = importlib.import_module("tests.cuda.test_steps").workloads
    machine.use(machine.gpu)
    mlkit.utils.set_random_seed(0)
    model, x, y, compiled = workloads.finetune(mlkit)
    model.compile(**compiled)
    if machine.quick:
        x, y = x[:2], y[:2]
    start = time.perf_counter()
    model.fit(x, y, batch_size=len(x), epochs=1 if machine.quick else 8, verbose=0, callbacks=[_noting(machine.found)])
    return {**machine.found, "seconds": time.perf_counter() - start}


def several(machine):
    """Two processes with a GPU each, by NCCL: the weights that one comes to, and how the time of a step compares."""
    count = 1 if machine.is_double else len(cuda.names())
    if count < 2:
        return {"SKIPPED": f"it takes 2 GPUs, and there is {count}"}
    script, root, found = pathlib.Path(__file__).with_name("several_gpus.py"), pathlib.Path(__file__).parents[2], {}
    with tempfile.TemporaryDirectory() as folder:
        for workers in (1, 2):
            out = pathlib.Path(folder, f"{workers}.npz")
            command = [sys.executable, "-m", "mlkit", "launch", "-n", str(workers), str(script), str(out)]
            done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{workers} process(es): {done.stderr[-800:]}")
            found[workers] = dict(np.load(out))
    one, two = found[1], found[2]
    return {
        "largest difference of a weight": float(max(np.abs(one[k] - two[k]).max() for k in one if k.startswith("weight"))),
        "seconds of a step, one and two": [float(one["seconds"]), float(two["seconds"])],
    }
