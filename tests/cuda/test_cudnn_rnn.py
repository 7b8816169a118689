"""Recurrent nets by cuDNN's functions: over a library that notes descriptors and computes by NumPy, and descriptors by NVIDIA's own."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit.backends.native.cuda import cudnn
from mlkit.backends.native.cuda.cudnn import rnn
from mlkit.backends.native.cuda.cudnn.rnn import Net, Networks
from mlkit.core import dtypes, settings
from tests.cuda import fake_cupy, planning
from tests.cuda.cudnn_double import TOLERANCE
from tests.cuda.double import DoubleOfGpu, make_reference
from tests.cuda.fake_cudnn_rnn import CudnnOfDouble
from tests.cuda.host_compiler import COMPILER, HostModules
from tests.cuda.test_kernels import Collecting, f

GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def arrays_of(net, dtype, batch=3, time=4, features=5, units=6, bias=True):
    def g(*shape, seed):
        return f(*shape, dtype=dtype, seed=seed, scale=0.5)

    n = GATES[net] * units
    states = [g(batch, units, seed=1 + i) for i in range(2 if net == "lstm" else 1)]
    bias = g(*((2, n) if net == "gru" else (n,)), seed=6) if bias else None
    return [g(batch, time, features, seed=0), *states, g(features, n, seed=4), g(units, n, seed=5), bias]


def cases():
    for net, options in (("lstm", {}), ("gru", {}), ("rnn", {"activation": "tanh"}), ("rnn", {"activation": "relu"})):
        for dtype in TOLERANCE:
            for more in ({}, {"reverse": True}):
                yield f"{net}-{dtype}-{options}{more}", net, arrays_of(net, dtype), {**options, **more}
        yield f"{net}-one of all-{options}", net, arrays_of(net, "float32", 1, 1, 1, 1), options
        yield f"{net}-no bias-{options}", net, arrays_of(net, "float32", bias=False), options


CASES = [*cases()]


def on_device(arrays):
    return [a if a is None else fake_cupy.module.asarray(a) for a in arrays]


def are_as(found, wanted, dtype):
    assert len(found) == len(wanted)
    for got, a in zip(found, wanted):
        got = got.get()
        assert (got.shape, got.dtype) == (a.shape, a.dtype)
        a, got, tolerance = a.astype("float64"), got.astype("float64"), TOLERANCE[dtype]
        np.testing.assert_allclose(got, a, rtol=4 * tolerance, atol=2 * tolerance * max(np.abs(a).max(), 1e-3))


@pytest.fixture(params=[0, 64], ids=["dense", "with gaps"])
def rows(gpu, request, monkeypatch):
    """Name of an op -> its row, over nets whose weights lie in one or another way."""
    monkeypatch.setattr(gpu.device, "networks", Networks(gpu.device, CudnnOfDouble(request.param)))
    return {row.name: row for row in cudnn.recurrent.rows(gpu.device)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_as_the_reference(case, rows):
    _, net, args, options = case
    dtype, table = dtypes.name_of(args[0].dtype), make_reference().table
    assert rows[net].accepts(*args, **options)
    given, results = on_device(args), table[net](*args, **options)
    fake_cupy.counts.clear()
    found = rows[net](*given, **options)
    assert not fake_cupy.counts.waits
    are_as(found, results, dtype)
    keep = rows[net].keeps(*args, **options)
    *found, kept = rows[net](*given, **options, keep=keep)
    are_as(found, results, dtype)
    ghs, *last = (f(*r.shape, dtype=dtype, seed=9 + i) for i, r in enumerate(results))
    for gradients in ((ghs, *last), (ghs, *[None] * len(last)), (None, *last)):
        wanted = table[f"{net}_grad"](*gradients, *args, **options)
        row, slopes = rows[f"{net}_grad"], on_device(gradients)
        assert row.accepts(*gradients, *args, **options)
        are_as(row(*slopes, *given, **options), wanted, dtype)
        held = kept.get().copy()
        are_as(row(*slopes, *given, *found[1:], kept, **options), wanted, dtype)
        np.testing.assert_array_equal(kept.get(), held)  # another gradient may ask for it


def nets_of_weights():
    """Nets whose weights are copied, of both sizes of numbers and of more than a tile."""
    for cell, dtype, features, units in (
        ("lstm", "float32", 5, 6), ("lstm", "bfloat16", 40, 33), ("gru", "float32", 33, 70), ("tanh", "float16", 1, 1),
    ):  # fmt: skip
        yield Net(cell, 2, 3, features, units, dtype, False)


def copied_weights(net, modules, gap, has_bias=True):
    """(the kernel, the recurrent kernel and the bias of a net, their block, the three as they are read from the block)"""
    device = DoubleOfGpu(modules)
    network = Networks(device, CudnnOfDouble(gap)).find(net)
    of_arrays = arrays_of(
        {"tanh": "rnn"}.get(net.cell, net.cell), net.dtype, net.batch, net.time, net.features, net.units, has_bias
    )
    ours, xp = of_arrays[-3:], device.xp
    block = xp.asarray(np.full(network.layout.nbytes, 7, "uint8"))
    device.recurrent_weights.fill(network, block, *on_device(ours))
    back = [xp.empty(a.shape, a.dtype) for a in on_device(ours[:2])]
    back.append(xp.empty((net.biases * len(network.layout.matrices) // 2 * net.units,), ours[0].dtype))
    device.recurrent_weights.read(network, block, *back)
    return ours, block.get(), [a.get() for a in back]


def kernels_of_weights():
    """All kernels that the nets need."""
    found = Collecting()
    for net in nets_of_weights():
        copied_weights(net, found, 0)
    return found.kernels


@pytest.mark.skipif(COMPILER is None, reason="compiles kernels with g++, which is not there")
@pytest.mark.parametrize("order", [0, 1, 5], ids=["in order", "backwards", "scattered"])
def test_weights_are_copied_by_one_launch(order):
    modules = HostModules(order)
    modules.kernels = kernels_of_weights()
    for net in nets_of_weights():
        for gap, has_bias in ((0, True), (64, True), (64, False)):
            fake_cupy.counts.clear()
            ours, block, back = copied_weights(net, modules, gap, has_bias)
            assert fake_cupy.counts.launches == 2
            _, wanted, _ = copied_weights(net, None, gap, has_bias)  # by NumPy
            np.testing.assert_array_equal(block, wanted)
            for got, a in zip(back, ours):
                np.testing.assert_array_equal(got, np.zeros_like(got) if a is None else a.reshape(got.shape))


def test_gates_are_found_where_cudnn_has_them(gpu):
    def layout(cell):
        return Networks(gpu.device, CudnnOfDouble(0)).find(Net(cell, 2, 3, 5, 4, "float32", False)).layout

    assert layout("lstm").biases == [0, 16, 32, 48]
    assert layout("gru").biases == [16, 0, 32, 64, 48, 80]  # its reset gate is cuDNN's first
    assert [o - 96 for o in layout("gru").matrices] == [80, 0, 160, 304, 240, 368]


def test_what_is_not_for_cudnn_is_declined(gpu, rows, monkeypatch):
    lstm, simple, gru = (arrays_of(net, "float32") for net in ("lstm", "rnn", "gru"))
    assert rows["lstm"].accepts(*lstm)
    assert not rows["rnn"].accepts(*simple, activation="sigmoid")
    before = [*gru[:-1], gru[-1][0]]
    assert not rows["gru"].accepts(*before, reset_after=False)
    assert not rows["lstm"].accepts(*arrays_of("lstm", "float64"))
    assert not rows["lstm"].accepts(lstm[0][:0], *(s[:0] for s in lstm[1:3]), *lstm[3:])
    other = [f(4, 7, 6, 3)]  # what the cells that run step by step keep
    assert not rows["lstm_grad"].accepts(None, *lstm[1:3], *lstm, *lstm[1:3], *other)
    monkeypatch.setattr(gpu.device, "is_ampere_or_later", False)
    assert not rows["lstm"].accepts(*arrays_of("lstm", "bfloat16"))
    assert rows["lstm"].accepts(*arrays_of("lstm", "float16"))
    monkeypatch.setattr(gpu.device, "networks", None)
    assert not rows["lstm"].accepts(*lstm)


@pytest.mark.parametrize("function", ["cudnnSetRNNDescriptor_v8", "cudnnGetRNNTempSpaceSizes", "cudnnGetRNNWeightParams"])
def test_a_net_that_cudnn_refuses_is_a_decline(gpu, monkeypatch, function):
    lib = CudnnOfDouble()
    lib.fails[function] = 3000
    monkeypatch.setattr(gpu.device, "networks", Networks(gpu.device, lib))
    row, *_ = cudnn.recurrent.rows(gpu.device)
    assert not row.accepts(*arrays_of("lstm", "float32"))
    asked = len(lib.calls)
    assert not row.accepts(*arrays_of("lstm", "float32"))
    assert len(lib.calls) == asked


def test_a_call_that_fails_says_where(gpu, monkeypatch):
    lib = CudnnOfDouble()
    monkeypatch.setattr(gpu.device, "networks", Networks(gpu.device, lib))
    row, *_ = cudnn.recurrent.rows(gpu.device)
    args = arrays_of("lstm", "float32")
    assert row.accepts(*args)
    lib.fails["cudnnRNNForward"] = 5000
    with pytest.raises(RuntimeError, match="cuda:0: cudnnRNNForward of cuDNN failed with status 5000.*MLKIT_DEVICE=cpu"):
        row(*on_device(args))


def test_float32_is_exact_where_that_is_asked_for(gpu):
    def mathematics(dtype, exact):
        lib = CudnnOfDouble()
        Networks(gpu.device, lib).find(Net("lstm", 2, 3, 5, 4, dtype, exact))
        (found,) = (d for d in lib.made.values() if d["kind"] == "RNNDescriptor")
        return found["mathematics"], found["precision"]

    assert mathematics("float32", False) == (0, 0)
    assert mathematics("float32", True) == (3, 0)
    assert mathematics("bfloat16", True) == (1, 0)


def test_cublas_adds_in_one_order_unless_it_may_differ(gpu, monkeypatch):
    monkeypatch.setattr(rnn, "installed_in", lambda: "")
    monkeypatch.setattr(rnn.ctypes, "CDLL", lambda path: path)
    monkeypatch.setattr(rnn.os, "environ", {})
    settings.set_deterministic(False)
    try:
        rnn.networks_of(gpu.device)
        assert rnn.os.environ == {}
    finally:
        settings.set_deterministic(True)
    rnn.networks_of(gpu.device)
    assert rnn.os.environ == {"CUBLAS_WORKSPACE_CONFIG": ":4096:2"}


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_a_layer_trains_and_keeps_for_its_gradient(name, gpu, reference, use, monkeypatch):
    def train(backend):
        use(backend)
        mlkit.utils.set_random_seed(0)
        layer = getattr(layers, name)(6, return_sequences=True)
        model = mlkit.Sequential([mlkit.Input((4, 5)), layers.Bidirectional(layer), layers.Dense(1)])
        model.compile("sgd", "mse")
        x, y = f(3, 4, 5), f(3, 4, 1, seed=1)
        return [float(model.train_on_batch(x, y)) for _ in range(3)], [w.numpy() for w in model.weights]

    lib = CudnnOfDouble()
    monkeypatch.setattr(gpu.device, "networks", Networks(gpu.device, lib))
    (losses, found), (wanted, weights) = train(gpu), train(reference)
    np.testing.assert_allclose(losses, wanted, rtol=1e-5)
    for a, b in zip(found, weights):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    # Two directions, each once when it is traced step by step and once under capture: nothing is computed again for the gradient.
    assert lib.calls.count("cudnnRNNForward") == lib.calls.count("cudnnRNNBackwardData_v8")


def passed_by_nvidias_library(folder, direction):
    """For each net the functions of NVIDIA's library that passed."""
    command = [sys.executable, "-m", "tests.cuda.rnn_descriptors", str(planning.compiled_standin(folder)), str(direction)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=pathlib.Path(__file__).parents[2])
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.skipif(planning.missing() is not None, reason=str(planning.missing()))
def test_nvidias_library_takes_the_descriptors(tmp_path):
    """Up to the first function that wants a GPU."""
    wanted = [f"cudnnSet{n}Descriptor{v}" for n, v in (("RNN", "_v8"), ("RNNData", ""), ("RNNData", ""), ("TensorNd", ""))]
    answers = passed_by_nvidias_library(tmp_path, 0)
    assert len(answers) == 24
    for is_refused, passed in answers:
        assert is_refused  # there is no handle without a GPU
        assert passed[-4:] == wanted
    for _, passed in passed_by_nvidias_library(tmp_path, 7):  # there is no such direction
        assert wanted[0] not in passed
