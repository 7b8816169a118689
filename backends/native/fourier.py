"""Fourier transforms over `xp`."""


def make(xp):
    """Op name -> kernel."""

    def irfft(x, length):
        return xp.fft.irfft(x, length).astype(x.real.dtype, copy=False)

    def rfft(x):
        return xp.fft.rfft(x).astype("complex64" if x.dtype.itemsize == 4 else "complex128", copy=False)

    return dict(
        fft=lambda x: xp.fft.fft(x).astype(x.dtype, copy=False),  # NumPy below 2 computes all in complex128
        ifft=lambda x: xp.fft.ifft(x).astype(x.dtype, copy=False),
        rfft=rfft,
        irfft=irfft,
    )
