"""Images in: whatever a user hands over becomes a checked RGB image, or one sentence that says why not.

Nothing here changes Pillow's global settings, so any number of threads may read images at the same time.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

# These four modules bring the formats that are read into the table `Image.OPEN`.
from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401

from rtdetr_explained.data.rgb import from_12_bits, is_dark, to_rgb
from rtdetr_explained.errors import InputError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")


class Limits(NamedTuple):
    """The most that is read: bytes of a file and pixels of a picture."""

    num_bytes: int
    pixels: int


UPLOAD = Limits(10 << 20, 40_000_000)
"""For bytes and open files, which may come from a stranger."""
OWN = Limits(1 << 30, 500_000_000)
"""For paths, arrays and PIL images, which are the user's own; decoded, that many pixels take 2 GB."""

ImageSource = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | np.ndarray

REMARKS = {
    "cut_image": "{} is cut off; it was read as far as it goes, and the rest of it is grey.",
    "dark_image": "{} has values of 12 bits in 16, black to look at; it was made sixteen times lighter.",
}
"""What is said of a picture that had to be mended, by the kinds of `data.report.PROBLEMS`."""

_DAMAGED = "{} is damaged or incomplete and cannot be read; export or download it again."
_END_OF_JPEG = b"\xff\xd9"
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
_SIDEWAYS = (5, 6, 7, 8)


def open_image(source: ImageSource, upright: bool = True) -> Image.Image:
    """Read an image from a path, bytes, a binary file, a PIL image or an array, as 8-bit RGB.

    Files hold JPEG, PNG, WebP or BMP, recognised by their content; of an animated file the first frame is read.
    Arrays are uint8 0..255 or float 0..1 of shape (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA.
    Transparent parts are laid on white, 16-bit values are scaled down to 8 bits. The source is left as it was.

    The picture is turned as its EXIF orientation says, unless `upright` is off, and comes back without the notes of its
    file, so that nothing turns it again. Its `info` holds the sentence of each of `REMARKS` that applies.

    Raises `InputError` for more than `UPLOAD` or `OWN` allows and for anything that is not a readable image.
    """
    remarks, data = {}, b""
    if isinstance(source, np.ndarray):
        label, image = "The array", _from_array(source)
    elif isinstance(source, Image.Image):
        label, image = "The image", source
        _check_size(*image.size, label, OWN)
        _decode(image, label)
    else:
        limits = OWN if isinstance(source, str | os.PathLike) else UPLOAD
        label, data = _read_bytes(source, limits)
        image = _open(io.BytesIO(data), label)
        _check_size(*image.size, label, limits)
        try:
            _decode(image, label)
        except InputError:
            image = _decode_cut_off(data, label)
            remarks["cut_image"] = REMARKS["cut_image"].format(label)
    orientation = _orientation(image) if upright else None
    if is_dark(image):
        remarks["dark_image"] = REMARKS["dark_image"].format(label)
    elif _is_dark_png(image, data):
        remarks["dark_image"] = REMARKS["dark_image"].format(label)
        image = from_12_bits(image, _low_bytes(data, label))
    if orientation in _TURN_UPRIGHT:
        image = image.transpose(_TURN_UPRIGHT[orientation])
    rgb = to_rgb(image, label)
    rgb.info = remarks
    return rgb


def remarks_of(image: Image.Image) -> dict[str, str]:
    """What had to be mended to read this image from `open_image`: a sentence for each of `REMARKS` that applies."""
    return {kind: str(image.info[kind]) for kind in REMARKS if kind in image.info}


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels as a viewer shows the picture, from its header. Raises InputError when there is none.

    An EXIF note behind the pixels of a PNG file, where hardly any writer puts it, is not looked for.
    """
    try:
        with path.open("rb") as file:
            image = _open(file, path.name)
            sideways = _orientation(image) in _SIDEWAYS
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the path of an image.") from error
    _check_size(*image.size, path.name, OWN)
    width, height = image.size
    return (height, width) if sideways else (width, height)


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


def _read_bytes(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO, limits: Limits
) -> tuple[str, bytes]:
    """The name to use in messages and the content of a source, of which never more than the limit is read."""
    if isinstance(source, bytes | bytearray | memoryview):
        label, data = "The image", bytes(source)
    elif isinstance(source, str | os.PathLike):
        label = Path(source).name or str(source)
        try:
            with open(source, "rb") as file:
                data = file.read(limits.num_bytes + 1)
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
        data = source.read(limits.num_bytes + 1)
    if not data:
        raise InputError(f"{label} is empty; choose another image.")
    if len(data) > limits.num_bytes:
        raise InputError(
            f"{label} has more than {limits.num_bytes >> 20} MB; save it smaller or with more compression."
        )
    return label, data


def _open(file: BinaryIO, label: str) -> ImageFile.ImageFile:
    """Recognise the format by the first bytes and read the header, as `Image.open` does; nothing is decoded yet.

    `Image.open` would also apply Pillow's limit of pixels, which cannot be another one for uploads than for own files.
    """
    start = file.read(16)
    for name in FORMATS:
        read_header, accept = Image.OPEN[name]
        if accept is None or accept(start) is True:
            file.seek(0)
            try:
                return read_header(file, "")
            # Damaged data makes the readers raise many kinds of error, SyntaxError and struct.error among them.
            except Exception as error:
                raise InputError(_DAMAGED.format(label)) from error
    raise InputError(f"{label} is not a JPEG, PNG, WebP or BMP image; save it as one of these.")


def _decode(image: Image.Image, label: str) -> None:
    """Decode the pixels."""
    try:
        image.load()
    except Exception as error:  # as in _open
        raise InputError(_DAMAGED.format(label)) from error


def _decode_cut_off(data: bytes, label: str) -> Image.Image:
    """A JPEG picture without its last bytes, as far as it goes; raises InputError when that is hardly anywhere."""
    image = _open(io.BytesIO(data + _END_OF_JPEG), label)
    if image.format in ("JPEG", "MPO"):
        _decode(image, label)
        rows = np.asarray(image).reshape(image.height, -1)  # H W·C
        if (rows != 128).any(1).mean() > 0.05:  # 128 stands for what is missing
            return image
    raise InputError(_DAMAGED.format(label))


def _is_dark_png(image: Image.Image, data: bytes) -> bool:
    """Whether a PNG file of 16 bits a colour, of which Pillow keeps the high byte, holds 12 bits a colour."""
    deep = image.format == "PNG" and image.mode in ("RGB", "RGBA") and data[24:25] == b"\x10"
    return deep and int(np.asarray(image.convert("RGB")).max()) < 16


def _low_bytes(data: bytes, label: str) -> Image.Image:
    """A PNG file of 16 bits a colour, read as if the low byte of each came first: the one that Pillow then keeps."""
    image = _open(io.BytesIO(data), label)
    image.tile = [tile._replace(args=str(tile.args).replace("16B", "16L")) for tile in image.tile]
    _decode(image, label)
    return image


def _check_size(width: int, height: int, label: str, limits: Limits) -> None:
    """Refuse an image without pixels and one with more than the limit."""
    if width < 1 or height < 1:
        raise InputError(f"{label} has no pixels ({width}×{height}); choose another one.")
    if width * height > limits.pixels:
        megapixels = width * height / 1e6
        raise InputError(
            f"{label} has {megapixels:.0f} megapixels ({width}×{height}); make it smaller than "
            f"{limits.pixels // 10**6}."
        )


def _orientation(image: Image.Image) -> int | None:
    """The EXIF orientation; unreadable EXIF data counts as none."""
    try:
        # Of a PNG file that is not decoded, PngImageFile.getexif would decode all.
        orientation = Image.Image.getexif(image).get(_ORIENTATION_TAG)
    except Exception:  # the EXIF parser raises as many kinds of error as the decoders; the picture itself is fine
        return None
    return orientation if isinstance(orientation, int) else None


def _from_array(array: np.ndarray) -> Image.Image:
    """An 8-bit image from uint8 0..255 or float 0..1 values of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)."""
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))):
        hint = "; move the channels to the end" if array.ndim == 3 and array.shape[0] in (1, 3, 4) else ""
        raise InputError(f"The array has shape {array.shape}, but an image has (H, W), (H, W, 3) or (H, W, 4){hint}.")
    _check_size(array.shape[1], array.shape[0], "The array", OWN)
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
