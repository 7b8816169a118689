"""The cells of recurrent nets in one launch each: a step is one product and one cell. See `native.recurrent.Cells`."""

from mlkit.backends.native.cuda.row import Launcher, computed, number


class LaunchedCells(Launcher):
    parts = ("recurrent",)

    def lstm(self, z, step, c, hs):
        sizes = dict(units=c.shape[0], batch=c.shape[1], stride=hs.strides[0] // hs.itemsize)
        self._start("lstm_cell", c, dict(z=z, step=step, c=c, hs=hs), sizes)

    def lstm_grad(self, step, ghs, dh, dc, now, dz):
        arrays = dict(step=step, ghs=ghs, dh=dh, dc=dc, now=now, dz=dz)
        gate, unit = (s // dz.itemsize for s in dz.strides[:2])
        sizes = dict(units=dc.shape[0], batch=dc.shape[1], stride=_stride(ghs), gate_stride=gate, unit_stride=unit)
        self._start("lstm_cell_gradient", dc, arrays, sizes)

    def gru(self, z, product, bias, h, step, hs):
        arrays = dict(z=z, product=product, bias=bias, h=h, step=step, hs=hs)
        self._start("gru_cell", h, arrays, dict(units=h.shape[1], batch=h.shape[0]))

    def gru_grad(self, step, before, ghs, product, dh, dx, ds):
        arrays = dict(step=step, before=before, ghs=ghs, product=product, dh=dh, dx=dx, ds=ds)
        self._start("gru_cell_gradient", dh, arrays, dict(units=dh.shape[1], batch=dh.shape[0], stride=_stride(ghs)))

    def gru_gates(self, z, product, h, step, chosen):
        arrays = dict(z=z, product=product, h=h, step=step, chosen=chosen)
        self._start("gru_gates", h, arrays, dict(units=h.shape[1], batch=h.shape[0]))

    def gru_candidate(self, z, product, h, step, hs):
        arrays = dict(z=z, product=product, h=h, step=step, hs=hs)
        self._start("gru_candidate", h, arrays, dict(units=h.shape[1], batch=h.shape[0]))

    def gru_candidate_grad(self, step, before, ghs, product, dh, dx, dc):
        arrays = dict(step=step, before=before, ghs=ghs, product=product, dh=dh, dx=dx, dc=dc)
        self._start("gru_candidate_gradient", dh, arrays, dict(units=dh.shape[1], batch=dh.shape[0], stride=_stride(ghs)))

    def gru_gates_grad(self, step, d_chosen, dh, dx, ds):
        arrays = dict(step=step, d_chosen=d_chosen, dh=dh, dx=dx, ds=ds)
        self._start("gru_gates_gradient", dh, arrays, dict(units=dh.shape[1], batch=dh.shape[0]))

    def rnn(self, product, hs, activation):
        sizes = dict(units=hs.shape[1], batch=hs.shape[0])
        self._start("rnn_cell", hs, dict(product=product, hs=hs), sizes, activation.capitalize())

    def rnn_grad(self, hs, ghs, dh, dz, activation):
        sizes = dict(units=hs.shape[1], batch=hs.shape[0], stride=_stride(ghs))
        self._start("rnn_cell_gradient", hs, dict(hs=hs, ghs=ghs, dh=dh, dz=dz), sizes, activation.capitalize())

    def _start(self, template, of, arrays, sizes, *types):
        kind = computed(of)
        arguments = [(f"{kind}*", name, array) for name, array in arrays.items()]
        arguments += [("long long", name, number(size)) for name, size in sizes.items()]
        self.start(template, [*types, kind], arguments, -(-of.size // 256))


def _stride(ghs):
    """Elements from one sample to the next."""
    return 0 if ghs is None else ghs.strides[0] // ghs.itemsize
