"""The names of `tf.image`: resizing, cutting, turning and colouring images [rows, columns, channels], also in batches.

Functions over operations; knows no kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value_as_shape
from ckpt.model import branches
from ckpt.ops import (
    arithmetic,
    casting,
    clipping,
    colours,
    compare,
    constants,
    contraction,
    control,
    division,
    elementwise,
    indexing,
    joining,
    random,
    reduction,
    resize,
    reversing,
    shaping,
    slicing,
)

GREY = (0.2989, 0.587, 0.114)
"""The shares of red, green and blue in brightness that TensorFlow uses (ITU-R BT.601)."""


class ResizeMethod:
    """How new pixels come of old ones."""

    BILINEAR = 0
    NEAREST_NEIGHBOR = 1
    BICUBIC = 2
    AREA = 3


def _either(opdef: Any, default: str) -> Callable[..., Any]:
    def resized(
        images: Any,
        size: Any,
        align_corners: bool = False,
        name: str | None = None,
        half_pixel_centers: bool = False,
    ) -> Any:
        more = (
            {"half_pixel_centers": half_pixel_centers}
            if "half_pixel_centers" in opdef.attrs
            else {}
        )
        return opdef(images, size, align_corners=align_corners, name=name or default, **more)

    resized.__doc__ = opdef.__doc__
    return resized


resize_bilinear = _either(resize.resize_bilinear_op, "ResizeBilinear")
resize_nearest_neighbor = _either(resize.resize_nearest_op, "ResizeNearestNeighbor")
resize_bicubic = _either(resize.resize_bicubic_op, "ResizeBicubic")
resize_area = _either(resize.resize_area_op, "ResizeArea")
_METHODS = {0: resize_bilinear, 1: resize_nearest_neighbor, 2: resize_bicubic, 3: resize_area}


def _batched(image: Any) -> tuple[Tensor, bool]:
    """(images of rank 4, whether a batch was added), which it is to one of unknown rank. Raises ValueError for other ranks."""
    image = convert.convert_to_tensor(image, name="images")
    rank = image.shape.rank
    if rank not in (None, 3, 4):
        raise ValueError("'image' must have either 3 or 4 dimensions.")
    if rank == 4:
        return image, False
    images = shaping.expand_dims(image, 0)
    images.set_shape([None] * 4)
    return images, True


def _unbatched(images: Tensor, added: bool) -> Tensor:
    return shaping.squeeze(images, [0]) if added else images


def resize_images(
    images: Any, size: Any, method: Any = ResizeMethod.BILINEAR, align_corners: bool = False,
    preserve_aspect_ratio: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """Images in the size [rows, columns]. Raises ValueError for other ranks, sizes and methods."""
    with name_scope(name, "resize", [images, size]):
        images = convert.convert_to_tensor(images, name="images")
        if images.shape.rank is None:
            raise ValueError("'images' contains no shape.")
        images, added = _batched(images)
        size = convert.convert_to_tensor(size, dtype=dtypes.int32, name="size")
        if not size.shape.is_compatible_with((2,)):
            raise ValueError("'size' must be a 1-D Tensor of 2 elements: new_height, new_width")
        if method not in _METHODS:
            raise ValueError(f"Resize method is not implemented: {method}")
        if preserve_aspect_ratio:
            size = _fitting(images, size)
        wanted = constant_value_as_shape(size).with_rank(2).as_list()
        if None not in wanted and wanted == images.shape.as_list()[1:3]:
            return _unbatched(images, added)
        return _unbatched(_METHODS[method](images, size, align_corners), added)


def _fitting(images: Tensor, size: Tensor) -> Tensor:
    """The largest size with the images' own proportions that fits into `size`."""
    old = casting.cast(shaping.shape(images)[1:3], dtypes.float32)
    scale = reduction.reduce_min(casting.cast(size, dtypes.float32) / old)
    return casting.cast(elementwise.round_(old * scale), dtypes.int32)


def _standing(image: Tensor) -> Tensor:
    """`image`, once the checks that can be made are made: all of them while building."""
    found: Tensor = control.identity(image, name="control_dependency")
    return found


def _flipped(image: Any, name: str, axis: int) -> Tensor:
    """`image` backwards along an axis, counted from the end: -2 for columns, -3 for rows."""
    with name_scope(None, name, [image]):
        return _mirrored(_standing(convert.convert_to_tensor(image, name="image")), axis)


def _mirrored(x: Tensor, axis: int) -> Tensor:
    if x.shape.rank is None:
        behind = [slice(None)] * (-1 - axis)
        return x[(..., slice(None, None, -1), *behind)]  # type: ignore[no-any-return]
    return reversing.reverse(x, [x.shape.rank + axis])


def flip_left_right(image: Any) -> Tensor:
    """The mirror image."""
    return _flipped(image, "flip_left_right", -2)


def flip_up_down(image: Any) -> Tensor:
    """The image upside down."""
    return _flipped(image, "flip_up_down", -3)


def transpose_image(image: Any, name: str | None = None) -> Tensor:
    """Rows and columns exchanged. Raises ValueError unless the rank is 3 or 4."""
    with name_scope(name, "transpose", [image]):
        x = _standing(convert.convert_to_tensor(image, name="image"))
        rank = x.shape.rank
        if rank not in (None, 3, 4):
            raise ValueError("'image' must have either 3 or 4 dimensions.")
        order: Any = [1, 0, 2] if rank == 3 else [0, 2, 1, 3]
        if rank is None:
            count = shaping.rank(x)
            order = joining.concat(
                [indexing.range_(count - 3), joining.stack([count - 2, count - 3, count - 1])], 0
            )
        return shaping.transpose(x, order, name="transpose" if name is None else name)


def rot90(image: Any, k: int = 1, name: str | None = None) -> Tensor:
    """The image turned counter-clockwise by `k` right angles."""
    with name_scope(name, "rot90", [image, k]):
        turns = int(k) % 4
        if turns == 0:
            return convert.convert_to_tensor(image)
        if turns == 2:
            return flip_left_right(flip_up_down(image))
        return (
            flip_up_down(transpose_image(image))
            if turns == 1
            else transpose_image(flip_up_down(image))
        )


def _random_flip(axis: int, image: Any, seed: int | None, name: str) -> Tensor:
    """`image` or its mirror image along an axis, counted from the end; each image of a batch by itself."""
    with name_scope(None, name, [image]) as scope:
        x = _standing(convert.convert_to_tensor(image, name="image"))
        if x.shape.rank not in (None, 3, 4):
            raise ValueError("'image' must have either 3 or 4 dimensions.")
        if x.shape.rank != 4:
            is_flipped = compare.less(random.random_uniform([], 0, 1.0, seed=seed), 0.5)
            found: Tensor = branches.cond(
                is_flipped, lambda: _mirrored(x, axis), lambda: x, name=scope
            )
        else:
            batch = shaping.shape(x)[0]
            chance = random.random_uniform([batch], 0, 1.0, seed=seed)
            flips = elementwise.round_(shaping.reshape(chance, [batch, 1, 1, 1]))
            flips = casting.cast(flips, x.dtype)
            found = flips * _mirrored(x, axis) + (1 - flips) * x
        found.set_shape(x.shape)
        return found


def random_flip_left_right(image: Any, seed: int | None = None) -> Tensor:
    """The image or its mirror image."""
    return _random_flip(-2, image, seed, "random_flip_left_right")


def random_flip_up_down(image: Any, seed: int | None = None) -> Tensor:
    """The image, perhaps upside down."""
    return _random_flip(-3, image, seed, "random_flip_up_down")


def crop_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Tensor:
    """The part of an image of this size at this place. Raises ValueError where it is known not to fit."""
    with name_scope(None, "crop_to_bounding_box", [image]):
        x, added = _batched(image)
        places = (
            ("height", 1, offset_height, target_height),
            ("width", 2, offset_width, target_width),
        )
        for what, axis, offset, target in places:
            _check_box(what, x.shape.as_list()[axis], offset, target)
        x = _standing(x)
        begin = joining.stack([0, offset_height, offset_width, 0])
        sizes = joining.stack(
            [shaping.shape(x)[0], target_height, target_width, shaping.shape(x)[3]]
        )
        found = slicing.slice_(x, begin, sizes)
        return _unbatched(_of_size(found, x, target_height, target_width), added)


def _of_size(images: Tensor, made_of: Tensor, height: Any, width: Any) -> Tensor:
    """Images whose size is known where it was asked for as a number, whatever is known of what they are made of."""
    sizes = [n if isinstance(n, int) else None for n in (height, width)]
    batch, *_, channels = made_of.shape.as_list()
    images.set_shape([batch, *sizes, channels])
    return images


def _size_of(images: Tensor) -> list[Any]:
    """Rows and columns: numbers where they are known, tensors elsewhere."""
    known = images.shape.as_list()[-3:-1]
    if None not in known:
        return known
    sizes = shaping.shape(images)[-3:-1]
    return [sizes[i] if n is None else n for i, n in enumerate(known)]


def _least(a: Any, b: Any) -> Any:
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else elementwise.minimum(a, b)


def _most(a: Any, b: Any) -> Any:
    return max(a, b) if isinstance(a, int) and isinstance(b, int) else elementwise.maximum(a, b)


def _check_box(what: str, size: Any, offset: Any, target: Any) -> None:
    if isinstance(offset, int) and offset < 0:
        raise ValueError(f"offset_{what} must be >= 0.")
    if isinstance(target, int) and target <= 0:
        raise ValueError(f"target_{what} must be > 0.")
    if all(isinstance(v, int) for v in (size, offset, target)) and size < offset + target:
        raise ValueError(f"{what} must be >= target + offset.")


def pad_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Tensor:
    """The image at this place in a larger one of zeros. Raises ValueError where it is known not to fit."""
    with name_scope(None, "pad_to_bounding_box", [image]):
        x, added = _batched(image)
        x = _standing(x)
        paddings: list[Any] = [0, 0]
        places = (
            ("height", 1, offset_height, target_height),
            ("width", 2, offset_width, target_width),
        )
        for what, axis, offset, target in places:
            size = x.shape.as_list()[axis]
            size = shaping.shape(x)[axis] if size is None else size
            after = target - offset - size
            if isinstance(offset, int) and offset < 0:
                raise ValueError(f"offset_{what} must be >= 0")
            if isinstance(after, int) and after < 0:
                raise ValueError(f"{what} must be <= target - offset")
            paddings += [offset, after]
        rows = shaping.reshape(joining.stack([*paddings, 0, 0]), [4, 2])
        found = shaping.pad_op(x, rows)
        return _unbatched(_of_size(found, x, target_height, target_width), added)


def resize_image_with_crop_or_pad(image: Any, target_height: int, target_width: int) -> Tensor:
    """The middle of an image of any size, with zeros around it where it is too small."""
    with name_scope(None, "resize_image_with_crop_or_pad", [image]):
        x, added = _batched(image)
        targets, sizes = (target_height, target_width), _size_of(x)
        x = _standing(x)
        kept = [_least(size, target) for size, target in zip(sizes, targets, strict=True)]
        cut = [_most(-(t - n) // 2, 0) for n, t in zip(sizes, targets, strict=True)]
        x = crop_to_bounding_box(x, cut[0], cut[1], kept[0], kept[1])
        around = [_most((t - n) // 2, 0) for n, t in zip(sizes, targets, strict=True)]
        x = pad_to_bounding_box(x, around[0], around[1], target_height, target_width)
        return _unbatched(_standing(x), added)


resize_with_crop_or_pad = resize_image_with_crop_or_pad


def central_crop(image: Any, central_fraction: float) -> Tensor:
    """The middle of an image, this share of its rows and columns. Raises ValueError for a share outside (0, 1]."""
    if not 0 < central_fraction <= 1:
        raise ValueError("central_fraction must be within (0, 1]")
    with name_scope(None, "central_crop", [image]):
        x = convert.convert_to_tensor(image, name="image")
        if x.shape.rank not in (3, 4):
            raise ValueError("'image' must have either 3 or 4 dimensions.")
        if central_fraction == 1:
            return x
        _standing(x)  # TensorFlow makes it, and takes the image itself
        rows, columns = _size_of(x)
        top, left = (_before_middle(n, central_fraction) for n in (rows, columns))
        begin, size = [top, left, 0], [rows - 2 * top, columns - 2 * left, -1]
        if x.shape.rank == 4:
            begin, size = [0, *begin], [-1, *size]
        found = slicing.slice_(x, joining.stack(begin), joining.stack(size))
        found.set_shape([*x.shape.as_list()[:-3], None, None, x.shape.as_list()[-1]])
        return found


def _before_middle(size: Any, fraction: float) -> Any:
    """How many rows or columns are before the middle ones."""
    if isinstance(size, int):
        return int((size - size * fraction) / 2)
    exact = casting.cast(size, dtypes.float64)
    return casting.cast((exact - exact * fraction) / 2, dtypes.int32)


def per_image_standardization(image: Any) -> Tensor:
    """Each image with mean 0 and standard deviation 1; the deviation counts as at least 1 / sqrt(its elements)."""
    with name_scope(None, "per_image_standardization", [image]) as scope:
        x = convert.convert_to_tensor(image, name="image")
        axes = [-1, -2, -3]
        x = casting.cast(_standing(x), dtypes.float32)
        count = reduction.reduce_prod(shaping.shape(x)[-3:])
        mean = reduction.reduce_mean(x, axes, keepdims=True)
        deviation = arithmetic.reduce_std(x, axes, keepdims=True)
        least = elementwise.rsqrt(casting.cast(count, x.dtype))
        deviation = elementwise.maximum(deviation, least)
        return division.div(x - mean, deviation, name=scope)


def convert_image_dtype(
    image: Any, dtype: Any, saturate: bool = False, name: str | None = None
) -> Tensor:
    """Pixels in another dtype: floats are in [0, 1], integers use their whole positive range."""
    image = convert.convert_to_tensor(image, name="image")
    dtype = dtypes.as_dtype(dtype)
    held = image.dtype.base_dtype
    for kind in (dtype, held):
        if not (kind.is_floating or kind.is_integer):
            raise AttributeError(
                f"image dtype must be either floating point or integer, not {kind.name}"
            )
    if dtype == held:
        return control.identity(image, name=name)  # type: ignore[no-any-return]
    cast = clipping.saturate_cast if saturate else casting.cast
    with name_scope(name, "convert_image", [image]) as scope:
        if held.is_integer and dtype.is_integer:
            return _between_integers(image, dtype, cast, scope)
        if held.is_floating and dtype.is_floating:
            return casting.cast(image, dtype, name=scope)
        if held.is_integer:
            return elementwise.mul(casting.cast(image, dtype), 1.0 / held.max, name=scope)  # type: ignore[no-any-return]
        return cast(elementwise.mul(image, dtype.max + 0.5), dtype, name=scope)


def _between_integers(image: Tensor, dtype: Any, cast: Any, name: str) -> Tensor:
    held = image.dtype.base_dtype
    if held.max > dtype.max:
        step = (held.max + 1) // (dtype.max + 1)
        return cast(division.floordiv(image, step), dtype, name=name)  # type: ignore[no-any-return]
    step = (dtype.max + 1) // (held.max + 1)
    return elementwise.mul(cast(image, dtype), step, name=name)  # type: ignore[no-any-return]


def _as_floats(image: Any, function: Callable[[Tensor], Tensor]) -> Tensor:
    """`function` of the pixels as float16 or float32, back in the images' own dtype."""
    image = convert.convert_to_tensor(image, name="image")
    held = image.dtype.base_dtype
    is_ready = held in (dtypes.float16, dtypes.float32)
    found = function(image if is_ready else convert_image_dtype(image, dtypes.float32))
    return convert_image_dtype(found, held, saturate=True)


def adjust_brightness(image: Any, delta: Any) -> Tensor:
    """Pixels plus `delta`, which is meant for the range [0, 1]."""
    with name_scope(None, "adjust_brightness", [image, delta]) as scope:
        return _as_floats(
            image, lambda x: elementwise.add(x, casting.cast(delta, x.dtype), name=scope)
        )


def adjust_contrast(images: Any, contrast_factor: Any) -> Tensor:
    """(x - mean) * contrast_factor + mean, for each channel of each image."""
    with name_scope(None, "adjust_contrast", [images, contrast_factor]) as scope:
        return _as_floats(
            images, lambda x: colours.adjust_contrast_op(x, contrast_factor, name=scope)
        )


def adjust_hue(image: Any, delta: Any, name: str | None = None) -> Tensor:
    """Colours with their hue turned by `delta` of a whole turn."""
    with name_scope(name, "adjust_hue", [image]):
        return _as_floats(image, lambda x: colours.adjust_hue_op(x, delta))


def adjust_saturation(image: Any, saturation_factor: Any, name: str | None = None) -> Tensor:
    """Colours with their saturation times `saturation_factor`."""
    with name_scope(name, "adjust_saturation", [image]):
        return _as_floats(image, lambda x: colours.adjust_saturation_op(x, saturation_factor))


def adjust_gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Tensor:
    """gain * x ** gamma of pixels in [0, 1]. Raises ValueError for a negative gamma."""
    if isinstance(gamma, (int, float)) and gamma < 0:
        raise ValueError("Gamma should be a non-negative real number.")
    with name_scope(None, "adjust_gamma", [image, gamma, gain]):
        return _as_floats(image, lambda x: gain * x**gamma)


def _between(lower: float, upper: float, seed: int | None, name: str) -> Tensor:
    if upper <= lower or lower < 0:
        raise ValueError("upper must be > lower, and lower non-negative.")
    return random.random_uniform([], lower, upper, seed=seed)


def random_brightness(image: Any, max_delta: float, seed: int | None = None) -> Tensor:
    """`adjust_brightness` by a random amount up to `max_delta`. Raises ValueError for a negative one."""
    if max_delta < 0:
        raise ValueError("max_delta must be non-negative.")
    return adjust_brightness(image, random.random_uniform([], -max_delta, max_delta, seed=seed))


def random_contrast(image: Any, lower: float, upper: float, seed: int | None = None) -> Tensor:
    """`adjust_contrast` by a random factor. Raises ValueError unless 0 <= lower < upper."""
    return adjust_contrast(image, _between(lower, upper, seed, "contrast"))


def random_saturation(image: Any, lower: float, upper: float, seed: int | None = None) -> Tensor:
    """`adjust_saturation` by a random factor. Raises ValueError unless 0 <= lower < upper."""
    return adjust_saturation(image, _between(lower, upper, seed, "saturation"))


def random_hue(image: Any, max_delta: float, seed: int | None = None) -> Tensor:
    """`adjust_hue` by a random amount up to `max_delta`. Raises ValueError outside [0, 0.5]."""
    if not 0 <= max_delta <= 0.5:
        raise ValueError("max_delta must be in [0, 0.5].")
    return adjust_hue(image, random.random_uniform([], -max_delta, max_delta, seed=seed))


def rgb_to_grayscale(images: Any, name: str | None = None) -> Tensor:
    """The brightness of RGB colours, as one channel."""
    with name_scope(name, "rgb_to_grayscale", [images]) as scope:
        images = convert.convert_to_tensor(images, name="images")
        held = images.dtype.base_dtype
        x = convert_image_dtype(images, dtypes.float32)
        grey = shaping.expand_dims(contraction.tensordot(x, list(GREY), [-1, -1]), -1)
        return convert_image_dtype(grey, held, name=scope)


def grayscale_to_rgb(images: Any, name: str | None = None) -> Tensor:
    """One channel as three equal ones."""
    with name_scope(name, "grayscale_to_rgb", [images]) as scope:
        images = _standing(convert.convert_to_tensor(images, name="images"))
        others = shaping.expand_dims(shaping.rank(images) - 1, 0)
        times = joining.concat(
            [constants.ones(others, dtype=dtypes.int32), shaping.expand_dims(3, 0)], 0
        )
        found: Tensor = shaping.tile(images, times, name=scope)
        if images.shape.rank is not None:
            found.set_shape([*images.shape.as_list()[:-1], 3])
        return found


def total_variation(images: Any, name: str | None = None) -> Tensor:
    """The sum of the absolute differences of neighbouring pixels of each image."""
    with name_scope(name, "total_variation"):
        x = convert.convert_to_tensor(images)
        if x.shape.rank not in (3, 4):
            raise ValueError("'images' must be either 3 or 4-dimensional.")
        down = x[..., 1:, :, :] - x[..., :-1, :, :]
        along = x[..., :, 1:, :] - x[..., :, :-1, :]
        axes = None if x.shape.rank == 3 else [1, 2, 3]
        return reduction.reduce_sum(elementwise.abs_(down), axes) + reduction.reduce_sum(  # type: ignore[no-any-return]
            elementwise.abs_(along), axes
        )
