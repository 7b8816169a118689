"""Writes files as PyTorch writes them, and PyTorch's models in a few lines of JAX: neither needs PyTorch."""

import collections
import contextlib
import io
import json
import pickle
import struct
import sys
import types
import zipfile

import numpy as np


@contextlib.contextmanager
def _fake_torch():
    """A block in which `torch` can be named in pickles."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch", "__qualname__": "FloatStorage"})
    torch.LongStorage = type("LongStorage", (), {"__module__": "torch", "__qualname__": "LongStorage"})

    def rebuild(*args):
        raise AssertionError("only its name is written")

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    torch._utils, utils._rebuild_tensor_v2 = utils, rebuild
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        yield torch
    finally:
        for name, module in before.items():
            sys.modules.pop(name) if module is None else sys.modules.update({name: module})


class _Storage:
    def __init__(self, kind, key, array):
        self.kind, self.key, self.array = kind, key, array


class _Tensor:
    """A tensor to be pickled: `order` are its axes as they lie in the file, slowest first."""

    def __init__(self, torch, key, array, order=None):
        order = order or tuple(range(array.ndim))
        kind = torch.LongStorage if array.dtype == np.int64 else torch.FloatStorage
        dense = np.ascontiguousarray(array.transpose(order))
        strides = dict(zip(order, (s // array.itemsize for s in dense.strides)))
        self.storage = _Storage(kind, key, dense.ravel())
        self.arguments = (
            self.storage,
            0,
            array.shape,
            tuple(strides[i] for i in range(array.ndim)),
            False,
            collections.OrderedDict(),
        )
        self.rebuild = torch._utils._rebuild_tensor_v2

    def __reduce__(self):
        return self.rebuild, self.arguments


class _Pickler(pickle.Pickler):
    older = False

    def persistent_id(self, obj):
        if not isinstance(obj, _Storage):
            return None
        return ("storage", obj.kind, obj.key, "cpu", obj.array.size, *([None] if self.older else []))


def write_pth(path, arrays, older=False, permuted=False):
    """A state dict as torch.save() writes it. older: in the form before version 1.6. permuted: 4-D tensors lie in another order."""
    with _fake_torch() as torch:
        tensors = [
            _Tensor(torch, str(i), a, (2, 3, 1, 0) if permuted and a.ndim == 4 else None) for i, a in enumerate(arrays.values())
        ]
        content = io.BytesIO()
        pickler = _Pickler(content, 2)
        pickler.older = older
        pickler.dump(collections.OrderedDict(zip(arrays, tensors)))
    storages = [t.storage for t in tensors]
    with open(path, "wb") as file:
        if older:
            for plain in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}):
                pickle.dump(plain, file, 2)
            file.write(content.getvalue())
            pickle.dump([s.key for s in storages], file, 2)
            for s in storages:
                file.write(struct.pack("<q", s.array.size) + s.array.tobytes())
            return
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", content.getvalue())
            archive.writestr("archive/byteorder", "little")
            for s in storages:
                archive.writestr(f"archive/data/{s.key}", s.array.tobytes())


def write_safetensors(path, arrays):
    """A file of float32 (or int64) tensors."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, a in arrays.items():
        kind = "I64" if a.dtype == np.int64 else "F32"
        header[name] = {"dtype": kind, "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(np.ascontiguousarray(a).tobytes() for a in arrays.values()))


class Net:
    """The layers of torch.nn by the names of a state dict, on images (batch, channels, height, width). Weights are drawn when
    they are first asked for, so that running a model makes its state dict."""

    def __init__(self, seed=0):
        self.state, self._rng = {}, np.random.default_rng(seed)

    def _weight(self, name, shape, low, high):
        if name not in self.state:
            self.state[name] = self._rng.uniform(low, high, shape).astype("float32")
        return self.state[name]

    def conv(self, x, name, outputs, kernel, stride=1, groups=1, bias=False):
        import jax

        bound = (6 / (x.shape[1] // groups * kernel * kernel)) ** 0.5
        weight = self._weight(f"{name}.weight", (outputs, x.shape[1] // groups, kernel, kernel), -bound, bound)
        pad = [(kernel // 2, kernel // 2)] * 2
        y = jax.lax.conv_general_dilated(
            x, weight, (stride, stride), pad, dimension_numbers=("NCHW", "OIHW", "NCHW"), feature_group_count=groups
        )
        return y + self._weight(f"{name}.bias", (outputs,), -0.1, 0.1)[:, None, None] if bias else y

    def norm(self, x, name):
        shape = (x.shape[1],)
        weight, bias = self._weight(f"{name}.weight", shape, 0.5, 0.8), self._weight(f"{name}.bias", shape, -0.1, 0.1)
        mean, variance = (
            self._weight(f"{name}.running_mean", shape, -0.1, 0.1),
            self._weight(f"{name}.running_var", shape, 0.7, 1.3),
        )
        self.state[f"{name}.num_batches_tracked"] = np.array(7)
        scale = weight / np.sqrt(variance + 1e-5)
        return x * scale[:, None, None] + (bias - mean * scale)[:, None, None]

    def linear(self, x, name, outputs):
        bound = (6 / x.shape[1]) ** 0.5
        return x @ self._weight(f"{name}.weight", (outputs, x.shape[1]), -bound, bound).T + self._weight(
            f"{name}.bias", (outputs,), -1, 1
        )


def max_pool(x, kernel, stride, pad):
    import jax

    padding = ((0, 0), (0, 0), (pad, pad), (pad, pad))
    return jax.lax.reduce_window(x, -np.inf, jax.lax.max, (1, 1, kernel, kernel), (1, 1, stride, stride), padding)


def resnet50(net, x, classes):
    """torchvision.models.resnet50: the stride of a block is in its 3x3 convolution."""
    relu = lambda t: t.clip(0)
    x = max_pool(relu(net.norm(net.conv(x, "conv1", 64, 7, 2), "bn1")), 3, 2, 1)
    for stage, depth in enumerate((3, 4, 6, 3), 1):
        for i in range(depth):
            name, stride, width = f"layer{stage}.{i}", 2 if stage > 1 and i == 0 else 1, 64 * 2 ** (stage - 1)
            shortcut = x
            if i == 0:
                shortcut = net.norm(net.conv(x, f"{name}.downsample.0", 4 * width, 1, stride), f"{name}.downsample.1")
            x = relu(net.norm(net.conv(x, f"{name}.conv1", width, 1), f"{name}.bn1"))
            x = relu(net.norm(net.conv(x, f"{name}.conv2", width, 3, stride), f"{name}.bn2"))
            x = relu(shortcut + net.norm(net.conv(x, f"{name}.conv3", 4 * width, 1), f"{name}.bn3"))
    return net.linear(x.mean((2, 3)), "fc", classes)


def mobilenet_v2(net, x, classes):
    """torchvision.models.mobilenet_v2."""
    relu6 = lambda t: t.clip(0, 6)
    x = relu6(net.norm(net.conv(x, "features.0.0", 32, 3, 2), "features.0.1"))
    number = 1
    for widening, width, depth, first_stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):  # fmt: skip
        for i in range(depth):
            name, stride, y, step = f"features.{number}.conv", first_stride if i == 0 else 1, x, 0
            if widening > 1:
                y, step = relu6(net.norm(net.conv(y, f"{name}.0.0", widening * x.shape[1], 1), f"{name}.0.1")), 1
            y = relu6(net.norm(net.conv(y, f"{name}.{step}.0", y.shape[1], 3, stride, groups=y.shape[1]), f"{name}.{step}.1"))
            y = net.norm(net.conv(y, f"{name}.{step + 1}", width, 1), f"{name}.{step + 2}")
            x, number = (x + y if stride == 1 and x.shape[1] == width else y), number + 1
    x = relu6(net.norm(net.conv(x, "features.18.0", 1280, 1), "features.18.1"))
    return net.linear(x.mean((2, 3)), "classifier.1", classes)


def vgg16(net, x, classes):
    """torchvision.models.vgg16, for images whose features it need not pool."""
    number = 0
    for depth, width in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(depth):
            x, number = net.conv(x, f"features.{number}", width, 3, bias=True).clip(0), number + 2
        x, number = max_pool(x, 2, 2, 0), number + 1
    x = x.reshape(x.shape[0], -1)
    for name in ("classifier.0", "classifier.3"):
        x = net.linear(x, name, 4096).clip(0)
    return net.linear(x, "classifier.6", classes)
