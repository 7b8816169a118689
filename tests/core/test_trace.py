"""Compiled functions: signatures, state, what runs when; graphs as text and their checks; op calls."""

import contextlib

import numpy as np
import pytest

import mlkit
from mlkit import Variable, ops
from mlkit.core import debug
from mlkit.core.graph import Call, Graph
from mlkit.core.interpreter import EAGER
from mlkit.core.op import Op
from mlkit.core.spec import Dim, Spec
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor, Value
from mlkit.primitives.catalogue import OPS


def counted(fn):
    """The function compiled, and a list that grows with each trace of it."""
    traces = []

    def run(*args, **kwargs):
        traces.append(1)
        return fn(*args, **kwargs)

    return mlkit.function(run), traces


@pytest.mark.compiled("eager functions have no signatures")
class TestSignatures:
    def test_shapes_and_dtypes(self):
        f, traces = counted(lambda x: x * 2)
        for x in (np.ones(2, "float32"), np.zeros(2, "float32"), np.ones(3, "float32"), np.ones(2, "int32"), ops.ones(2)):
            assert np.array_equal(f(x), np.asarray(x) * 2)
        assert len(traces) == 3

    def test_other_arguments_by_value(self):
        f, traces = counted(lambda x, n, mode="a": x * n if mode == "a" else x)
        x = ops.ones(2)
        f(x, 2), f(x, 2), f(x, 3), f(x, 2, mode="b"), f(x, n=2)
        assert len(traces) == 4

    def test_equal_numbers_of_different_kind(self):
        f, traces = counted(lambda x, n: x * n)
        kinds = [f(ops.ones(1, "int32"), n).dtype for n in (1, 1.0, True)]
        assert kinds == ["int32", "float32", "int32"]
        assert len(traces) == 3

    def test_structures(self):
        f, _traces = counted(lambda d: {"sum": d["a"] + d["b"][0], "same": d["b"], "none": None, "text": "hello"})
        out = f({"a": ops.ones(1), "b": (ops.ones(1), 5)})
        assert out["sum"].tolist() == [2]
        assert out["same"][1] == 5
        assert out["none"] is None
        assert out["text"] == "hello"
        assert type(out["same"]) is tuple
        f({"b": (ops.ones(1), 5), "a": ops.ones(1)})

    def test_trainable_flags(self):
        v = Variable(2.0)

        def slope(x):
            with mlkit.GradientTape() as tape:
                y = x * v
            return tape.gradient(y, v, unconnected_gradients="zero")

        f, traces = counted(slope)
        seen = []
        for flag in (True, False, True):
            v.trainable = flag
            seen.append(float(f(ops.array(3.0))))
        assert seen == [3.0, 0.0, 3.0]
        assert len(traces) == 2

    def test_key(self):
        mode = [1]
        f = mlkit.function(lambda x: x * mode[0], key=lambda: mode[0])
        assert f(ops.ones(())).item() == 1
        mode[0] = 5
        assert f(ops.ones(())).item() == 5

    def test_decorator_with_options(self):
        @mlkit.function(key=lambda: 0)
        def f(x):
            return x + 1

        assert f(ops.ones(())).item() == 2
        assert f.__name__ == "f"

    def test_unhashable_argument(self):
        with pytest.raises(TypeError, match="must be tensors, arrays or hashable values, but one of.*set"):
            mlkit.function(lambda x, s: x)(ops.ones(1), {1, 2})


class TestWhatRuns:
    def test_inlined_in_a_trace_and_under_two_tapes(self):
        f, _traces = counted(lambda x: x * x)
        assert "mul" in str(mlkit.function(lambda x: f(x) + 1).graph(ops.ones(2)))
        x = ops.array(3.0)
        with mlkit.GradientTape(), mlkit.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        assert float(tape.gradient(y, x)) == 6.0
        assert not f.programs

    def test_symbolic_arguments(self):
        f, _ = counted(lambda x: ops.sum(x, 1))
        assert f(Tensor(Spec((Dim(), 3), "float32"))).ndim == 1
        assert f(mlkit.KerasTensor((None, 3))).shape == (None,)

    def test_eager_flag(self, monkeypatch):
        f, traces = counted(lambda x: x + 1)
        monkeypatch.setattr(debug, "EAGER", True)
        f(ops.ones(1)), f(ops.ones(1))
        assert len(traces) == 2
        assert not f.programs

    @pytest.mark.parametrize("where", ["at once", "eager", "in a trace", "under two tapes", "in a scope"])
    def test_the_function_sees_tensors(self, where, monkeypatch):
        """Wherever it runs, arrays that it is given are tensors to it, and not the caller's memory."""
        seen, array = [], np.ones(2, "float32")
        f = mlkit.function(lambda x, more: (seen.append((type(x), type(more["n"]), type(more["k"]))), x)[1])
        call = lambda: f(array, dict(n=np.float32(2), k=3))
        with contextlib.ExitStack() as stack:
            if where == "eager":
                monkeypatch.setattr(debug, "EAGER", True)
            elif where == "under two tapes":
                stack.enter_context(mlkit.GradientTape())
                stack.enter_context(mlkit.GradientTape())
            elif where == "in a scope":
                stack.enter_context(mlkit.StatelessScope())
            found = (mlkit.function(call) if where == "in a trace" else call)()
        array[:] = 7
        assert found.numpy().tolist() == [1, 1]
        assert seen == [(Tensor, Tensor, int)]

    @pytest.mark.compiled("eager functions have no graph")
    def test_arguments_of_a_graph_that_is_done(self):
        kept = []
        mlkit.function(lambda x: kept.append(x))(ops.ones(2))
        with pytest.raises(TypeError, match="belongs to a graph whose tracing has ended"):
            kept[0] + 1

    def test_errors_leave_no_trace_open(self):
        f = mlkit.function(lambda x: ops.matmul(x, x))
        with pytest.raises(ValueError, match="matmul"):
            f(ops.ones((2, 3)))
        assert state.top is EAGER
        assert ops.sum(ops.ones(2)).item() == 2

    @pytest.mark.compiled("eager functions may branch")
    def test_branching_on_a_value(self):
        with pytest.raises(TypeError, match="has no value.*ops.cond"):
            mlkit.function(lambda x: 1 if x > 0 else 2)(ops.array(1.0))

    def test_outputs_share_nothing_with_later_runs(self):
        f = mlkit.function(lambda x: (ops.exp(x) * 2, ops.reshape(ops.exp(x), (3, 1)), x, ops.transpose(x * 1.5)))
        first = f(ops.zeros(3))
        values = [t.tolist() for t in first]
        f(ops.ones(3))
        assert [t.tolist() for t in first] == values

    def test_threads(self):
        import threading

        f = mlkit.function(lambda x: ops.sum(ops.exp(x) * ops.exp(-x)))
        found = []

        def run():
            for n in (10, 1000, 100):
                found.append(float(f(ops.ones(n))) / n)

        threads = [threading.Thread(target=run) for _ in range(4)]
        [t.start() for t in threads], [t.join() for t in threads]
        np.testing.assert_allclose(found, 1, rtol=1e-5)
        assert len(found) == 12


class TestGraph:
    def graph(self):
        v = Variable(np.ones((3, 2), "float32"))
        return mlkit.function(lambda x: ops.relu(ops.matmul(x, v) + 1)).graph(ops.ones((4, 3)))

    def test_text(self):
        assert str(self.graph()).splitlines() == [
            "graph(%0: float32[4, 3], %1: float32[3, 2])",
            "  %2: float32[4, 2] = matmul(%0, %1)",
            "  %3: float32[4, 2] = add(%2, 1.0)",
            "  %4: float32[4, 2] = relu(%3)",
            "  return %4",
        ]

    def test_nested_text(self):
        text = str(mlkit.function(lambda p: ops.cond(p, lambda: 1.0, lambda: 2.0)).graph(ops.array(True)))
        assert "cond(%0, then={graph(); return 1.0}, orelse={graph(); return 2.0})" in text

    def test_check_finds_what_is_wrong(self):
        graph = self.graph()
        graph.check()
        first = graph.calls[0]
        for calls, match in [
            (graph.calls[1:], "uses .* which nothing before it defines"),
            ([*graph.calls[:1], first, *graph.calls[1:]], "defined twice"),
            ([Call(OPS["exp"], first.args[:1], {}, first.outs), *graph.calls[1:]], "its spec gives"),
            (graph.calls[:-1], "output .* is not defined"),
        ]:
            with pytest.raises(ValueError, match=match):
                graph.like(calls, graph.outputs).check()

    def test_run_under_a_tape_and_on_specs(self):
        graph = mlkit.function(lambda x: (x * x, ops.sum(x))).graph(ops.ones(3))
        x = ops.array([1.0, 2.0, 3.0])
        with mlkit.GradientTape() as tape:
            tape.watch(x)
            y, _ = graph.run(x)
        assert tape.gradient(y, x).tolist() == [2, 4, 6]
        assert graph.run(Tensor(Spec((3,), "float32")))[0].spec == Spec((3,), "float32")

    def test_free_values(self):
        a, b = Value(Spec((2,), "float32")), Value(Spec((2,), "float32"))
        graph = Graph([a])
        graph.outputs = [graph.add(OPS["add"], (a, b), {})]
        assert graph.free_values() == [b]

    def test_layers_are_noted(self):
        layer = mlkit.layers.Dense(2, name="head")
        layer(ops.ones((1, 3)))
        graph = mlkit.function(lambda x: layer(x)).graph(ops.ones((1, 3)))
        assert {c.place for c in graph.calls} == {("head",)}


class TestOps:
    def test_defined_once(self):
        with pytest.raises(ValueError, match="'add' is defined twice"):
            Op("add", None)

    def test_kernel_errors_speak_with_the_specs_voice(self):
        with pytest.raises(ValueError, match=r"add: shapes \(2,\) and \(3,\) do not broadcast"):
            ops.ones(2) + ops.ones(3)

    def test_missing_kernel(self):
        x = ops.ones(1)
        with (
            swapped(kernels={}),
            pytest.raises(NotImplementedError, match=f"The {state.backend.name} backend has no kernel for 'exp'"),
        ):
            OPS["exp"](x)

    def test_fused_op_without_kernel_runs_its_fallback(self):
        x = ops.array([[1.0, 2.0]])
        kernels = {k: v for k, v in state.kernels.items() if k != "softmax"}
        with swapped(kernels=kernels):
            np.testing.assert_allclose(OPS["softmax"](x, axis=1), ops.softmax(x), rtol=1e-6)
            with mlkit.GradientTape() as tape:
                tape.watch(x)
                y = ops.sum(OPS["softmax"](x, axis=1) ** 2)
            assert tape.gradient(y, x) is not None

    def test_infer(self):
        assert OPS["matmul"].infer((np.ones((2, 3), "float32"), Spec((3, 4), "float32")), {}) == Spec((2, 4), "float32")
        assert repr(OPS["add"]) == "<Op add>"
