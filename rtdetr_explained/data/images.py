"""Images in: whatever a user hands over becomes a checked RGB image, or one sentence that says why not.

Nothing here changes Pillow's global settings, so any number of threads may read images at the same time.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from rtdetr_explained.errors import InputError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 40_000_000

ImageSource = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | np.ndarray

_DAMAGED = "{} is damaged or incomplete and cannot be read; export or download it again."
_ORIENTATION_TAG = 0x0112  # EXIF
_TURN_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_image(source: ImageSource) -> Image.Image:
    """Read an image from a path, bytes, a binary file, a PIL image or an array, as upright 8-bit RGB.

    Files hold JPEG, PNG, WebP or BMP, recognised by their content; of an animated file the first frame is read.
    Arrays are uint8 0..255 or float 0..1 of shape (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA.
    Transparent parts are laid on white, 16-bit greys are scaled down to 8 bits. The source is left as it was.

    Raises `InputError` for more than 10 MB or 40 megapixels and for anything that is not a whole, readable image.
    """
    if isinstance(source, np.ndarray):
        return _to_rgb(_from_array(source), "The array")
    if isinstance(source, Image.Image):
        label, image = "The image", source
    else:
        label, data = _read_bytes(source)
        image = _open_bytes(data, label)
    _check_size(*image.size, label)
    try:
        image.load()
    # A decoder meets damaged data with many kinds of error, SyntaxError and struct.error among them.
    except Exception as error:
        raise InputError(_DAMAGED.format(label)) from error
    return _to_rgb(_upright(image), label)


def image_sha256(image: Image.Image) -> str:
    """The SHA-256 of an image's pixels, mode and size, in hexadecimal: equal for equal pictures, whatever the file."""
    digest = hashlib.sha256(f"{image.mode} {image.width} {image.height} ".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def to_model_input(image: Image.Image, size_hw: tuple[int, int]) -> np.ndarray:
    """Resize an RGB image to what the model was trained on: uint8 (H, W, 3), aspect ratio not kept.

    PIL's bilinear filter widens with the reduction (it antialiases); other bilinear filters give other pixels.
    """
    height, width = size_hw
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR))  # H W 3


def _read_bytes(source: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO) -> tuple[str, bytes]:
    """The name to use in messages and the content of a source, of which never more than the limit is read."""
    if isinstance(source, bytes | bytearray | memoryview):
        label, data = "The image", bytes(source)
    elif isinstance(source, str | os.PathLike):
        label = Path(source).name or str(source)
        try:
            with open(source, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError as error:
            raise InputError(f"{source} does not exist; give the path of an image.") from error
        except IsADirectoryError as error:
            raise InputError(f"{source} is a directory; give the path of one image in it.") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{source} cannot be read ({reason}); give the path of an image.") from error
    else:
        name = getattr(source, "name", None)
        label = Path(name).name if isinstance(name, str) and name else "The image"
        if source.seekable():
            source.seek(0)
        data = source.read(MAX_BYTES + 1)
    if not data:
        raise InputError(f"{label} is empty; choose another image.")
    if len(data) > MAX_BYTES:
        raise InputError(f"{label} has more than {MAX_BYTES >> 20} MB; save it smaller or with more compression.")
    return label, data


def _open_bytes(data: bytes, label: str) -> Image.Image:
    """Recognise the format and read the header; pixels are not decoded yet."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise InputError(f"{label} is not a JPEG, PNG, WebP or BMP image; save it as one of these.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{label} has far too many pixels; make it smaller than 40 megapixels.") from error
    except Exception as error:  # as in open_image: damaged headers raise many kinds of error
        raise InputError(_DAMAGED.format(label)) from error


def _check_size(width: int, height: int, label: str) -> None:
    """Refuse an image without pixels and one with more than 40 megapixels."""
    if width < 1 or height < 1:
        raise InputError(f"{label} has no pixels ({width}×{height}); choose another one.")
    if width * height > MAX_PIXELS:
        megapixels = width * height / 1e6
        raise InputError(
            f"{label} has {megapixels:.0f} megapixels ({width}×{height}); make it smaller than {MAX_PIXELS // 10**6}."
        )


def _upright(image: Image.Image) -> Image.Image:
    """Turn and mirror the image as its EXIF orientation says; unreadable EXIF data counts as none."""
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # the EXIF parser raises as many kinds of error as the decoders; the picture itself is fine
        return image
    turn = _TURN_UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image, label: str) -> Image.Image:
    """Convert any mode to RGB: transparency onto white, 16 bits scaled to 8; always a new image."""
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255; 65535 = 257 * 255.
        grey = np.rint(np.asarray(image) / np.float32(257)).astype(np.uint8)  # H W
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("I", "F"):
        raise InputError(f"{label} has 32-bit pixels, whose range is unknown; convert it to 8 or 16 bits.")
    try:
        if not image.has_transparency_data:
            return image.convert("RGB") if image.mode != "RGB" else image.copy()
        rgba = image.convert("RGBA")
    except ValueError as error:
        raise InputError(
            f"{label} is in the colour mode {image.mode}, which is not read; convert it to RGB."
        ) from error
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba.getchannel("A"))
    return white


def _from_array(array: np.ndarray) -> Image.Image:
    """An 8-bit image from uint8 0..255 or float 0..1 values of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)."""
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))):
        hint = "; move the channels to the end" if array.ndim == 3 and array.shape[0] in (1, 3, 4) else ""
        raise InputError(f"The array has shape {array.shape}, but an image has (H, W), (H, W, 3) or (H, W, 4){hint}.")
    _check_size(array.shape[1], array.shape[0], "The array")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if np.issubdtype(array.dtype, np.floating):
        low, high = array.min(), array.max()
        if not (low >= 0 and high <= 1):  # also true for NaN
            raise InputError(f"The array's values go from {low:g} to {high:g}; float images must lie within 0..1.")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(f"The array is of type {array.dtype}; give uint8 values 0..255 or float values 0..1.")
    return Image.fromarray(array)
