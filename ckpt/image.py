"""`ckpt.image`: images, by TensorFlow's names. Defines nothing itself."""
# fmt: off
# isort: skip_file

from ckpt.model.encoded_images import (
    adjust_jpeg_quality,
    decode_image,
    is_jpeg,
    random_jpeg_quality,
)
from ckpt.model.image_measures import (
    image_gradients, psnr, resize_image_with_pad, rgb_to_yiq, rgb_to_yuv, sobel_edges,
    yiq_to_rgb, yuv_to_rgb,
)
from ckpt.model.images import (
    adjust_brightness, adjust_contrast, adjust_gamma, adjust_hue, adjust_saturation,
    central_crop, convert_image_dtype, crop_to_bounding_box, flip_left_right, flip_up_down,
    grayscale_to_rgb, pad_to_bounding_box, per_image_standardization, random_brightness,
    random_contrast, random_flip_left_right, random_flip_up_down, random_hue, random_saturation,
    resize_images as resize, resize_area, resize_bicubic, resize_bilinear,
    resize_image_with_crop_or_pad, resize_images, resize_nearest_neighbor,
    resize_with_crop_or_pad, ResizeMethod, rgb_to_grayscale, rot90, total_variation,
    transpose_image as transpose, transpose_image,
)
from ckpt.model.similarity import ssim, ssim_multiscale
from ckpt.ops.box_sampling import sample_distorted_bounding_box
from ckpt.ops.boxes import (
    crop_and_resize, non_max_suppression, non_max_suppression_overlaps,
    non_max_suppression_padded, non_max_suppression_with_scores,
)
from ckpt.ops.boxes_by_class import combined_non_max_suppression
from ckpt.ops.colours import hsv_to_rgb, rgb_to_hsv
from ckpt.ops.distributions import random_crop
from ckpt.ops.drawing import draw_bounding_boxes, extract_glimpse
from ckpt.ops.extraction import extract_image_patches, extract_image_patches as extract_patches
from ckpt.ops.image_files import (
    decode_and_crop_jpeg,
    decode_bmp,
    decode_gif,
    decode_jpeg,
    decode_png,
    encode_jpeg,
    encode_png,
    extract_jpeg_shape,
)

__all__ = [
    "ResizeMethod", "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue",
    "adjust_jpeg_quality", "adjust_saturation", "central_crop", "combined_non_max_suppression",
    "convert_image_dtype", "crop_and_resize", "crop_to_bounding_box", "decode_and_crop_jpeg",
    "decode_bmp", "decode_gif", "decode_image", "decode_jpeg", "decode_png",
    "draw_bounding_boxes", "encode_jpeg", "encode_png", "extract_glimpse",
    "extract_image_patches", "extract_jpeg_shape", "extract_patches", "flip_left_right",
    "flip_up_down", "grayscale_to_rgb", "hsv_to_rgb", "image_gradients", "is_jpeg",
    "non_max_suppression", "non_max_suppression_overlaps", "non_max_suppression_padded",
    "non_max_suppression_with_scores", "pad_to_bounding_box", "per_image_standardization",
    "psnr", "random_brightness", "random_contrast", "random_crop", "random_flip_left_right",
    "random_flip_up_down", "random_hue", "random_jpeg_quality", "random_saturation", "resize",
    "resize_area", "resize_bicubic", "resize_bilinear", "resize_image_with_crop_or_pad",
    "resize_image_with_pad", "resize_images", "resize_nearest_neighbor",
    "resize_with_crop_or_pad", "rgb_to_grayscale", "rgb_to_hsv", "rgb_to_yiq", "rgb_to_yuv",
    "rot90", "sample_distorted_bounding_box", "sobel_edges", "ssim", "ssim_multiscale",
    "total_variation", "transpose", "transpose_image", "yiq_to_rgb", "yuv_to_rgb",
]
