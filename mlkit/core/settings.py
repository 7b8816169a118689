"""Settings that hold for all threads: the small number of divisions, the layout of images."""

_epsilon, _image_data_format = 1e-7, "channels_last"


def epsilon():
    """The small number that keeps divisions and logarithms finite, 1e-7 unless `set_epsilon` changed it."""
    return _epsilon


def set_epsilon(value):
    """Set the value of `epsilon`."""
    global _epsilon
    _epsilon = float(value)


def image_data_format():
    """The default layout of images: ``"channels_last"`` unless `set_image_data_format` changed it."""
    return _image_data_format


def set_image_data_format(data_format):
    """Set the default layout of images: ``"channels_last"`` or ``"channels_first"``."""
    global _image_data_format
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f'set_image_data_format: expected "channels_last" or "channels_first", but got {data_format!r}.')
    _image_data_format = data_format
