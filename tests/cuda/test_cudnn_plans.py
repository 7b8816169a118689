"""cuDNN plans and compiles what rows ask it for, for GPUs that are described: those that have engines for it are those of a table."""

import datetime
import json
import types

import pytest

import mlkit
from mlkit.backends.native.cuda import cudnn
from mlkit.backends.native.cuda.cudnn.row import CudnnRow
from tests.cuda import plan_cases, planning
from tests.cuda.described_gpus import GPUS
from tests.cuda.test_steps import workloads

pytestmark = pytest.mark.skipif(planning.missing() is not None, reason=str(planning.missing()))

IN_TURN = [gpu for gpu in GPUS if gpu not in planning.ALWAYS]
TODAY = [*planning.ALWAYS, IN_TURN[datetime.date.today().toordinal() % len(IN_TURN)]]


@pytest.mark.parametrize("gpu", TODAY)
def test_as_the_table_says(gpu, tmp_path):
    assert planning.answers(tmp_path, gpu) == json.loads(planning.TABLE.read_text())[gpu]


def test_what_is_wrong_has_no_plan(tmp_path):
    answers = planning.ask(tmp_path, "H100", list(plan_cases.WRONG.values()))
    assert dict(zip(plan_cases.WRONG, answers)) == dict.fromkeys(plan_cases.WRONG, -1)


def test_without_tensor_cores_float32_has_engines_too(tmp_path):
    calls = plan_cases.cases("float32", with_epilogues=False)
    answers = dict(zip(calls, planning.ask(tmp_path, "H100", list(calls.values()), mode="exact")))
    assert [name for name, way in answers.items() if way] == []


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["convnet", "cifar_resnet"])
def test_a_step_of_a_network_has_plans(name, policy, gpu, use, monkeypatch, tmp_path):
    """What it asks for in truth, with two images."""
    calls, launch = {}, CudnnRow.launch

    def noting(self, args, outs, params):
        specs = [None if a is None else [list(a.shape), str(a.dtype)] for a in args]
        calls[str((self.name, specs, params))] = self.name, specs, params
        launch(self, args, outs, params)

    monkeypatch.setattr(CudnnRow, "launch", noting)
    mlkit.config.set_dtype_policy(policy)
    use(gpu)
    model, x, y, compiled = getattr(workloads, name)(mlkit)
    model.compile(**compiled)
    model.train_on_batch(x[:2], y[:2])
    assert len(calls) >= 5
    answers = planning.ask(tmp_path, "H100", list(calls.values()))
    assert [call for call, way in zip(calls, answers) if way < 0] == []


def test_every_row_has_cases():
    asked = {op for dtype in planning.DTYPES for op, _, _ in plan_cases.cases(dtype, with_epilogues=True).values()}
    assert asked == {row.name for row in cudnn.rows(types.SimpleNamespace()) if isinstance(row, CudnnRow)}
