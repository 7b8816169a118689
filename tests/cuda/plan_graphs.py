"""Has cuDNN plan and compile the graphs of calls for a GPU that is only described: a program of its own, for what stands in for the driver
would be taken for one by all that runs beside it.

    python -m tests.cuda.plan_graphs STANDIN GPU MODE < calls.json > answers.json

Each call is (op, arguments, parameters), an argument a list of shape and dtype, or None. The answer to one is the number of the way in
which its row computes it, -1 where the row declines. MODE is that of `mlkit.config.set_float32`.
"""

import ctypes
import json
import sys
import types

from mlkit.backends.native.cuda import cudnn
from mlkit.backends.native.cuda.cudnn.library import installed_in, load
from mlkit.backends.native.cuda.cudnn.plans import Plans
from mlkit.core import dtypes, settings
from mlkit.core.spec import Spec
from tests.cuda.described_gpus import GPUS


def plans_for(module, gpu):
    """The plans of a GPU of that name."""
    properties = module.create_device_properties(json.dumps(GPUS[gpu]))
    target = dict(device_property=properties, sm_version=GPUS[gpu]["deviceVer"] // 10)
    return Plans(module, lambda: target, f"{gpu} {module.backend_version()} {module.__version__}")


def way_of(row, args, params):
    if not row.accepts(*args, **params):
        return -1
    for number, way in enumerate(row.ways(*args, **params)):
        if way.find(row.device.cudnn) is not None:
            return number
    return -1


def hashable(value):
    return tuple(map(hashable, value)) if isinstance(value, list) else value


def main(standin, gpu, mode):
    ctypes.CDLL(standin, mode=ctypes.RTLD_GLOBAL)
    dtypes.as_numpy("bfloat16")  # from here on NumPy knows the name
    settings.set_float32(mode)
    device = types.SimpleNamespace(cudnn=plans_for(load(installed_in()), gpu), name=gpu)
    rows = {row.name: row for row in cudnn.rows(device)}
    answers = []
    for op, args, params in json.load(sys.stdin):
        specs = [None if a is None else Spec(tuple(a[0]), a[1]) for a in args]
        answers.append(way_of(rows[op], specs, {name: hashable(value) for name, value in params.items()}))
    print("\n" + json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
