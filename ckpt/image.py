"""`ckpt.image`: images, by TensorFlow's names. Defines nothing itself."""
# fmt: off
# isort: skip_file

from ckpt.model.images import (
    adjust_brightness, adjust_contrast, adjust_gamma, adjust_hue, adjust_saturation,
    central_crop, convert_image_dtype, crop_to_bounding_box, flip_left_right, flip_up_down,
    grayscale_to_rgb, pad_to_bounding_box, per_image_standardization, random_brightness,
    random_contrast, random_flip_left_right, random_flip_up_down, random_hue, random_saturation,
    resize_area, resize_bicubic, resize_bilinear, resize_image_with_crop_or_pad, resize_images,
    resize_nearest_neighbor, resize_with_crop_or_pad, ResizeMethod, rgb_to_grayscale, rot90,
    total_variation, transpose_image as transpose, transpose_image,
)
from ckpt.ops.colours import hsv_to_rgb, rgb_to_hsv
from ckpt.ops.distributions import random_crop

__all__ = [
    "ResizeMethod", "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue",
    "adjust_saturation", "central_crop", "convert_image_dtype", "crop_to_bounding_box",
    "flip_left_right", "flip_up_down", "grayscale_to_rgb", "hsv_to_rgb", "pad_to_bounding_box",
    "per_image_standardization", "random_brightness", "random_contrast", "random_crop",
    "random_flip_left_right", "random_flip_up_down", "random_hue", "random_saturation",
    "resize_area", "resize_bicubic", "resize_bilinear", "resize_image_with_crop_or_pad",
    "resize_images", "resize_nearest_neighbor", "resize_with_crop_or_pad", "rgb_to_grayscale",
    "rgb_to_hsv", "rot90", "total_variation", "transpose", "transpose_image",
]
