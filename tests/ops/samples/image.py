"""Functions of mlkit.ops.image."""

from tests.ops.sample import Bad, S, const, f, i, unit

_IMAGES, _FIRST = unit(2, 5, 6, 3), unit(2, 3, 5, 6)
_SHIFT = const([[1.1, 0.2, -0.6, 0.1, 0.8, 0.7, 0.0, 0.0]])
_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")
_PLACES = const([[-1.3, 0.2, 1.7, 5.6], [2.4, 3.3, -2.1, 0.6]])
_START = const([[[0.0, 0.0], [0.0, 5.0], [4.0, 0.0], [4.0, 5.0]]])
_END = const([[[0.5, 0.3], [-0.2, 5.5], [4.4, 0.1], [3.6, 4.7]]])

SAMPLES = [
    S("image.affine_transform", f(1, 5, 6, 0), f(1, 8), _grad=False),
    *[S("image.resize", _IMAGES, (3, 9), interpolation=m) for m in ("bilinear", "bicubic", "lanczos3", "lanczos5", "nearest")],
    *[S("image.resize", _IMAGES, (3, 4), interpolation=m, antialias=True) for m in ("bilinear", "bicubic", "lanczos3")],
    S("image.resize", _IMAGES, (7, 8), antialias=True),
    *[
        S("image.resize", unit(22, 20, 1), n, interpolation="nearest") for n in ((29, 54), (55, 37))
    ],  # centres between two pixels
    S("image.resize", unit(5, 6, 3), (7, 6)),
    S("image.resize", _FIRST, (7, 4), data_format="channels_first"),
    S("image.resize", i(0, 255, 2, 5, 6, 3, dtype="uint8"), (7, 4), _grad=False),
    S("image.resize", _IMAGES, (4, 8), crop_to_aspect_ratio=True),
    S("image.resize", _IMAGES, (4, 8), pad_to_aspect_ratio=True, fill_value=0.5),
    S("image.scale_and_translate", f(5, 6), (4, 9), const([0.7, 1.4]), const([0.2, -0.8]), (0, 1), "linear", _grad=False),
    S("image.scale_and_translate", f(5, 6), (4, 6), const([0.7]), const([0.2]), (0,), "cubic", antialias=False, _grad=False),
    S("image.rgb_to_grayscale", _IMAGES),
    S("image.rgb_to_grayscale", _FIRST, data_format="channels_first"),
    S("image.rgb_to_grayscale", i(0, 255, 5, 6, 3, dtype="uint8"), _grad=False),
    S("image.rgb_to_hsv", _IMAGES, _second=False),
    S("image.hsv_to_rgb", _IMAGES, _second=False),
    S("image.pad_images", _IMAGES, top_padding=1, left_padding=2, target_height=9, target_width=9),
    S(
        "image.pad_images",
        _FIRST,
        top_padding=1,
        left_padding=2,
        bottom_padding=0,
        right_padding=3,
        data_format="channels_first",
    ),
    S("image.crop_images", _IMAGES, top_cropping=1, left_cropping=2, target_height=3, target_width=3),
    S("image.crop_images", unit(5, 6, 3), bottom_cropping=1, right_cropping=2, target_height=3, target_width=3),
    S("image.extract_patches", _IMAGES, 2),
    S("image.extract_patches", _IMAGES, (3, 2), strides=1, dilation_rate=2),
    S("image.extract_patches", _FIRST, (2, 3), strides=2, padding="same", data_format="channels_first"),
    S("image.extract_patches", unit(4, 4, 4, 2), (2, 2, 1), strides=1),
    S("image.extract_patches_3d", unit(1, 4, 4, 4, 2), 2),
    *[S("image.map_coordinates", f(4, 5), _PLACES, o, fill_mode=m, _second=False) for m in _MODES for o in (0, 1)],
    S("image.map_coordinates", i(0, 9, 4, 5), _PLACES, 1, _grad=False),
    *[S("image.affine_transform", unit(1, 5, 6, n), _SHIFT, fill_mode=m, _grad=False) for m in _MODES for n in (2, 6)],
    S(
        "image.affine_transform",
        unit(5, 6, 2),
        const([0.9, 0.1, 0.3, 0.0, 1.2, 0.4, 0, 0]),
        interpolation="nearest",
        _grad=False,
    ),
    S("image.perspective_transform", unit(1, 5, 6, 2), _START, _END, _grad=False, _atol=1e-4),
    S("image.elastic_transform", _IMAGES, alpha=3.0, sigma=1.0, seed=3, _keras=False, _grad=False, _atol=1e-4),
    S("image.gaussian_blur", _IMAGES, (5, 3), (1.2, 0.7), data_format="channels_last"),
    S("image.gaussian_blur", _FIRST, (4, 3), (1.2, 0.7), data_format="channels_first"),
    S("image.sobel_edges", _IMAGES),
    S("image.ssim", unit(2, 8, 9, 3), unit(2, 8, 9, 3), filter_size=5, _second=False),
    S("image.ssim", unit(8, 9, 3), unit(8, 9, 3), filter_size=5, _second=False),
]

BAD = [
    Bad("image.resize", f(2, 0, 6, 3), (3, 9), interpolation="bicubic", match="no elements"),
    Bad("image.map_coordinates", f(0, 5), f(2, 4), 1, match="no elements"),
    Bad("image.extract_patches", f(2, 1, 6, 3), 2, match="do not fit into images"),
    Bad("image.resize", _IMAGES, (3, 0), match="positive"),
    Bad("image.resize", _IMAGES, (3, 4), interpolation="area", match="interpolation"),
    Bad("image.resize", f(3, 4), (3, 4), match="dimensions"),
    Bad("image.resize", _IMAGES, (3, 4), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True, match="only one"),
    Bad("image.rgb_to_hsv", i(0, 9, 4, 5, 3), match="float"),
    Bad("image.rgb_to_grayscale", unit(4, 5, 2), match="3 channels"),
    Bad("image.pad_images", _IMAGES, top_padding=1, left_padding=1, target_height=9, match="exactly two"),
    Bad("image.crop_images", _IMAGES, top_cropping=1, left_cropping=1, target_height=9, target_width=3, match="does not fit"),
    Bad("image.extract_patches", _IMAGES, 2.5, error=TypeError, match="size"),
    Bad("image.extract_patches_3d", unit(1, 4, 4, 4, 2), (2, 2), error=TypeError, match="size"),
    Bad("image.extract_patches", _IMAGES, 2, padding="full", match="padding"),
    Bad("image.map_coordinates", f(4, 5), f(3, 2), 1, match="coordinates"),
    Bad("image.map_coordinates", f(4, 5), f(2, 2), 2, match="order"),
    Bad("image.affine_transform", _IMAGES, f(7), match="transform"),
    Bad("image.perspective_transform", _IMAGES, f(3, 2), f(4, 2), match="start_points"),
    Bad("image.elastic_transform", _IMAGES, interpolation="cubic", match="interpolation"),
    Bad("image.gaussian_blur", i(0, 9, 4, 5, 3), match="float"),
    Bad("image.sobel_edges", unit(4, 5, 3), match="4 dimensions"),
    Bad("image.ssim", unit(8, 9, 3), unit(8, 8, 3), match="same shape"),
    Bad("image.scale_and_translate", f(5, 6), (4, 9), f(1), f(2), (0, 1), "linear", match="one number for each"),
]
