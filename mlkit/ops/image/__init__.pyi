# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.ops.image.color import hsv_to_rgb as hsv_to_rgb
from mlkit.ops.image.color import rgb_to_grayscale as rgb_to_grayscale
from mlkit.ops.image.color import rgb_to_hsv as rgb_to_hsv
from mlkit.ops.image.filters import gaussian_blur as gaussian_blur
from mlkit.ops.image.filters import sobel_edges as sobel_edges
from mlkit.ops.image.filters import ssim as ssim
from mlkit.ops.image.frame import crop_images as crop_images
from mlkit.ops.image.frame import pad_images as pad_images
from mlkit.ops.image.patches import extract_patches as extract_patches
from mlkit.ops.image.patches import extract_patches_3d as extract_patches_3d
from mlkit.ops.image.resizing import resize as resize
from mlkit.ops.image.resizing import scale_and_translate as scale_and_translate
from mlkit.ops.image.warping import affine_transform as affine_transform
from mlkit.ops.image.warping import elastic_transform as elastic_transform
from mlkit.ops.image.warping import map_coordinates as map_coordinates
from mlkit.ops.image.warping import perspective_transform as perspective_transform
