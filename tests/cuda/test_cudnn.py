"""The graphs that rows write for cuDNN, computed by NumPy as their strides say, in every way that a row has: as the reference does."""

import types

import numpy as np
import pytest

import mlkit
from mlkit.backends.native import kept
from mlkit.backends.native.cuda import cudnn
from mlkit.backends.native.cuda.cudnn import activation, library
from mlkit.backends.native.cuda.cudnn.draft import Draft, dense
from mlkit.backends.native.cuda.cudnn.plans import GpuPlans, Numerics, Plans, numerics
from mlkit.backends.native.table import ByFallback
from mlkit.core import dtypes, settings
from mlkit.core.state import swapped
from mlkit.primitives.fused.attention import attention
from tests.cuda import cudnn_double, fake_cupy
from tests.cuda.cudnn_double import TOLERANCE, PlansOfDouble
from tests.cuda.double import DoubleOfGpu, make_reference
from tests.cuda.test_kernels import f


def params(axes=2, **given):
    return {**dict(strides=(1,) * axes, padding="same", dilation=(1,) * axes, groups=1), **given}


CONVOLUTIONS = {  # name -> (shape of the input, of the kernel, parameters)
    "3x3": ((2, 7, 9, 5), (3, 3, 5, 4), params()),
    "with steps": ((3, 8, 7, 2), (3, 2, 2, 3), params(strides=(2, 3))),
    "valid": ((2, 6, 5, 3), (3, 3, 3, 2), params(padding="valid")),
    "valid, cells left over": ((1, 8, 8, 2), (3, 3, 2, 2), params(padding="valid", strides=(2, 2))),
    "margins of its own": ((2, 5, 6, 2), (3, 3, 2, 3), params(padding=((2, 0), (1, 3)))),
    "dilated": ((1, 9, 8, 2), (3, 3, 2, 3), params(dilation=(2, 3))),
    "one cell": ((2, 5, 4, 6), (1, 1, 6, 3), params()),
    "one cell, with steps": ((2, 5, 4, 6), (1, 1, 6, 3), params(strides=(2, 2))),
    "groups": ((2, 5, 5, 6), (3, 3, 2, 9), params(groups=3)),
    "depthwise": ((2, 5, 5, 4), (3, 3, 1, 4), params(groups=4)),
    "depthwise, two each": ((2, 5, 5, 4), (3, 3, 1, 8), params(groups=4)),
    "one channel": ((2, 6, 6, 1), (5, 5, 1, 1), params()),
    "1d": ((2, 11, 3), (4, 3, 5), params(1, strides=(2,))),
    "1d, groups": ((2, 11, 4), (3, 2, 6), params(1, groups=2, dilation=(2,))),
    "3d": ((1, 5, 4, 6, 2), (2, 3, 3, 2, 3), params(3, strides=(1, 2, 1))),
}


def convolutions():
    table = make_reference().table
    for name, (shape, kernel, p) in CONVOLUTIONS.items():
        for dtype in TOLERANCE if name in ("3x3", "groups") else ("float32",):
            x, w = f(*shape, dtype=dtype), f(*kernel, dtype=dtype, seed=1, scale=0.5)
            y = table["conv"](x, w, **p)
            g, bias = f(*y.shape, dtype=dtype, seed=2), f(kernel[-1], dtype=dtype, seed=3)
            yield f"{name}-{dtype}", "conv", [x, w], p
            yield f"{name}-{dtype}", "conv_input", [g, w], dict(p, shape=shape)
            if p["groups"] == 1:
                yield f"{name}-{dtype}", "conv_input_act_grad", [g, w, relu_of(x)], dict(p, shape=shape, act="relu")
            yield f"{name}-{dtype}", "conv_kernel", [x, g], dict(p, shape=kernel)
            if dtype != "float32":
                yield f"{name}-{dtype}", "conv_kernel_wide", [x, g], dict(p, shape=kernel)
            for act in (None, "relu", "gelu", "tanh") if name == "3x3" else ("relu",):
                yield f"{name}-{dtype}-{act}", "conv_bias_act", [x, w, bias], dict(p, act=act)
                yield f"{name}-{dtype}-{act}-added", "conv_bias_act", [x, w, bias, g], dict(p, act=act)
            yield f"{name}-{dtype}-no bias", "conv_bias_act", [x, w, None], dict(p, act="relu")


def relu_of(x):
    return np.maximum(x, x.dtype.type(0))


def products():
    for dtype in TOLERANCE:
        for shape, columns in (((6, 5), 7), ((2, 3, 4), 9), ((1, 1), 1)):
            x, w, bias = f(*shape, dtype=dtype), f(shape[-1], columns, dtype=dtype, seed=1), f(columns, dtype=dtype, seed=2)
            g = f(*shape[:-1], columns, dtype=dtype, seed=3)
            for act in (None, "relu", "gelu", "gelu_exact"):
                what = f"{dtype}-{len(shape)}-{columns}-{act}"
                yield what, "matmul_bias_act", [x, w, bias], dict(act=act)
                yield f"{what}-added", "matmul_bias_act", [x, w, None, g], dict(act=act)
                yield f"{what}-both", "matmul_bias_act", [x, w, bias, g], dict(act=act)
                if act is not None:
                    yield what, "matmul_act_kept", [x, w, bias], dict(act=act)
                    yield what, "matmul_act_grad", [g, w, relu_of(x) if act == "relu" else x], dict(act=act)


def masks(batch, targets, heads, sources):
    """Name -> mask; some have rows in which all pairs are masked."""
    drawn = np.random.default_rng(5).random((batch, heads, targets, sources)) < 0.6
    drawn[0, :, -1] = False
    return {
        "all": drawn,
        "of samples": drawn[:, :1],
        "of pairs": drawn[0, 0],
        "of keys": drawn[:, :1, :1] | np.eye(1, sources, dtype=bool),
        "of queries": drawn[..., :1],
        "nothing": np.zeros((1, 1), bool),
    }


def attentions():
    for dtype in ("bfloat16", "float16"):
        for batch, targets, sources, heads, size, values in ((2, 5, 5, 3, 8, 8), (1, 3, 7, 2, 16, 8), (2, 1, 4, 1, 8, 24)):
            q, k, v, g = (
                f(*shape, dtype=dtype, seed=seed, scale=1)
                for seed, shape in enumerate(
                    [(batch, targets, heads, size), (batch, sources, heads, size), (batch, sources, heads, values)]
                    + [(batch, targets, heads, values)]
                )
            )
            for name, mask in [("no mask", None), *masks(batch, targets, heads, sources).items()]:
                for causal in (False, True):
                    p = dict(scale=0.3, causal=causal)
                    what = f"{name}{', causal' if causal else ''}-{dtype}-{targets}"
                    yield what, "attention", [q, k, v, mask], p
                    yield what, "attention_grad", [g, q, k, v, mask], p


CASES = [*convolutions(), *products(), *attentions()]


def on_device(a):
    return a if a is None else fake_cupy.module.asarray(a)


@pytest.fixture
def device(gpu, monkeypatch):
    monkeypatch.setattr(gpu.device, "cudnn", gpu.device.cudnn)  # tests put others in its place
    return gpu.device


@pytest.fixture
def rows(device, monkeypatch):
    """Name of an op -> its row of cuDNN's, which takes small results too."""
    monkeypatch.setattr(activation, "SMALLEST", 0)
    return {row.name: row for row in cudnn.rows(device)}


def is_as(found, wanted):
    for got, a in zip(found if type(found) is tuple else (found,), wanted if type(wanted) is tuple else (wanted,)):
        got = got.get()
        assert (got.shape, got.dtype) == (a.shape, a.dtype)
        tolerance = TOLERANCE.get(dtypes.name_of(a.dtype), 1e-5)
        a, got = a.astype("float64"), got.astype("float64")
        np.testing.assert_allclose(got, a, rtol=tolerance, atol=tolerance * np.abs(a).max())


def expected(name, args, params):
    """What the CPU's kernel gives; of an op that it has none of, its fallback in float32, rounded once."""
    reference = make_reference()
    if name in reference.table:
        return reference.table[name](*args, **params)
    with swapped(backend=reference, kernels=reference.kernels):
        found = ByFallback(name, np)(*(a if a is None else a.astype("float32") for a in args), **params)
    several = found if type(found) is tuple else (found,)
    several = tuple(a.astype(args[0].dtype) for a in several)
    return several if type(found) is tuple else several[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[1]}-{case[0]}")
def test_every_way_computes_what_the_reference_does(case, rows, device):
    _, name, args, params = case
    row, arrays = rows[name], [on_device(a) for a in args]
    wanted = expected(name, args, params)
    ways = list(row.ways(*arrays, **params))
    for way in ways:
        if hasattr(way, "write"):
            device.cudnn = PlansOfDouble(lambda *graph, only=(way.write, way.values): graph != only)
        assert row.accepts(*arrays, **params)
        fake_cupy.counts.clear()
        found = row(*arrays, **params)
        assert not fake_cupy.counts.waits
        assert fake_cupy.counts.launches <= 3 + (name.startswith("attention") and args[-1] is not None) * 8
        if name == "conv_kernel_wide" and way.values[2].dtype != "float32":  # rounded once more
            found, wanted_here = fake_cupy.module.asarray(found.get().astype(args[0].dtype)), wanted.astype(args[0].dtype)
            is_as(found, wanted_here)
        else:
            is_as(found, wanted)


def test_what_is_not_for_cudnn_is_declined(rows, device):
    x, w = (on_device(f(*s)) for s in ((2, 5, 5, 3), (3, 3, 3, 4)))
    assert rows["conv"].accepts(x, w, **params())
    assert not rows["conv"].accepts(x[:0], w, **params())
    assert not rows["conv"].accepts(x.astype("float64"), w.astype("float64"), **params())
    device.cudnn = PlansOfDouble(lambda write, values: True)  # a card that has no engines for it
    assert not rows["conv"].accepts(x, w, **params())
    device.cudnn = None
    assert not rows["conv"].accepts(x, w, **params())


def test_arrays_that_begin_anywhere_are_copied_first(rows):
    x, w = f(2, 5, 5, 3), f(3, 3, 3, 4, seed=1)
    flat = fake_cupy.module.asarray(np.concatenate([[0], x.ravel()]).astype("float32"))
    shifted = flat[1:].reshape(x.shape)
    assert shifted.data.ptr % 16
    is_as(rows["conv"](shifted, on_device(w), **params()), make_reference().table["conv"](x, w, **params()))


@pytest.mark.parametrize("mask", [None, "of samples"])
def test_attention_keeps_what_its_gradient_needs(mask, gpu, reference, use, monkeypatch):
    mask = mask and masks(2, 5, 3, 5)[mask]
    inputs = [f(2, 5, 3, 8, dtype="bfloat16", seed=seed) for seed in range(3)]

    @mlkit.function
    def step(*given):
        with mlkit.GradientTape() as tape:
            for x in given:
                tape.watch(x)
            y = attention(*given, None if mask is None else mlkit.ops.convert_to_tensor(mask), scale=0.3, causal=False)
            loss = mlkit.ops.sum(y * y)
        return y, *tape.gradient(loss, list(given))

    def run(backend):
        use(backend)
        return [t.numpy() for t in step(*map(mlkit.ops.convert_to_tensor, inputs))]

    programs, compile = [], gpu.compile
    monkeypatch.setattr(gpu, "compile", lambda *args, **kwargs: programs.append(compile(*args, **kwargs)) or programs[-1])
    for a, b in zip(run(gpu), run(reference)):
        a, b = (x.astype("float32") for x in (a, b))
        np.testing.assert_allclose(a, b, rtol=3e-2, atol=1e-2 * np.abs(b).max())  # of a result that was rounded
    calls = {call.op.name: call for call in programs[0].plan.graph.calls}
    assert calls["attention"].params["keep"].shape == (2, 3, 5, 1)
    assert calls["attention_grad"].args[-2:] == calls["attention"].outs


# ---- plans ---------------------------------------------------------------------------------------------------------------


class NotSupported(Exception):
    pass


class Module:
    """As much of `cudnn` as `Plans` uses, over the double's graphs. It notes what is asked of it."""

    cudnnGraphNotSupportedError = NotSupported
    data_type = cudnn_double.NAMES
    heur_mode = types.SimpleNamespace(A="A", FALLBACK="FALLBACK")
    numerical_note = types.SimpleNamespace(
        **{
            n: n
            for n in (
                "REDUCED_PRECISION_REDUCTION",
                "DOWN_CONVERT_INPUTS",
                "NONDETERMINISTIC",
                "TENSOR_CORE",
                "FFT",
                "WINOGRAD",
            )
        }
    )

    def __init__(self, has_engines=True):
        self.has_engines, self.planned, self.unwanted = has_engines, 0, []
        self.times = [5.0]  # of the engines in seconds; None: it does not build

    def pygraph(self, **options):
        return GraphOfModule(self)


class GraphOfModule(cudnn_double.Graph):
    def __init__(self, module):
        super().__init__()
        self._module, self._read = module, False

    def key(self):
        return len(self.nodes)

    def create_execution_plans(self, modes):
        if not self._module.has_engines:
            raise NotSupported("no engine")
        self._module.planned += 1

    def deselect_numeric_notes(self, notes):
        self._module.unwanted.append(set(notes))

    def serialize(self):
        return list(b"a plan")

    def deserialize(self, content):
        if bytes(content) != b"a plan":
            raise RuntimeError("this is no plan")

    def get_workspace_size(self):
        return 7

    def get_execution_plan_count(self):
        return len(self._module.times)

    def build_plan_at_index(self, number):
        if self._module.times[number] is None:
            raise NotSupported("it does not build")
        self.number = number

    def validate(self):
        pass

    build_operation_graph = check_support = build_plans = validate


def a_graph(draft, x, y):
    draft.result(draft.graph.relu(draft.argument(x)), y)


LAYOUT = dense((1, 2, 3, 4), "float32")


def plans_of(module, key="a card"):
    return Plans(module, dict, key)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MLKIT_HOME", str(tmp_path))
    return tmp_path


def test_a_plan_is_made_once_and_read_by_the_next_process(home):
    module = Module()
    plans = plans_of(module)
    plan = plans.find(a_graph, LAYOUT, LAYOUT)
    assert plan.nbytes == 7
    assert plans.find(a_graph, LAYOUT, LAYOUT) is plan
    assert plans_of(module).find(a_graph, LAYOUT, LAYOUT).nbytes == 7
    assert module.planned == 1
    plans_of(module, "another card").find(a_graph, LAYOUT, LAYOUT)
    assert module.planned == 2


def test_a_file_that_is_no_plan_is_planned_anew(home):
    module = Module()
    plans_of(module).find(a_graph, LAYOUT, LAYOUT)
    (path,) = home.glob("cudnn/*.plan")
    for content in (b"", b"half of a pl"):
        path.write_bytes(content)
        assert plans_of(module).find(a_graph, LAYOUT, LAYOUT).nbytes == 7
        assert kept.read(path) == b"a plan"
    assert module.planned == 3


def test_a_folder_that_cannot_be_written_costs_time_only(home, monkeypatch):
    (home / "cudnn").write_text("a file where the folder would be")
    assert plans_of(Module()).find(a_graph, LAYOUT, LAYOUT) is not None
    assert kept.read(home / "cudnn" / "x") is None


def test_no_engine_is_a_decline_that_is_asked_for_once(home):
    module = Module(has_engines=False)
    plans = plans_of(module)
    assert plans.find(a_graph, LAYOUT, LAYOUT) is None
    module.has_engines = True
    assert plans.find(a_graph, LAYOUT, LAYOUT) is None
    assert not list(home.glob("cudnn/*"))


class Timed(Plans):
    """Engines take as long as the module says. tried: numbers of those that were asked; others: how often a plan was replaced."""

    def __init__(self, module):
        super().__init__(module, dict, "a card")
        self.tried, self.others = [], 0

    def seconds(self, plan, layouts):
        assert layouts == [LAYOUT, LAYOUT]
        self.tried.append(plan.graph.number)
        return self._cudnn.times[plan.graph.number]

    def replaced(self):
        self.others += 1


def test_tuning_tries_the_first_five_engines_once(home):
    module = Module()
    module.times = [5.0, None, 2.0, 3.0, 4.0, 1.0]
    plans = Timed(module)
    usual = plans.find(a_graph, LAYOUT, LAYOUT)
    assert plans.tried == []
    with plans.tuning():
        tuned = plans.find(a_graph, LAYOUT, LAYOUT)
        assert plans.find(a_graph, LAYOUT, LAYOUT) is tuned is not usual
    assert (plans.tried, tuned.graph.number, plans.others) == ([0, 2, 3, 4], 2, 1)
    assert plans.find(a_graph, LAYOUT, LAYOUT) is tuned  # also where nobody tunes
    again = Timed(module)
    assert again.find(a_graph, LAYOUT, LAYOUT).is_tuned  # from the disk
    with again.tuning():
        again.find(a_graph, LAYOUT, LAYOUT)
    assert (again.tried, again.others) == ([], 0)


def test_tuning_takes_what_builds_where_the_first_five_do_not(home):
    module = Module()
    module.times = [None] * 5 + [1.0]
    plans = Timed(module)
    with plans.tuning():
        assert plans.find(a_graph, LAYOUT, LAYOUT).is_tuned
    assert plans.tried == []
    module.has_engines = False
    with plans.tuning():
        assert plans.find(a_graph, LAYOUT, LAYOUT._replace(dtype="float16")) is None


def test_engines_are_timed_by_events(gpu, home, monkeypatch):
    asked = []

    class OnGpu(Module):
        __version__, backend_version = "1.28.0", staticmethod(lambda: 92801)
        create_handle, set_stream = staticmethod(lambda: 17), staticmethod(lambda handle, stream: None)

        def pygraph(self, **options):
            graph = GraphOfModule(self)
            graph.execute = lambda places, workspace, handle: asked.append(graph.number)
            return graph

    times = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(gpu.xp.cuda, "get_elapsed_time", lambda start, end: next(times), raising=False)
    module = OnGpu()
    module.times, plans = [0.0] * 3, GpuPlans(gpu.device, module)
    plans.find(a_graph, LAYOUT, LAYOUT)
    epoch = gpu.device.epoch
    with plans.tuning():
        plan = plans.find(a_graph, LAYOUT, LAYOUT)
    assert (asked, plan.graph.number) == ([0] * 4 + [1] * 4 + [2] * 4, 1)
    assert gpu.device.epoch == epoch + 1  # programs that have the other plan are prepared anew


@pytest.mark.parametrize("wanted", [False, True])
def test_a_model_asks_for_it(wanted, device, use, gpu):
    use(gpu)
    device.cudnn = PlansOfDouble()
    model = mlkit.Sequential([mlkit.Input((4, 4, 2)), mlkit.layers.Conv2D(3, 2), mlkit.layers.Flatten(), mlkit.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile="autotune" if wanted else "auto")
    model.train_on_batch(f(2, 4, 4, 2), f(2, 1))
    assert bool(device.cudnn.tuned) is wanted


def test_engines_that_round_or_differ_from_run_to_run_are_not_taken(home):
    module = Module()
    plans = plans_of(module)
    assert numerics() == Numerics(exact=False, deterministic=True)
    plans.find(a_graph, LAYOUT, LAYOUT)
    try:
        settings.set_float32("exact")
        plans.find(a_graph, LAYOUT, LAYOUT)
        half = LAYOUT._replace(dtype="bfloat16")
        plans.find(a_graph, half, half)
    finally:
        settings.set_float32("tf32")
    always = {"REDUCED_PRECISION_REDUCTION", "DOWN_CONVERT_INPUTS", "NONDETERMINISTIC"}
    assert module.unwanted == [always, always | {"TENSOR_CORE", "FFT", "WINOGRAD"}, always]


def test_a_wrong_number_of_arrays_is_refused(home):
    with pytest.raises(ValueError, match="of 2 arrays was given 1"):
        plans_of(Module()).find(a_graph, LAYOUT, LAYOUT)([on_device(f(1, 2, 3, 4))], None)


def test_a_plan_is_launched_in_the_stream_that_is_current(gpu, home):
    asked = []

    class Graph(GraphOfModule):
        def execute(self, places, workspace, handle):
            asked.append((places, workspace, handle))

    class OnGpu(Module):
        __version__, backend_version = "1.28.0", staticmethod(lambda: 92801)

        def pygraph(self, **options):
            assert options["handle"] == 17
            return Graph(self)

        def create_handle(self):
            return 17

        def set_stream(self, handle, stream):
            asked.append((handle, stream))

    plan = GpuPlans(gpu.device, OnGpu()).find(a_graph, LAYOUT, LAYOUT)
    x, y, room = (fake_cupy.module.empty(24, "float32") for _ in range(3))
    with gpu.device.streams.recording as stream:
        plan([x, y], room)
    assert asked == [(17, stream.ptr), ({1: x.data.ptr, 2: y.data.ptr}, room.data.ptr, 17)]

    def fail(*_, **__):
        raise RuntimeError("CUDNN_STATUS_EXECUTION_FAILED")

    plan.graph.execute = fail
    with pytest.raises(RuntimeError, match="cuda:0: cuDNN failed: CUDNN_STATUS_EXECUTION_FAILED.*MLKIT_DEVICE=cpu"):
        plan([x, y], room)


# ---- the library ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for part in ("libcudnn.so.9", "libcudnn_cnn.so.9", "libcudnn_graph.so.9"):
        (tmp_path / part).touch()
    return tmp_path


def test_parts_are_loaded_by_full_path_before_what_loads_them_by_name(folder, monkeypatch):
    loaded = []
    monkeypatch.setattr(library.ctypes, "CDLL", loaded.append)
    module = types.SimpleNamespace(backend_version=lambda: 92801)
    seen = []
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/other")

    def imported(name):
        seen.append((name, library.os.environ.get("LD_LIBRARY_PATH")))
        return module

    monkeypatch.setattr(library.importlib, "import_module", imported)
    assert library.load(str(folder), lambda: [str(folder / "libcudnn.so.9")]) is module
    assert [path.rpartition("/")[2] for path in loaded] == ["libcudnn_graph.so.9", "libcudnn_cnn.so.9", "libcudnn.so.9"]
    assert {path.rpartition("/")[0] for path in loaded} == {str(folder)}
    assert seen == [("cudnn", None)]
    assert library.os.environ["LD_LIBRARY_PATH"] == "/opt/other"


def test_parts_of_another_version_are_named(folder, monkeypatch):
    monkeypatch.setattr(library.ctypes, "CDLL", lambda path: pytest.fail("nothing is loaded beside it"))
    with pytest.raises(library.Unusable, match="/usr/lib/cudnn.*CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH.*LD_LIBRARY_PATH"):
        library.load(str(folder), lambda: ["/usr/lib/cudnn/libcudnn_ops.so.9"])


@pytest.mark.parametrize(
    "version, fails, says",
    [
        (90800, None, r"version 9\.8\.0, and 9\.13\.0 or newer"),
        (92801, OSError("libcublas.so.13: cannot open"), r"cannot be loaded \(libcublas.so.13"),
        (92801, ImportError("No module named 'cudnn'"), "pip install nvidia-cudnn-frontend"),
    ],
    ids=["too old", "incomplete", "no module"],
)
def test_why_it_is_not_used(version, fails, says, folder, monkeypatch):
    def load(path):
        if isinstance(fails, OSError):
            raise fails

    def imported(name):
        if isinstance(fails, ImportError):
            raise fails
        return types.SimpleNamespace(backend_version=lambda: version)

    monkeypatch.setattr(library.ctypes, "CDLL", load)
    monkeypatch.setattr(library.importlib, "import_module", imported)
    with pytest.raises(library.Unusable, match=says):
        library.load(str(folder), list)


def test_without_it_a_gpu_computes_and_says_so(monkeypatch):
    monkeypatch.setattr(library, "installed_in", lambda: None)
    with pytest.warns(UserWarning, match="cuda:0 computes without cuDNN: it is not installed .*pip install .*slower"):
        assert library.plans_of(DoubleOfGpu()) is None


# ---- the double ----------------------------------------------------------------------------------------------------------


def test_the_double_finds_wrong_strides():
    x = f(1, 2, 3, 4)
    graph = cudnn_double.Graph()
    y = Draft(graph, cudnn_double.NAMES)
    y.result(graph.relu(y.argument(LAYOUT._replace(strides=(24, 12, 1, 4)))), LAYOUT)
    with pytest.raises(AssertionError, match="of 24 elements"):
        cudnn_double.compute(graph, {1: x, 2: np.empty_like(x)})
