"""Photographs as the ground of a figure, and as bytes."""

from __future__ import annotations

import base64
import io

from PIL import Image

from rtdetr_explained.drawing.colors import PHOTO_HALO

MAX_PHOTO_BYTES = 180_000  # of the JPEG; a third more as base64


def soft_photo(photo: Image.Image, strength: float = 0.75) -> Image.Image:
    """The photo in grey and darkened, in both themes: the ground of an overlay. `strength` 1 only takes the colour."""
    dark = Image.new("RGB", photo.size, PHOTO_HALO)
    return Image.blend(dark, photo.convert("L").convert("RGB"), strength)


def photo_jpeg(photo: Image.Image, max_side: int = 960) -> bytes:
    """The photo as a JPEG of at most `MAX_PHOTO_BYTES`, or as small as it still can be seen."""
    photo = photo.convert("RGB")
    buffer = io.BytesIO()
    for side, quality in ((max_side, 85), (max_side, 70), (max_side * 3 // 4, 65), (max_side // 2, 60)):
        small = photo.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= MAX_PHOTO_BYTES:
            break
    return buffer.getvalue()


def photo_uri(photo: Image.Image, max_side: int = 960) -> str:
    """The photo as a JPEG data URI of at most 250 kB, for a plotly layout image."""
    return "data:image/jpeg;base64," + base64.b64encode(photo_jpeg(photo, max_side)).decode()
