"""What users are told where a GPU has no room or fails: nobody is to read CuPy's own errors."""

import functools

from mlkit.core import dtypes

_GB = 1 << 30
_SPARE = 600 << 20  # bytes that the driver takes for a process, about, which are not other programs'


def in_words(method):
    """A method of something that has a `device`, whose errors of CuPy and CUDA are told as ours."""

    @functools.wraps(method)
    def told(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            if not is_of_cuda(error):
                raise
            raise translated(self.device, error) from error

    return told


_OF_LINALG = "cufft", "cusolver", "cusparse"  # libraries of CUDA that the extra `cuda` does without


def is_of_cuda(error):
    return type(error).__module__.partition(".")[0] in ("cupy", "cupy_backends") or _lacks_library(error)


def _lacks_library(error):
    return isinstance(error, ImportError) and any(name in str(error) for name in _OF_LINALG)


def translated(device, error):
    """An error of CuPy's as one that says what happened and what to do."""
    if isinstance(error, MemoryError):
        return MemoryError(f"{device.name} has no room for what was asked: {error} {_room(device)} {_ADVICE}")
    text = str(error)
    if _lacks_library(error):
        return ImportError(
            f"{device.name}: Fourier transforms, decompositions and solvers need a library of CUDA that is not installed ({text}): "
            'pip install "mlkit-engine[cuda-linalg]" (beside CUDA 12: "mlkit-engine[cuda12-linalg]"). MLKIT_DEVICE=cpu does without.'
        )
    if "IllegalAddress" in text or "LaunchFailure" in text or "ILLEGAL_ADDRESS" in text:
        return RuntimeError(
            f"A kernel on {device.name} reached outside of its memory ({text}). It may be one that was asked for before: a GPU tells "
            "late. This process cannot use the GPU any more. Please report it with what `python -m mlkit selftest` prints; "
            "MLKIT_DEVICE=cpu computes meanwhile."
        )
    return RuntimeError(
        f"{device.name}: CUDA failed: {text}. (MLKIT_CAPTURE=0 launches kernels one by one, which tells more of where; MLKIT_DEVICE=cpu "
        "does without the GPU.)"
    )


_ADVICE = "Smaller batches take less, and so does mixed precision."


_STEPS = {"train_step": "a training step", "test_step": "a step of evaluation", "predict_step": "a step of prediction"}


def named(function):
    """What a program does, from the name of the function that it was traced from.

    >>> named("train_step of 'resnet50'"), named("f"), named("")
    ("a training step of 'resnet50'", 'the compiled function f', 'a program')
    """
    step, _, rest = function.partition(" ")
    if step in _STEPS:
        return f"{_STEPS[step]} {rest}"
    return f"the compiled function {function}" if function else "a program"


def check_room(device, plan, name, held):
    """Raise MemoryError before a program is run whose memory cannot be had.

    Args:
        device: The GPU.
        plan: Of the program.
        name: Of the function that the program was traced from.
        held: Bytes of an arena that is given back before.
    """
    free, total = device.memory()
    given = plan.input_bytes - plan.state_bytes  # which lie in place of their own for the graph
    needed, free = plan.arena_bytes + plan.result_bytes + given, free + held
    if needed <= free:
        return
    raise MemoryError(
        f"{named(name)} needs {_gb(needed)}, {device.name} has {_gb(free)} free of {_gb(total, unit=False)}. {_others(device)}"
        f"{_batches(plan, needed, free)}{_ADVICE}"
    )


def _batches(plan, needed, free):
    """How large batches may be, as a sentence, where the inputs say how large they are now."""
    graph, written = plan.graph, set(plan.graph.successors)
    first = len(graph.inputs) - graph.state
    sizes = {v.shape[0] if v.shape else None for v in graph.inputs[:first]}
    size = sizes.pop() if len(sizes) == 1 else None
    # Gradients do not grow with the batch; they take what the weights do, which is less than all that a step writes.
    steady = sum(_nbytes(v) for i, v in enumerate(graph.inputs) if i in written)
    most = size and int(size * (free - steady) / max(needed - steady, 1))
    return f"Batches of up to {most} fit. " if most and 0 < most < size else ""


def _nbytes(v):
    count = 1
    for n in v.shape:
        count *= n
    return count * dtypes.itemsize(v.dtype)


def _room(device):
    free, total = device.memory()
    return f"{_gb(free)} are free of {_gb(total, unit=False)}. {_others(device)}".rstrip()


def _others(device):
    """How much is not this program's, as a sentence, if it is much."""
    others = device.taken_by_others() - _SPARE
    return f"Other programs hold {_gb(others)} of it (nvidia-smi names them). " if others > _GB // 2 else ""


def _gb(nbytes, unit=True):
    """13.2 GB, 840 MB, 16 GB.

    >>> _gb(15 << 30), _gb(500 << 20), _gb(1 << 34, unit=False)
    ('15 GB', '500 MB', '16')
    """
    if nbytes < _GB and unit:
        return f"{nbytes / (1 << 20):.0f} MB"
    return f"{nbytes / _GB:.1f}".removesuffix(".0") + (" GB" if unit else "")


OLD = 80  # the compute capability from which on bfloat16 and TF32 are computed with


def has_bfloat16(graph):
    return any(v.dtype == "bfloat16" for call in graph.calls for v in call.outs)


def old_card(device):
    """What is said where bfloat16 is asked of a card that cannot compute with it."""
    capability = str(device.xp.cuda.Device(device.number).compute_capability)
    if int(capability) >= OLD:
        return None
    return (
        f"{device.name} is of compute capability {capability[:-1]}.{capability[-1]}, and bfloat16 is computed with from 8.0 on. Here it is "
        'converted to float32 for each step of the computation: that saves memory, no time. "mixed_float16" is what this card is fast with.'
    )
