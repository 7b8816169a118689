"""Measure one workload in this process with mlkit or Keras; prints one line of JSON.

    python benchmarks/measure_keras.py {mlkit,keras} WORKLOAD [--seconds S] [--policy P]      (Keras: KERAS_BACKEND chooses its engine)

first_s     build, compile and the first train_on_batch, after the import
fit_ms      a step inside fit() over 2 to 8 batches, as many as take S seconds, of arrays in memory, shuffled
predict_ms  predict_on_batch of a whole batch;  call1_ms: predict() of one sample
rss_mb      peak resident memory of the process
matmul_conv_flops  of a training step; mlkit only
"""

import argparse
import importlib
import os

import numpy as np
from timing import clock, median_ms, peak_mb, print_result
from workloads import WORKLOADS

STEPS = 8


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("library", choices=["mlkit", "keras"])
    options.add_argument("workload", choices=list(WORKLOADS))
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--policy", help="dtype policy of the layers, such as mixed_bfloat16")
    given = options.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    start = clock()
    keras = importlib.import_module(given.library)
    import_s = clock() - start
    keras.utils.set_random_seed(0)
    if given.policy:
        keras.config.set_dtype_policy(given.policy)
    print_result(import_s=import_s, **measure(keras, given.workload, given.seconds))


def measure(keras, workload, seconds):
    start = clock()
    model, x, y, arguments = WORKLOADS[workload](keras)
    model.compile(**arguments)
    loss = model.train_on_batch(x, y)
    first_s = clock() - start
    start = clock()
    model.train_on_batch(x, y)
    steps = max(2, min(STEPS, int(seconds / (clock() - start))))
    many = [np.concatenate([a] * steps) for a in (x, y)]
    found = dict(
        loss=float(np.ravel(np.asarray(loss))[0]),
        first_s=first_s,
        fit_ms=median_ms(lambda: model.fit(*many, batch_size=len(x), verbose=0), seconds, least=3) / steps,
        predict_ms=median_ms(lambda: model.predict_on_batch(x), seconds / 2),
        call1_ms=median_ms(lambda: model.predict(x[:1], verbose=0), seconds / 2),
    )
    found["rss_mb"] = peak_mb()
    if keras.__name__ == "mlkit":
        found["matmul_conv_flops"] = product_flops(keras, model, x, y)
    return found


def product_flops(mlkit, model, x, y):
    """FLOPs of the products and convolutions in a training step."""
    from mlkit.compiler.cost import graph_flops
    from mlkit.primitives.linear import matmul
    from mlkit.primitives.window import conv, conv_input, conv_kernel

    step = mlkit.function(lambda data: model.train_step(data))
    return graph_flops(step.graph((x, y)), only=(matmul, conv, conv_input, conv_kernel))


if __name__ == "__main__":
    main()
