"""TorchModuleWrapper: a module of PyTorch as a layer. What runs is PyTorch's; variables, training and files are ours."""

import base64
import contextlib
import hashlib
import io
import threading
from collections.abc import Sequence
from typing import Any

from mlkit.core import tree
from mlkit.core.tensor import Tensor
from mlkit.layers.layer import Layer
from mlkit.layers.torch_function import TorchFunction, array_of, tensor_of, torch
from mlkit.objects import registry
from mlkit.objects.seed_generator import draw_seed
from mlkit.primitives.foreign import call_foreign

_running = threading.RLock()  # a module holds the weights of one call at a time
_own_pickles: set[bytes] = set()  # digests of those that this process has written: they hold what it knows already


class TorchModuleWrapper(Layer):
    """A `torch.nn.Module` as a layer: its parameters and buffers become variables, which optimizers of ours train.

    Args:
        module: the module; a lazy one must have been called before.
        output_shape: that of the results, where PyTorch cannot find it without values.

    The layer takes what the module's `forward` takes. With `training=False` the module is in evaluation mode, else in training
    mode. Under mixed precision `torch.autocast` chooses what is computed in the compute dtype.

    `module` gives the module back with the weights that the layer has by then. A step of a compiled model calls PyTorch twice for
    each such layer, forward and for the gradient, which computes the layer anew.

    Files hold the module as a pickle, as Keras's do. Loading runs no code out of a file: give the module again, under the name of
    the layer, ``load_model(path, custom_objects={"torch_module_wrapper": module})``; the weights come from the file.

    Inputs and outputs have the shapes of the module's: images are (batch, channels, height, width) to PyTorch.
    """

    def __init__(self, module: Any, name: str | None = None, output_shape: Any = None, **kwargs: Any):
        super().__init__(name=name, **kwargs)
        if isinstance(module, torch.nn.modules.lazy.LazyModuleMixin) and module.has_uninitialized_params():
            raise ValueError(f"TorchModuleWrapper: {module} is lazy and has no parameters yet. Call it once on data before.")
        self._module, self.output_shape = module.cpu(), output_shape
        self._parameters = {name: self._variable(p, trainable=p.requires_grad) for name, p in self._module.named_parameters()}
        self._buffers = {name: self._variable(b, trainable=False) for name, b in self._module.named_buffers()}
        self._functions: dict[Any, Any] = {}  # what differs between calls but for tensors -> what is called
        self.built = True

    def _variable(self, tensor, trainable):
        array = array_of(tensor)
        return self.add_weight(array.shape, array, array.dtype.name, trainable=trainable, autocast=False)

    @property
    def module(self) -> Any:
        """The module, with the layer's weights of this moment. What is changed in it does not change the layer."""
        with _running, torch.no_grad():
            state = self._tensors()
            for name, variable in self._named():
                state[name].copy_(tensor_of(variable.numpy()))
        return self._module

    def parameters(self, recurse: bool = True) -> Any:
        """The module's parameters, as `module` gives them."""
        return self.module.parameters(recurse=recurse)

    def _tensors(self):
        """Those of the module itself, by name."""
        return {**dict(self._module.named_parameters()), **dict(self._module.named_buffers())}

    def _named(self):
        return [*self._parameters.items(), *self._buffers.items()]

    def call(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        structure = args, kwargs
        leaves = tree.flatten(structure)
        fixed = tuple(None if type(x) is Tensor else (type(x), x) for x in leaves)
        mode = training is not False
        key = str(tree.map_structure(lambda x: 0, structure)), fixed, mode, self.compute_dtype
        called = self._functions.get(key)
        if called is None:
            called = self._functions[key] = _Call(self, structure, fixed, mode)
        named = self._named()
        tensors = [x for x in leaves if type(x) is Tensor] + [v.value for _, v in named]
        if mode:
            tensors.append(draw_seed(None))
        results = call_foreign(called.function, tensors)
        if mode:
            n = len(results) - len(self._buffers)
            for variable, value in zip(self._buffers.values(), results[n:]):
                variable.assign(value)
            results = results[:n]
        return called.packed(results)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        return super().compute_output_shape(*args, **kwargs) if self.output_shape is None else self.output_shape

    # ---- files ---------------------------------------------------------------------------------------------------

    @property
    def _saved_variables(self):
        """Under the names that the module's `state_dict` has for them."""
        with _running:
            tensors, found = self._tensors(), self._module.state_dict(keep_vars=True)  # where tied parameters occur twice
        variables = {id(tensors[name]): variable for name, variable in self._named()}
        return {name: variables[id(t)] for name, t in found.items() if id(t) in variables}

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold: all but the functions made for calls."""
        return {**self.__dict__, "_functions": {}}

    def get_config(self) -> dict[str, Any]:
        buffer = io.BytesIO()
        torch.save(self.module, buffer)
        pickled = buffer.getvalue()
        _own_pickles.add(hashlib.sha256(pickled).digest())
        return {**self._common_config(), "module": base64.b64encode(pickled).decode(), "output_shape": self.output_shape}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TorchModuleWrapper":
        name, module = config.get("name"), registry.get_registered_object(config.get("name"))
        if module is None:
            pickled = base64.b64decode(config["module"])
            if hashlib.sha256(pickled).digest() not in _own_pickles:
                raise ValueError(
                    f"Layer {name!r} holds a module of PyTorch as a pickle. Reading it would be arbitrary code execution, so mlkit "
                    f"does not. Make the module and pass it: custom_objects={{{name!r}: module}}; its weights come from the file."
                )
            module = torch.load(io.BytesIO(pickled), weights_only=False)
        return cls(**{**config, "module": module})


class _Call:
    """A call of a wrapper's module with all that is no tensor fixed, as a function of the tensors: those among the arguments,
    parameters, buffers and, in training, a random key. In training it returns the new values of the buffers too."""

    def __init__(self, wrapper: TorchModuleWrapper, structure: Any, fixed: tuple[Any, ...], mode: bool):
        module, names, buffers = wrapper._module, [name for name, _ in wrapper._named()], list(wrapper._buffers)
        n, autocast = fixed.count(None), _autocast(wrapper)
        structure = tree.map_structure(lambda x: None, structure)
        noted = self._noted = {}  # the form of what is returned, and what is no tensor there, once that is known

        def run(*tensors: Any) -> Sequence[Any]:
            rest = iter([x.clone() for x in tensors[:n]])  # the module may write into its inputs
            args, kwargs = tree.pack_sequence_as(structure, [next(rest) if f is None else f[1] for f in fixed])
            state = dict(zip(names, tensors[n:]))
            for name in buffers:
                state[name] = state[name].detach().clone()  # it writes into these
            with _running, _seeded(tensors[-1] if mode else None), autocast():
                module.train(mode)
                results = torch.func.functional_call(module, state, args, kwargs)
            leaves = tree.flatten(results)
            noted["form"] = tree.map_structure(lambda x: 0, results)
            noted["fixed"] = [None if torch.is_tensor(x) else (x,) for x in leaves]
            return [*filter(torch.is_tensor, leaves), *([state[name] for name in buffers] if mode else ())]

        run.__name__ = type(module).__name__
        self.function = TorchFunction(run)

    def packed(self, results: Sequence[Tensor]) -> Any:
        """The tensors nested as the module returns them."""
        rest = iter(results)
        return tree.pack_sequence_as(self._noted["form"], [next(rest) if f is None else f[0] for f in self._noted["fixed"]])


def _autocast(wrapper):
    """What the module is called within: torch.autocast where parameters are wider than what is computed in."""
    wanted = wrapper.compute_dtype
    if wanted in ("float16", "bfloat16") and any(v.dtype == "float32" for v in wrapper._parameters.values()):
        return lambda: torch.autocast("cpu", getattr(torch, wanted))
    return contextlib.nullcontext


@contextlib.contextmanager
def _seeded(key):
    """A block whose random numbers are those of a key; the caller's generator stays where it is."""
    if key is None or key.is_meta:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        high, low = key.tolist()
        torch.random.default_generator.manual_seed(high << 31 ^ low)
        yield
