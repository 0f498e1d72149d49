"""Photos as phones store them: lying or mirrored, with an EXIF note that says how to turn them upright."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

UNDO = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
"""By orientation the `Image.Transpose` that the note's turn undoes."""


def save_turned(picture: Image.Image, path: Path, orientation: int) -> None:
    """Store an upright picture so that the EXIF orientation 1..8 brings it upright again."""
    if orientation > 1:
        picture = picture.transpose(Image.Transpose(UNDO[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(path, exif=exif)
