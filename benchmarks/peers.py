"""The virtual environments of the libraries that mlkit is compared with.

    python benchmarks/peers.py [--cache DIR] [--serving | --export | --tensorboard]     make those that are missing

One environment a library, by plain pip; set PIP_EXTRA_INDEX_URL for PyTorch's CPU-only packages, which are much smaller.
"""

import argparse
import os
import pathlib
import subprocess
import sys

import report

HERE = pathlib.Path(__file__).parent
CACHE = HERE.parent / ".peers"
KERAS = "keras==3.15.1"
PACKAGES = {  # environment -> what is installed in it
    "torch": [KERAS, "torch", "onnx", "onnxruntime"],
    "tensorflow": [KERAS, "tensorflow-cpu"],
    "jax": [KERAS, "jax"],
}
# LitServe's worker runs mlkit, as this checkout has it, with what mlkit needs
SERVING = {"litserve": ["litserve", "numpy", "h5py", "ml_dtypes", "tqdm", "pillow", "onednn-cpu-gomp"]}
EXPORT = {  # for export_models.py
    "export-mlkit": [
        *("numpy", "h5py", "ml_dtypes", "tqdm", "pillow", "onednn-cpu-gomp", "jax", "onnx", "onnxruntime"),
        *("litert-converter==0.5.0", "ai-edge-litert==2.3.0", "ai-edge-quantizer==0.10.0"),
    ],
    "export-torch": ["torch", "torchvision", "onnx", "onnxscript"],
    "export-tensorflow": [KERAS, "tensorflow-cpu"],
}
TENSORBOARD = {"tensorboard": [KERAS, "tensorflow-cpu", "jax", "tensorboard"]}  # Keras's callback needs TensorFlow
# Minutes a step on two cores, and never the best.
TOO_SLOW = {("mobilenetv2", "keras-jax"), ("resnet50", "keras-jax")}
INFERENCE_ONLY = ("onnxruntime",)


class Library:
    """One column of the comparison: how to measure a workload with it."""

    def __init__(self, name, python, script, before=(), after=(), **environment):
        self.name, self.python, self.script = name, python, script
        self.before, self.after, self.environment = before, after, environment

    def command(self, workload, seconds):
        return [self.python, str(HERE / self.script), *self.before, workload, *self.after, "--seconds", str(seconds)]


def python_of(cache, name):
    return str(pathlib.Path(cache, f"peer-{name}", "bin", "python"))


def libraries(cache):
    """mlkit, run by this Python, and all peers that are there."""
    found = [Library("mlkit", sys.executable, "measure_keras.py", ["mlkit"])]
    half = ["--policy", "mixed_bfloat16"]
    found.append(Library(report.IN_HALF, sys.executable, "measure_keras.py", ["mlkit"], half))
    found += [
        Library(f"keras-{name}", python_of(cache, name), "measure_keras.py", ["keras"], KERAS_BACKEND=name) for name in PACKAGES
    ]
    torch = python_of(cache, "torch")
    found.append(Library("torch", torch, "measure_torch.py"))
    found.append(Library(report.COMPILED, torch, "measure_torch.py", after=["--compile"]))
    found.append(Library("onnxruntime", torch, "measure_onnx.py"))
    return [lib for lib in found if os.path.exists(lib.python)]


def versions(cache, environments=PACKAGES):
    """What runs in the peers' environments, as "keras 3.15.1, torch 2.9.0, ..."."""
    code = "import importlib.metadata as m; print(*[f'{n} {m.version(n)}' for n in %r], sep=', ')"
    found = []
    for name, packages in environments.items():
        names = [p.partition("==")[0] for p in packages]
        if os.path.exists(python_of(cache, name)):
            run = subprocess.run([python_of(cache, name), "-c", code % names], capture_output=True, text=True)
            found += run.stdout.strip().split(", ") if run.returncode == 0 else [f"{name} (incomplete)"]
    return list(dict.fromkeys(found))


def make(cache, environments=PACKAGES):
    """Make the environments that are missing, and install what is missing in them (pip leaves alone what is there)."""
    for name, packages in environments.items():
        python = python_of(cache, name)
        if not os.path.exists(python):
            subprocess.run([sys.executable, "-m", "venv", str(pathlib.Path(python).parents[1])], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cache", default=CACHE)
    options.add_argument("--serving", action="store_true", help="that of LitServe, for serving.py, and no other")
    options.add_argument("--export", action="store_true", help="those of export_models.py, and no other")
    options.add_argument("--tensorboard", action="store_true", help="that of tensorboard_epoch.py, and no other")
    given = options.parse_args()
    cache = given.cache
    make(cache, SERVING if given.serving else EXPORT if given.export else TENSORBOARD if given.tensorboard else PACKAGES)
    print("\n".join(versions(cache)))
