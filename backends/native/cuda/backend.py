"""CudaBackend: what mlkit asks of a backend, for one GPU. Kernels take arrays of NumPy too, which are copied to the GPU first."""

import numpy as np

from mlkit.backends.native.backend import NativeBackend
from mlkit.backends.native.cuda.uploads import Uploads
from mlkit.backends.native.cuda.words import in_words, is_of_cuda, translated
from mlkit.backends.native.device import register
from mlkit.core import dtypes
from mlkit.core.backend import register_arrays


class CudaBackend(NativeBackend):
    """CuPy's arrays on one GPU.

    Args:
        device: The GPU, a `cuda.device.Cuda`.
        host: The backend of the CPU.
    """

    def __init__(self, device, host):
        super().__init__(register(device))
        xp = device.xp
        self.host = host
        register_arrays(xp.ndarray, self)
        self.kernels = {name: _adopting(device, kernel) for name, kernel in self.table.items()}
        self._uploads = Uploads(device)

    @in_words
    def asarray(self, host, dtype, owned=False):
        self.device.enter()
        if isinstance(host, self.xp.ndarray):
            return self.adopt(host).astype(dtypes.as_numpy(dtype))
        return self.xp.asarray(np.asarray(host, dtypes.as_numpy(dtype)))

    @in_words
    def to_numpy(self, array):
        if (owner := self._of(array)) is not self:
            return owner.to_numpy(array)
        self.device.enter()
        is_here = isinstance(array, self.xp.ndarray)
        host = array.get() if is_here else np.asarray(array)
        self.device.raise_doubts()
        view = host.view()
        view.flags.writeable = False
        return view

    def borrow(self, host, dtype):
        sent = self._uploads.find(host)
        return self.asarray(host, dtype) if sent is None else sent

    @in_words
    def ahead(self, batch):
        self.device.enter()
        return self._uploads.send(batch)

    @in_words
    def own(self, array):
        if self._of(array) is not self:
            return self.adopt(array)  # a copy
        self.device.enter()
        return self.xp.array(array)

    @in_words
    def adopt(self, array):
        """An array of the GPU from one of NumPy or of another GPU."""
        owner = self._of(array)
        if owner is not self:
            owner.device.enter()
            self.device.streams.after(owner.device.streams.computing, self.device.streams.computing)
        self.device.enter()
        own = self.xp.asarray(array)
        if owner is not self:
            self.device.streams.hold(array)  # which is read when this GPU comes to it
        return own

    def export(self, array):
        self._of(array).device.enter()  # who takes it waits for the stream that is current
        return array

    def _of(self, array):
        """The backend of the GPU that an array lies on; this one for others."""
        if self.device.is_alone or not isinstance(array, self.xp.ndarray) or array.data.device_id == self.device.number:
            return self
        return self.host.on(f"cuda:{array.data.device_id}")

    def devices(self):
        return self.host.devices()

    def on(self, device):
        return self.host.on(device)

    def missing(self, kind):
        return self.host.missing(kind)

    def device_of(self, array):
        return f"cuda:{array.device.id}" if isinstance(array, self.xp.ndarray) else self.host.device_name

    @in_words
    def synchronize(self):
        self.device.wait()

    def num_threads(self):
        return self.host.num_threads()

    def set_num_threads(self, number):
        self.host.set_num_threads(number)


def _adopting(device, kernel):
    """The kernel, which finds arrays of NumPy on the GPU: numbers in any case, others where no argument is on a GPU yet."""
    own = device.xp.ndarray

    def run(*args, **params):
        device.enter()
        if numbers := [i for i in device.elsewhere(args) if isinstance(args[i], (np.ndarray, own))]:
            on_gpus = any(type(a) is own for a in args)
            if any(type(args[i]) is own or (on_gpus and args[i].ndim) for i in numbers):
                raise ValueError(f"{device.name}: arguments {numbers} lie elsewhere.")  # the interpreter names op and devices
            args = [device.backend.adopt(a) if i in numbers else a for i, a in enumerate(args)]
        try:
            return kernel(*args, **params)
        except Exception as error:
            if not is_of_cuda(error):
                raise
            raise translated(device, error) from error

    return run
