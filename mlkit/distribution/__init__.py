"""Training on many devices and processes, under the names of `keras.distribution`."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(
    __name__,
    {
        "mlkit.core.mesh": "DeviceMesh TensorLayout",
        ".devices": "get_device_count list_devices",
        ".in_force": "distribute_tensor distribution set_distribution",
        ".layout_map": "LayoutMap",
        "mlkit.models.forecast": "forecast",
        ".calling": "run",
        ".processes": "initialize",
        ".strategies": "DataParallel Distribution ModelParallel",
    },
)
