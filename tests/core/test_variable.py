"""Variables: making, assigning, autocast, tracing."""

import copy

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.core.names import name_scope
from mlkit.core.variable import AutocastScope, Variable


def test_from_values_and_initializers():
    v = Variable([1, 2.5])
    assert v.shape == (2,) and v.dtype == "float32" and v.ndim == 1 and len(v) == 2 and v.trainable
    w = Variable(lambda shape, dtype: ops.ones(shape, dtype), shape=(2, 3), dtype="float16", trainable=False, name="w")
    assert w.shape == (2, 3) and w.dtype == "float16" and w.name == w.path == "w" and not w.trainable
    assert Variable(v).numpy().tolist() == [1, 2.5] and Variable(3).dtype == "int32" and Variable(3, dtype="float32").dtype == "float32"
    assert "path=w, shape=(2, 3), dtype=float16" in repr(w)


def test_value_is_its_own():
    a = np.zeros(3, "float32")
    v = Variable(a)
    a[0] = 1
    v.numpy()[1] = 1
    assert v.numpy().tolist() == [0, 0, 0]


def test_path():
    with name_scope("outer"), name_scope("inner"):
        assert Variable(1.0, name="v").path == "outer/inner/v"


@pytest.mark.parametrize(
    "kwargs,match",
    [
        (dict(initializer=1.0, name="a/b"), "without '/'"),
        (dict(initializer=lambda s, dtype: None), "needs `shape`"),
        (dict(initializer=lambda s, dtype: None, shape=(None, 2)), "known non-negative"),
        (dict(initializer=[1.0], shape=(2,)), "has shape"),
        (dict(initializer=1.0, aggregation="median"), "aggregation"),
        (dict(initializer=1.0, colour="red"), "unknown arguments"),
    ],
)
def test_bad_arguments(kwargs, match):
    with pytest.raises(ValueError, match=match):
        Variable(**kwargs)


def test_assign():
    v = Variable([1.0, 2.0])
    before = v.value
    assert v.assign([3, 4]) is v and v.numpy().tolist() == [3, 4] and v.dtype == "float32"
    assert v.assign_add([1.0, 1.0]).assign_sub(1).numpy().tolist() == [3, 4]
    assert before.tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"shape \(2,\) and cannot be assigned a value of shape \(3,\)"):
        v.assign([1.0, 2.0, 3.0])
    w = Variable([0.0, 0.0])
    w.assign(v)
    v.assign_add(1.0)
    assert w.numpy().tolist() == [3, 4]


def test_operators_and_conversions():
    v = Variable([1.0, 2.0])
    assert (v * 2 + 1).tolist() == [3, 5] and (1 - v).tolist() == [0, -1] and v[1].item() == 2.0 and (v > 1).tolist() == [False, True]
    assert np.asarray(v).tolist() == [1, 2] and [x.item() for x in v] == [1, 2] and ops.sum(v).item() == 3.0
    s = Variable(2.0)
    assert float(s) == 2.0 and int(s) == 2 and bool(s)


def test_setters_check():
    v = Variable(1.0)
    for name in ("regularizer", "constraint"):
        with pytest.raises(ValueError, match=name):
            setattr(v, name, 3)
        setattr(v, name, abs)
        assert getattr(v, name) is abs


def test_autocast():
    v, n = Variable([1.0]), Variable([1.0], autocast=False)
    with AutocastScope("float16"):
        assert v.dtype == v.value.dtype == (v * 2).dtype == "float16" and n.value.dtype == "float32"
        v.assign_add([1.0])
        with mlkit.GradientTape() as tape:
            y = ops.sum(v * v)
        g = tape.gradient(y, v)
        assert y.dtype == "float16" and g.dtype == "float32" and g.tolist() == [4.0]
    assert v.dtype == "float32"


def test_deepcopy():
    v = Variable([1.0], trainable=False, name="v")
    v.regularizer = abs
    w = copy.deepcopy(v)
    w.assign([2.0])
    assert v.numpy() == [1.0] and w.path == v.path and not w.trainable and w.regularizer is abs


class TestInTraces:
    def test_reads_and_assigns(self):
        v, w = Variable(1.0), Variable(0.0)

        @mlkit.function
        def f(x):
            v.assign(v * x)
            w.assign_add(v)
            return v.value + w

        assert [float(f(ops.array(2.0))) for _ in range(3)] == [4.0, 10.0, 22.0]
        assert float(v) == 8.0 and float(w) == 14.0
        v.assign(1.0)
        assert float(f(ops.array(2.0))) == 18.0

    def test_gradient_of_what_was_assigned_stops_as_it_does_eagerly(self):
        v = Variable(3.0)

        def f():
            with mlkit.GradientTape() as tape:
                v.assign(v * v)
                y = v * 2
            g = tape.gradient(y, v)
            v.assign(3.0)
            return g

        assert float(f()) == float(mlkit.function(f)()) == 2.0

    def test_made_while_tracing(self):
        made = []

        @mlkit.function
        def f(x):
            if not made:
                made.append(Variable([2.0]))
            return x * made[0]

        assert f(ops.ones(1)).tolist() == [2.0] and made[0].numpy() == [2.0]


class TestMemoryIsReused:
    """New values are written over old ones where nobody can tell."""

    def step(self):
        v = Variable(np.zeros(4, "float32"))

        @mlkit.function
        def step(x):
            v.assign_add(x)

        step(ops.ones(4))
        step(ops.ones(4))
        return v, step

    def address(self, v):
        return v._value.data.ctypes.data

    def test_in_place(self):
        v, step = self.step()
        before = self.address(v)
        step(ops.ones(4))
        assert self.address(v) == before and v.numpy().tolist() == [3] * 4

    @pytest.mark.parametrize(
        "keep",
        [
            lambda v: v.value,
            lambda v: v.value.numpy(),
            lambda v: ops.reshape(v.value, (2, 2)),
            lambda v: memoryview(v.value.numpy()),
            lambda v: np.from_dlpack(v.value),
            lambda v: copy.deepcopy(v.value),
            lambda v: Variable(0 * v.value).assign(v).value,
        ],
        ids=["tensor", "array", "view", "buffer", "dlpack", "copy", "variable"],
    )
    def test_not_where_somebody_holds_the_old_value(self, keep):
        v, step = self.step()
        kept = keep(v)
        step(ops.ones(4))
        assert np.asarray(kept).ravel().tolist() == [2] * 4 and v.numpy().tolist() == [3] * 4

    def test_argument_and_variable_may_be_one(self):
        v, step = self.step()
        step(v.value)
        assert v.numpy().tolist() == [4] * 4

    def test_values_of_variables_change_places(self):
        v, w = Variable([1.0]), Variable([2.0])

        @mlkit.function
        def swap():
            a, b = v.value, w.value
            v.assign(b)
            w.assign(a)

        for _ in range(3):
            swap()
        assert v.numpy() == [2.0] and w.numpy() == [1.0]

    def test_old_value_is_returned(self):
        v = Variable([1.0])

        @mlkit.function
        def f():
            old = v.value
            v.assign(old * 2)
            return old

        assert [f().item() for _ in range(3)] == [1, 2, 4]
