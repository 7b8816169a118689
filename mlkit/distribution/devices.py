"""The devices that there are."""

from mlkit.core.mesh import default_devices

_KINDS = ("cpu", "gpu", "tpu", "cuda")


def list_devices(device_type: str | None = None) -> list[str]:
    """Names of the devices of one kind, those of all processes.

    Args:
        device_type: "cpu", "gpu" or "tpu"; by default accelerators if there are any, else the CPU.

    Returns:
        Names such as "cpu:0". Where there are none of the kind, an empty list.

    Raises:
        ValueError: There is no such kind.

    >>> import mlkit
    >>> mlkit.distribution.list_devices("cpu")
    ['cpu:0']
    """
    kind = device_type.lower() if device_type else None
    if kind is not None and kind not in _KINDS:
        raise ValueError(f"list_devices: `device_type` must be one of {', '.join(_KINDS)} or None, but got {device_type!r}.")
    return default_devices(kind)


def get_device_count(device_type: str | None = None) -> int:
    """How many devices of one kind there are; see `list_devices`.

    Args:
        device_type: "cpu", "gpu" or "tpu"; None counts those that `list_devices()` names.
    """
    return len(list_devices(device_type))
