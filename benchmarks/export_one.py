"""One library's part of `export_models.py`, in its own environment; prints one line of JSON.

python benchmarks/export_one.py mlkit|torch|keras NET FOLDER     write files of a network, and say how long that took
python benchmarks/export_one.py latency NET FOLDER SECONDS       run the files in turns
"""

import os
import pathlib
import sys
import time

import numpy as np
from timing import print_result

SIDE = {"InceptionV3": 299, "MobileNetV2": 224}


def mlkit(net, folder):
    import mlkit

    model = getattr(mlkit.applications, net)(weights=None)
    start = time.perf_counter()
    model.export(folder / "mlkit.onnx", verbose=False)  # a batch of any size; the file is run and compared
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    model.export(folder / "again.onnx", verbose=False)
    again = time.perf_counter() - start
    model.export(folder / "mlkit.tflite", batch_size=1, verbose=False)
    print_result(seconds=seconds, again=again, mb=os.path.getsize(folder / "mlkit.onnx") / 1e6)


def torch(net, folder):
    import torch

    operators = torch.library.Library(
        "torchvision", "DEF"
    )  # which torchvision's wheel lacks beside a PyTorch without CUDA; not used here
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

    build = {"InceptionV3": torchvision.models.inception_v3, "MobileNetV2": torchvision.models.mobilenet_v2}[net]
    options = {"init_weights": True, "aux_logits": False} if net == "InceptionV3" else {}
    model = build(weights=None, **options).eval()
    x = torch.randn(2, 3, SIDE[net], SIDE[net])
    free = ({0: torch.export.Dim("batch")},)
    times = []
    for name in ("torch.onnx", "again.onnx"):
        start = time.perf_counter()
        torch.onnx.export(model, (x,), folder / name, dynamo=True, dynamic_shapes=free, external_data=False, verbose=False)
        times.append(time.perf_counter() - start)
    print_result(seconds=times[0], again=times[1], mb=os.path.getsize(folder / "torch.onnx") / 1e6)


def keras(net, folder):
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow as tf

    model = getattr(keras.applications, net)(weights=None)
    start = time.perf_counter()
    model.export(folder / "saved", verbose=False)
    content = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved")).convert()
    seconds = time.perf_counter() - start
    (folder / "keras.tflite").write_bytes(content)
    print_result(seconds=seconds, mb=len(content) / 1e6)


def latency(net, folder, seconds):
    """What one photo takes in each file: the shortest tenth of the times, which other processes lengthen least."""
    x = np.random.default_rng(0).normal(size=(1, SIDE[net], SIDE[net], 3)).astype("float32")
    found = {}
    for kind, (own, other), open_ in (
        ("onnx", ("mlkit.onnx", "torch.onnx"), in_onnxruntime),
        ("tflite", ("mlkit.tflite", "keras.tflite"), in_litert),
    ):
        if not (folder / other).exists():
            continue
        calls = [open_(str(folder / name), x) for name in (own, other)]
        times = [[], []]
        for call in calls:
            call()
        end, k = time.perf_counter() + float(seconds), 0
        while k < 30 or time.perf_counter() < end:
            for i in (0, 1) if k % 2 else (1, 0):
                start = time.perf_counter()
                calls[i]()
                times[i].append(time.perf_counter() - start)
            k += 1
        own, theirs = (sorted(t)[len(t) // 10] * 1e3 for t in times)
        found[kind] = {"own_ms": own, "other_ms": theirs, "ratio": own / theirs}
    print_result(**found)


def in_onnxruntime(path, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    value = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if given.shape[1] == 3 else x
    return lambda: session.run(None, {given.name: value})


def in_litert(path, x):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=os.cpu_count())
    place = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(place, x.shape)
    interpreter.allocate_tensors()
    answer = interpreter.get_output_details()[0]["index"]

    def call():
        interpreter.set_tensor(place, x)
        interpreter.invoke()
        return interpreter.get_tensor(answer)

    return call


if __name__ == "__main__":
    what, net, folder, *more = sys.argv[1:]
    {"mlkit": mlkit, "torch": torch, "keras": keras, "latency": latency}[what](net, pathlib.Path(folder), *more)
